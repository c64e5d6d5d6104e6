"""The agent's own check of the data class rules: the last of three (submit, placement, here)."""

from __future__ import annotations

from scheduler.model.data_class import Clearance, DataClassPolicy, why_not_served
from scheduler.model.shape import DataClass
from scheduler.model.site import Csap, SecurityGrade
from scheduler.model.wire import RunOrder, SiteContract


def why_not_allowed(order: RunOrder, contract: SiteContract, policy: DataClassPolicy) -> str | None:
    """Why the site's contract does not let it serve this order; None where it does."""
    grade = SecurityGrade(
        csap=Csap(contract.csap),
        state_facility=contract.state_facility,
        classified_network=contract.classified_network,
        isolates_users=contract.isolates_users,
        trust_domain=contract.trust_domain,
    )
    clearance = Clearance(
        data_class=DataClass(order.data_class),
        public_sector=order.public_sector,
        trust_domain=order.trust_domain,
    )
    rule = why_not_served(policy, clearance, grade)
    if rule is None:
        return None
    return (
        f"data class {order.data_class} of {order.trust_domain} is not allowed at this site by its contract"
        f" (rule: {rule}, policy {policy.version})"
    )
