"""What a Ray site's connector is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySettings:
    """Settings of one cluster. ``listen_host`` is where gangs reach the agent; ``checkpoint_root`` a folder on the nodes
    (shared, or each node's own for jobs of one node); ``gpu_class`` and ``pool`` are for nodes whose labels
    ``dure.io/gpu-class``, ``dure.io/pool`` and ``dure.io/domain`` (HALL/SPINE/LEAF) say nothing;
    ``work_bytes_max`` is what a working directory may unpack to: it lies once here and once with each worker.
    """

    dashboard_url: str
    state_directory: Path
    gpu_class: str = "h100"
    pool: str = "ray"
    listen_host: str = "127.0.0.1"
    listen_port: int = 0
    checkpoint_root: Path | None = None
    log_bytes_max: int = 64 << 20
    work_bytes_max: int = 8 << 30
    place_seconds_max: float = 60.0
    timeout_seconds: float = 10.0

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints lie on the nodes."""
        return self.checkpoint_root or self.state_directory / "checkpoints"
