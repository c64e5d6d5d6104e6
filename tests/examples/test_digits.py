"""The example job, as two real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from eventually import eventually
from real_redis import free_port

pytestmark = pytest.mark.slow

TRAIN = Path(__file__).resolve().parents[2] / "examples" / "digits" / "train.py"


class Gang:
    """Two workers that find each other as a connector would have them."""

    def __init__(self, folder: Path, epochs: int) -> None:
        self._folder = folder
        port = str(free_port())
        self._workers = []
        for rank in range(2):
            environment = {
                **os.environ,
                "RANK": str(rank),
                "WORLD_SIZE": "2",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
                "EPOCHS": str(epochs),
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                "DURE_CHECKPOINT_DIR": str(folder / "checkpoint"),
            }
            with self._log(rank).open("ab") as log:
                self._workers.append(
                    subprocess.Popen([sys.executable, str(TRAIN)], cwd=folder, env=environment, stdout=log, stderr=log)
                )

    def _log(self, rank: int) -> Path:
        return self._folder / f"log-{rank}"

    def wait(self) -> list[int]:
        """Their exit codes."""
        return [worker.wait(90) for worker in self._workers]

    def signal(self, number: int) -> None:
        """Signal all of them."""
        for worker in self._workers:
            worker.send_signal(number)

    def log(self) -> str:
        """What worker 0 wrote."""
        return self._log(0).read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_two_workers_train_to_above_nine_tenths(folder: Path) -> None:
    gang = Gang(folder, epochs=12)
    assert gang.wait() == [0, 0]
    accuracies = [float(found) for found in re.findall(r"accuracy ([0-9.]+)", gang.log())]
    assert len(accuracies) == 12 and accuracies[-1] > 0.9
    assert (folder / "outputs" / "model.npz").exists()


def test_killed_training_goes_on_from_its_checkpoint(folder: Path) -> None:
    gang = Gang(folder, epochs=100_000)
    eventually(lambda: "epoch 3 " in gang.log(), 60)
    gang.signal(signal.SIGKILL)
    gang.wait()
    last = max(int(found) for found in re.findall(r"epoch (\d+) loss", gang.log()))
    again = Gang(folder, epochs=last + 2)
    assert again.wait() == [0, 0]
    started = [int(found) for found in re.findall(r"starts at epoch (\d+)", again.log())]
    assert started[-1] in (last, last + 1)


def test_the_checkpoint_signal_ends_training_after_a_checkpoint(folder: Path) -> None:
    gang = Gang(folder, epochs=100_000)
    eventually(lambda: "epoch 2 " in gang.log(), 60)
    gang.signal(signal.SIGUSR1)
    assert gang.wait() == [1, 1]
    assert "stops after the checkpoint" in gang.log()
