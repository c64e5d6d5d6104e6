"""The tree stays one that people can read: sizes, docstrings, words, nothing dead."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("quota", "scheduler", "connectors")
LINES_MAX = 400
#: One list of documents or tables each, read from top to bottom.
LONGER = {"scheduler/api/schemas.py": 620, "scheduler/model/reason_text.py": 420}
#: Entered by name, not by import.
ENTERED = {
    "scheduler/demo/__main__.py",
    "scheduler/main.py",
    "scheduler/cycle/oracle.py",
    "quota/fair_share_oracle.py",
    "quota/packing_oracle.py",
    "quota/standing_oracle.py",
    "quota/ledger.py",
    "scheduler/placement/victims_oracle.py",
    "connectors/ray/driver.py",
    "connectors/supervisor/supervise.py",
    "scheduler/store/migrations/env.py",
}
#: Whatever lies here is found by its runner.
ENTERED_FOLDERS = ("scheduler/store/migrations/versions/",)


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


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGER.get(name_of(path), LINES_MAX)


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_public_things_say_what_they_are(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module"
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    silent = []
    for parent in (tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))):
        for node in parent.body:
            public = isinstance(node, kinds) and not node.name.startswith("_")
            if public and isinstance(node, kinds) and not ast.get_docstring(node):
                silent.append(node.name)
    assert silent == []


def _is_entered(path: Path) -> bool:
    return name_of(path) in ENTERED or name_of(path).startswith(ENTERED_FOLDERS)


def test_no_module_is_dead() -> None:
    users = [*PRODUCT, *(ROOT / "benchmarks").glob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in users)
    dead = []
    for path in PRODUCT:
        module = path.stem
        used = re.search(rf"(import|from)[^\n]*\b{module}\b|^    {module}( as \w+)?,$", text, re.M)
        if path.name != "__init__.py" and not used and not _is_entered(path):
            dead.append(name_of(path))
    assert dead == []


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
