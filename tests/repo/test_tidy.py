"""The tree stays one that people can read: sizes, docstrings, words, nothing dead."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("quota", "scheduler", "connectors")
LINES_MAX = 400
#: One list of documents or tables each, read from top to bottom.
LONGER = {
    "scheduler/api/schemas.py": 625,
    "scheduler/placement/kernel.py": 550,  # compiled code is told stale by its own file alone
    "scheduler/store/tables.py": 470,
}
#: Run by name, not by import: whatever none of them reaches is no part of the product.
ENTERED = (
    "scheduler.main",
    "scheduler.demo.__main__",
    "connectors.ray.driver",
    "connectors.supervisor.supervise",
)
#: Whatever lies here is found by its runner.
ENTERED_FOLDERS = ("scheduler.store.migrations.",)
#: Slow and obvious: what tests hold the fast paths against.
ORACLES = {
    "quota.fair_share_oracle",
    "quota.packing_oracle",
    "quota.standing_oracle",
    "scheduler.cycle.capacity",
    "scheduler.cycle.movable_oracle",
    "scheduler.cycle.oracle",
    "scheduler.cycle.reservations_oracle",
    "scheduler.cycle.step_function",
    "scheduler.placement.displace_oracle",
    "scheduler.placement.fragmentation_oracle",
    "scheduler.placement.gaps_oracle",
    "scheduler.placement.oracle",
    "scheduler.placement.victims_oracle",
    "scheduler.placement.widen_oracle",
}
#: A site for benchmarks and for tests of what is above it.
STANDS_IN = {"connectors.local.simulated"}
#: Proven alone, asked by no round yet. What a round comes to ask leaves this list.
WAITING = {
    "scheduler.placement.fragmentation",
    "scheduler.placement.gaps",
}
#: Called by libraries that know these names.
CALLED_BACK = {"on_broken_pipe", "handle_error", "log_message", "do_POST", "do_PUT", "downgrade"}
PURE = ("quota/", "scheduler/model/", "scheduler/placement/", "scheduler/cycle/")
#: Names through which clocks, dice and files come in without an import.
IMPURE = {"open", "print", "input", "exec", "eval", "__import__"}
IMPURE_OF_NUMPY = {"random", "load", "save", "fromfile", "memmap", "loadtxt", "savetxt", "datetime64"}


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


FILES = tracked()
PYTHON = [path for path in FILES if path.suffix == ".py"]
PRODUCT = [path for path in PYTHON if path.relative_to(ROOT).parts[0] in PACKAGES]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGER.get(name_of(path), LINES_MAX)


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_public_things_say_what_they_are(path: Path) -> None:
    tree = tree_of(path)
    assert ast.get_docstring(tree), "the module"
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    silent = []
    for parent in (tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))):
        for node in parent.body:
            public = isinstance(node, kinds) and not node.name.startswith("_")
            if public and isinstance(node, kinds) and not ast.get_docstring(node):
                silent.append(node.name)
    assert silent == []


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_by(path: Path) -> set[str]:
    """Full names of everything that a file imports, whether a module or something in one, or names as MODULE:NAME for later."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{each.name}" for each in node.names}
        elif isinstance(node, ast.Constant) and re.fullmatch(r"[a-z_]+(\.[a-z_]+)+:\w+", str(node.value)):
            found.add(str(node.value).partition(":")[0])
    return found


def reached_from(entries: Iterable[str], imports: Mapping[str, set[str]]) -> set[str]:
    """Modules that the product runs: the entries, what they import, and so on."""
    reached: set[str] = set()
    left = [each for each in entries if each in imports]
    while left:
        module = left.pop()
        if module not in reached:
            reached.add(module)
            left += imports[module] & imports.keys()
    return reached


def test_what_the_product_does_not_reach_is_an_oracle_or_waits_to_be_asked() -> None:
    imports = {module_of(path): imported_by(path) for path in PRODUCT}
    entries = [*ENTERED, *(each for each in imports if each.startswith(ENTERED_FOLDERS))]
    unreached = imports.keys() - reached_from(entries, imports)
    packages = {module_of(path) for path in PRODUCT if path.name == "__init__.py"}
    assert unreached - packages == ORACLES | STANDS_IN | WAITING


def test_a_module_that_only_tests_import_is_found_whatever_its_name() -> None:
    imports = {
        "scheduler.main": {"scheduler.api.jobs"},
        "scheduler.api.jobs": {"scheduler.store.tables", "scheduler.store.tables.runs"},
        "scheduler.store.tables": set[str](),
        "scheduler.store.jobs": {"scheduler.store.runs"},
        "scheduler.store.runs": {"scheduler.store.jobs"},
    }
    assert imports.keys() - reached_from(["scheduler.main"], imports) == {
        "scheduler.store.jobs",
        "scheduler.store.runs",
    }


def names_used(path: Path) -> Iterator[str]:
    """Every name that a Python file speaks of, other than by defining it."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield node.name.rpartition(".")[2]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value


def test_every_public_function_is_used_by_somebody() -> None:
    used = {name for path in PYTHON for name in names_used(path)} | CALLED_BACK
    for path in FILES:
        if path.suffix in (".html", ".toml"):
            used |= set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    idle = []
    for path in PRODUCT:
        for node in ast.walk(tree_of(path)):
            function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_")
            if function and not node.decorator_list and node.name not in used:  # what decorates it may keep it
                idle.append(f"{name_of(path)}: {node.name}")
    assert idle == []


@pytest.mark.parametrize("path", [path for path in PRODUCT if name_of(path).startswith(PURE)], ids=name_of)
def test_a_pure_file_opens_nothing_prints_nothing_and_draws_nothing(path: Path) -> None:
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Name) and node.id in IMPURE:
            found.add(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np":
            found |= {node.attr} & IMPURE_OF_NUMPY
    assert found == set()


FORBIDDEN = {
    "unfinished work": re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b"),
    "a path of one machine": re.compile(r"/ro" r"ot/|/wo" r"rk/"),
    "a test that does not run": re.compile(r"pytest\.(mark\.)?(sk" r"ip|xf" r"ail)|@unittest\.sk" r"ip"),
    "a registry's host": re.compile(r"pypi\.org|files\.pythonhosted|registry\.npmjs|npmjs\.org"),
}


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix not in (".png", ".mo")], ids=name_of)
def test_no_file_holds_what_does_not_belong_here(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.strip() or path.name in ("py.typed", "__init__.py"), "an empty file"
    found = {what: match[0] for what, pattern in FORBIDDEN.items() if (match := pattern.search(text))}
    assert found == {}


def test_links_of_documents_lead_somewhere() -> None:
    dead = []
    for path in FILES:
        if path.suffix != ".md":
            continue
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text(encoding="utf-8")):
            if not (path.parent / target).exists():
                dead.append((name_of(path), target))
    assert dead == []


def test_the_readme_has_the_two_commands_and_every_decision_is_listed() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make demo" in readme and "make test" in readme
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs/decisions").glob("0*.md"):
        assert page.name in index


def test_the_readme_shows_the_portal_in_a_picture_that_is_not_large() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]{20,}\]\(([^)]+\.png)\)", readme)
    assert shown == ["docs/portal.png"]
    picture = (ROOT / shown[0]).read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) < 200 * 1024


def test_every_setting_of_the_environment_and_every_metric_is_documented() -> None:
    product = "\n".join((ROOT / "scheduler" / name).read_text(encoding="utf-8") for name in ("bootstrap.py", "main.py"))
    counted = "\n".join(path.read_text(encoding="utf-8") for path in PRODUCT)
    names = set(re.findall(r'"(DURE_[A-Z_]+)"', product)) - {"DURE_SERVER", "DURE_ENROLMENT_TOKEN"}  # an agent's
    names |= set(re.findall(r'(?:Counter|Gauge|Histogram|GaugeMetricFamily)\(\s*"(dure_[a-z_]+)"', counted))
    assert len(names) > 12
    documented = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    assert sorted(name for name in names if f"`{name}" not in documented) == []
