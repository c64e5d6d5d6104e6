"""Cells of a policy file: granted as people would set them, one topmost group with all below it after the other, or refused."""

from __future__ import annotations

from dataclasses import replace

from quota.cell_promises import check_cells
from quota.refusal import Refusal
from quota.tree import QuotaTree
from scheduler.cycle.cell_grants import why_not_granted
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.errors import ConfigurationError
from scheduler.model.reason import ReasonCode
from scheduler.model.reason_text import sentence


def holding_its_cells(snapshot: Snapshot) -> Snapshot:
    """The snapshot with which a simulation begins, if all cells that its quotas grant can be held at once on its nodes.

    Raises ConfigurationError for the first group by name, parents first, whose cells production would refuse, with its reason.
    """
    wanted = snapshot.tree
    quotas = {key: replace(quota, cells=()) for key, quota in wanted.quotas.items()}
    for top in wanted.children.get(wanted.root.id, ()):
        tree, below = QuotaTree.build(wanted.groups, quotas), wanted.subtree(top)
        changes = {key: quota for key, quota in wanted.quotas.items() if key[0] in below and quota.cells}
        for key in sorted(changes, key=lambda key: (wanted.positions[key[0]], key[1])):
            refusal = check_cells(tree, changes, *key) or why_not_granted(lambda: snapshot, tree, changes, *key)
            if refusal is not None:
                raise _refused(snapshot, *key, refusal)
        quotas |= changes
    return snapshot


def _refused(snapshot: Snapshot, group: int, gpu_class: str, refusal: Refusal) -> ConfigurationError:
    paths = {int(each): facts.path for each, facts in snapshot.groups.items()}
    numbers = {**refusal.numbers, "cell": refusal.field, "gpu_class": gpu_class, "group": paths[refusal.group]}
    code, field = ReasonCode(refusal.code.value), f"groups.{paths[group]}.quota.{gpu_class}.cells"
    return ConfigurationError(f"{field}: {sentence(code, numbers, 'en')}", f"{field}: {sentence(code, numbers, 'ko')}")
