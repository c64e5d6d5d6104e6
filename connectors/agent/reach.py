"""Whether a site's jobs can read what its agent keeps: its credential above all."""

from __future__ import annotations

import os
from pathlib import Path


def why_in_reach(connector: str, *, processes: Path = Path("/proc"), user_id: int | None = None) -> str | None:
    """Why jobs of this engine can read the agent's own files, as far as this machine shows; None where nothing says
    so. ``processes`` is laid out as /proc is.
    """
    if connector == "local":
        return "jobs of a local site run as the agent's own user"
    wanted = os.getuid() if user_id is None else user_id
    for entry in processes.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            program = (entry / "cmdline").read_bytes().partition(b"\0")[0]
            same_user = entry.stat().st_uid == wanted
        except OSError:
            continue
        if same_user and program.rpartition(b"/")[2] == b"raylet":
            return "Ray runs on this machine as the agent's own user"
    return None
