"""The wheel: three packages, all that they need, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEEDED = (
    "scheduler/py.typed",
    "quota/py.typed",
    "connectors/py.typed",
    "scheduler/store/migrations/script.py.mako",
    "scheduler/store/migrations/versions/0001_first.py",
    "scheduler/portal/templates/base.html",
    "scheduler/portal/static/portal.css",
    "scheduler/portal/static/vendor/htmx.min.js",
    "scheduler/portal/static/vendor/htmx.LICENSE",
    "scheduler/locale/ko/LC_MESSAGES/dure.mo",
    "connectors/supervisor/supervise.py",
    "connectors/ray/driver.py",
)


def test_the_wheel_holds_three_packages_and_nothing_else(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    # W004: migrations have numbers for names and are found by their path, never imported.
    looked_at = subprocess.run(
        [
            Path(sys.executable).with_name("check-wheel-contents"),
            "--ignore",
            "W004",
            "--toplevel",
            "scheduler,quota,connectors",
            str(wheel),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert looked_at.returncode == 0, looked_at.stdout
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"scheduler", "quota", "connectors"}
    assert [name for name in NEEDED if name not in names] == []
