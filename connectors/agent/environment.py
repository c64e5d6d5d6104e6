"""What a worker finds in its environment, the same at every engine.

One process a worker: RANK and WORLD_SIZE count workers. A bare ``torchrun train.py`` reads each of its
options from PET_<OPTION>; its default rendezvous (``static``) needs the five below and finds its peers at
PET_MASTER_ADDR and PET_MASTER_PORT, with one process a GPU. torchrun sets RANK, WORLD_SIZE, LOCAL_RANK and
MASTER_* anew for the processes that it makes.
"""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.model.wire import RunOrder

#: What a job may see of the machine's own environment. A list of what is let through, since a list of what is
#: kept back would miss the next secret's name.
INHERITED_NAMES = frozenset(
    {"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"}
    | {"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
    | {"SSL_CERT_DIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}
)
INHERITED_PREFIXES = ("CUDA_", "LC_", "LD_LIBRARY_", "NCCL_", "NVIDIA_")


def inherited(machine: Mapping[str, str]) -> dict[str, str]:
    """The part of the machine's environment that jobs may see: nothing of the agent's own, no token, no
    credential.
    """
    return {
        name: value for name, value in machine.items() if name in INHERITED_NAMES or name.startswith(INHERITED_PREFIXES)
    }


def worker_environment(
    order: RunOrder,
    rank: int,
    *,
    master_address: str,
    master_port: int,
    checkpoint_directory: str | None,
    gpu_indices: tuple[int, ...] | None = None,
    machine: Mapping[str, str],
) -> dict[str, str]:
    """Everything worker ``rank`` of ``order`` finds in its environment.

    ``machine`` is the environment of the machine, of which ``inherited`` is let through; the job's own
    variables stand above it and the federation's above those. ``checkpoint_directory`` is the place itself (a
    path for "auto", else the object store's address), None for a job that keeps none. ``gpu_indices`` becomes
    CUDA_VISIBLE_DEVICES; None where the engine sets it.
    """
    environment = inherited(machine) | {"PYTHONUNBUFFERED": "1", "PET_RDZV_BACKEND": "static"} | order.environment
    environment |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(order.workers),
        "LOCAL_RANK": "0",
        "MASTER_ADDR": master_address,
        "MASTER_PORT": str(master_port),
        "PET_NNODES": str(order.workers),
        "PET_NODE_RANK": str(rank),
        "PET_NPROC_PER_NODE": str(order.gpus_per_worker),
        "PET_MASTER_ADDR": master_address,
        "PET_MASTER_PORT": str(master_port),
        "DURE_JOB_ID": str(order.job_id),
        "DURE_RUN_ID": str(order.run_id),
        "DURE_EPOCH": str(order.epoch),
    }
    if checkpoint_directory is not None:
        environment["DURE_CHECKPOINT_DIR"] = checkpoint_directory
    if gpu_indices is not None:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(str(index) for index in gpu_indices)
    return environment
