"""A Chromium for the browser tests: found on the machine, else the distribution's package, else Playwright's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from playwright.sync_api import Error, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def chromium_path() -> str | None:
    """The machine's own Chromium; None where Playwright's is to be used."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


def starts() -> bool:
    """Whether a browser comes up and shows a page."""
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
            page = browser.new_page()
            page.set_content("<title>up</title>")
            title = page.title()
            browser.close()
    except Error:
        return False
    return title == "up"


def _run(*command: str) -> bool:
    sys.stdout.write(f"Chromium: {' '.join(command)}\n")
    sys.stdout.flush()
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0


def install() -> bool:
    """See that a browser starts, installing one where none does."""
    if starts():
        return True
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _run("apt-get", "update", "-qq")
        if _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-nanum") and starts():
            return True
    _run(sys.executable, "-m", "playwright", "install", "chromium")
    return starts()


if __name__ == "__main__":
    if not install():
        sys.exit("No Chromium starts here: install the distribution's chromium package, then run this again.")
