"""What a worker finds, and what it must not find, in its environment."""

from __future__ import annotations

from run_orders import run_order

from connectors.agent.environment import inherited, worker_environment

MACHINE = {
    "PATH": "/usr/bin",
    "LC_ALL": "ko_KR.UTF-8",
    "DURE_AGENT_TOKEN": "secret",
    "DURE_SITE_CREDENTIAL": "secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "RAY_AUTH_TOKEN": "secret",
    "PYTHONPATH": "/agent",
}


def environment(**values: object) -> dict[str, str]:
    order = run_order(gang=(("default-0", (0, 1)), ("default-1", (2,))), gpus_per_worker=4, **values)
    return worker_environment(
        order,
        2,
        master_address="10.0.0.1",
        master_port=29500,
        checkpoint_directory="/checkpoints/1",
        gpu_indices=(4, 5, 6, 7),
        machine=MACHINE,
    )


def test_only_listed_variables_of_the_machine_are_let_through() -> None:
    assert inherited(MACHINE) == {"PATH": "/usr/bin", "LC_ALL": "ko_KR.UTF-8"}
    assert "secret" not in environment().values()


def test_torchrun_finds_its_peers_with_one_process_a_gpu() -> None:
    found = environment()
    assert {name: value for name, value in found.items() if name.startswith("PET_")} == {
        "PET_NNODES": "3",
        "PET_NODE_RANK": "2",
        "PET_NPROC_PER_NODE": "4",
        "PET_MASTER_ADDR": "10.0.0.1",
        "PET_MASTER_PORT": "29500",
        "PET_RDZV_BACKEND": "static",
    }


def test_the_federation_stands_above_the_job_and_the_job_above_the_machine() -> None:
    found = environment(environment={"PATH": "/job/bin", "RANK": "99", "PET_RDZV_BACKEND": "c10d"})
    assert (found["PATH"], found["RANK"], found["PET_RDZV_BACKEND"]) == ("/job/bin", "2", "c10d")


def test_gpus_and_checkpoint_are_named_only_where_there_are_any() -> None:
    assert environment()["CUDA_VISIBLE_DEVICES"] == "4,5,6,7"
    bare = worker_environment(run_order(), 0, master_address="a", master_port=1, checkpoint_directory=None, machine={})
    assert "CUDA_VISIBLE_DEVICES" not in bare
    assert "DURE_CHECKPOINT_DIR" not in bare


def test_a_job_that_declares_no_checkpoint_has_no_place_for_one() -> None:
    order = run_order()
    found = worker_environment(
        order, 0, master_address="a", master_port=1, checkpoint_directory=None, machine={"DURE_CHECKPOINT_DIR": "/x"}
    )
    assert "DURE_CHECKPOINT_DIR" not in found
