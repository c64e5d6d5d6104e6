"""Take the README's picture of the portal: a real browser at the page of a job that really trains on a live federation.

``PYTHONPATH=.:tests/support python -m portal_picture docs/portal.png``
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from install_chromium import ARGUMENTS, chromium_path
from live_federation import live_federation
from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
GROUP = "research.example-university.vision"
SIZE = {"width": 1180, "height": 880}


def take(picture: Path) -> None:
    """Write the picture as PNG."""
    with tempfile.TemporaryDirectory() as folder, live_federation(Path(folder)) as federation:
        federation.group(GROUP)
        federation.site("national-1", "2x8:h100")
        person = federation.person("researcher", {GROUP: "submitter"}, scope="submit")
        command = [sys.executable, str(ROOT / "examples/digits/train.py")]
        gang = {"workers": 2, "gpus_per_worker": 4, "memory_per_worker": 256, "environment": {"EPOCHS": "100000"}}
        job = federation.job(person, GROUP, command, name="digits", **gang)
        federation.wait(person, job, "running")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
            page = browser.new_context(viewport=SIZE, locale="en-US").new_page()
            page.goto(f"{federation.server}/sign-in?next=/jobs/{job}")
            page.get_by_label("Token").fill(person.secret)
            page.get_by_role("button", name="Sign in").click()
            expect(page.locator("#log")).to_contain_text("epoch 12", timeout=60_000)
            page.screenshot(path=picture)
            browser.close()
        person.post(f"jobs/{job}/cancel")


if __name__ == "__main__":
    take(Path(sys.argv[1]))
