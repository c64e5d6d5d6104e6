"""Train a small network on scikit-learn's handwritten digits, data-parallel over the workers of a gang.

Each worker takes every WORLD_SIZE-th image. After every step the gradients are averaged over sockets: worker 0 listens at
MASTER_ADDR:MASTER_PORT, adds up what the others send, and sends the mean back. So any engine that starts the workers with
these variables can run it. A checkpoint is written after every epoch, and read when training starts again; SIGUSR1 has
the checkpoint of the epoch under way written and the training end.
"""

import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

EPOCHS = int(os.environ.get("EPOCHS", "30"))
HIDDEN, BATCH, RATE, MOMENTUM = 64, 128, 0.1, 0.9
CONNECT_SECONDS_MAX = 60.0
SHAPES = ((64, HIDDEN), (HIDDEN,), (HIDDEN, 10), (10,))

rank = int(os.environ.get("RANK", "0"))
world_size = int(os.environ.get("WORLD_SIZE", "1"))


class Ring:
    """The workers' connections: every worker with worker 0."""

    def __init__(self) -> None:
        self.peers: list[socket.socket] = []
        address = (os.environ.get("MASTER_ADDR", "127.0.0.1"), int(os.environ.get("MASTER_PORT", "29500")))
        if world_size == 1:
            return
        if rank == 0:
            with socket.create_server(("", address[1]), backlog=world_size) as listening:
                listening.settimeout(CONNECT_SECONDS_MAX)
                self.peers = [listening.accept()[0] for _ in range(world_size - 1)]
        else:
            self.peers = [connect(address)]
        for peer in self.peers:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """The mean of every worker's ``values``, the same on all."""
        if world_size == 1:
            return values
        if rank == 0:
            total = values.copy()
            for peer in self.peers:
                total += receive(peer)
            total /= world_size
            for peer in self.peers:
                send(peer, total)
            return total
        send(self.peers[0], values)
        return receive(self.peers[0])


def connect(address: tuple[str, int]) -> socket.socket:
    """Connect to worker 0, which may start later."""
    until = time.monotonic() + CONNECT_SECONDS_MAX
    while True:
        try:
            return socket.create_connection(address, timeout=CONNECT_SECONDS_MAX)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def send(peer: socket.socket, values: np.ndarray) -> None:
    """Send an array of doubles behind its length."""
    data = values.tobytes()
    peer.sendall(struct.pack("!Q", len(data)) + data)


def receive(peer: socket.socket) -> np.ndarray:
    """Receive what ``send`` sent."""
    (length,) = struct.unpack("!Q", receive_bytes(peer, 8))
    return np.frombuffer(receive_bytes(peer, length), dtype=np.float64)


def receive_bytes(peer: socket.socket, count: int) -> bytes:
    """Receive exactly ``count`` bytes."""
    parts = []
    while count:
        part = peer.recv(count)
        if not part:
            raise ConnectionError("another worker of the gang has gone")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def unpack(flat: np.ndarray) -> list[np.ndarray]:
    """Cut the flat parameters into layers."""
    layers, start = [], 0
    for shape in SHAPES:
        size = int(np.prod(shape))
        layers.append(flat[start : start + size].reshape(shape))
        start += size
    return layers


def forward(flat: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hidden activations and class probabilities."""
    weights, bias, out_weights, out_bias = unpack(flat)
    hidden = np.maximum(images @ weights + bias, 0)
    scores = hidden @ out_weights + out_bias
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return hidden, scores / scores.sum(axis=1, keepdims=True)


def gradient(flat: np.ndarray, images: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Cross-entropy and its gradient over one batch."""
    hidden, probabilities = forward(flat, images)
    count = len(labels)
    loss = float(-np.log(probabilities[np.arange(count), labels] + 1e-12).mean())
    error = probabilities.copy()
    error[np.arange(count), labels] -= 1
    error /= count
    _, _, out_weights, _ = unpack(flat)
    back = (error @ out_weights.T) * (hidden > 0)
    parts = (images.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0))
    return loss, np.concatenate([part.ravel() for part in parts])


def initial() -> np.ndarray:
    """The same first parameters on every worker."""
    dice = np.random.default_rng(7)
    layers = [dice.normal(0, (2 / shape[0]) ** 0.5, shape) if len(shape) == 2 else np.zeros(shape) for shape in SHAPES]
    return np.concatenate([layer.ravel() for layer in layers])


def save(path: Path, epoch: int, flat: np.ndarray, velocity: np.ndarray) -> None:
    """Replace the checkpoint as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new.npz")
    np.savez(fresh, epoch=epoch, flat=flat, velocity=velocity)
    fresh.replace(path)


def main() -> int:
    """Train from the checkpoint, or from the beginning."""
    asked_to_stop = []
    signal.signal(signal.SIGUSR1, lambda *_: asked_to_stop.append(True))
    digits = load_digits()
    order = np.random.default_rng(3).permutation(len(digits.target))
    images, labels = digits.data[order] / 16.0, digits.target[order]
    test_images, test_labels = images[1500:], labels[1500:]
    images, labels = images[:1500][rank::world_size], labels[:1500][rank::world_size]
    checkpoint = Path(os.environ.get("DURE_CHECKPOINT_DIR", "checkpoint")) / "digits.npz"
    flat, start = initial(), 0
    velocity = np.zeros_like(flat)
    if checkpoint.exists():
        with np.load(checkpoint) as saved:
            start, flat, velocity = int(saved["epoch"]), saved["flat"], saved["velocity"]
    ring = Ring()
    # Workers may have read checkpoints of different epochs: worker 0's counts for all.
    state = ring.mean(np.concatenate([[start], flat, velocity]) * (world_size if rank == 0 else 0))
    start = round(state[0])
    flat, velocity = state[1 : 1 + len(flat)].copy(), state[1 + len(flat) :].copy()
    print(f"worker {rank} of {world_size} starts at epoch {start} on {socket.gethostname()}", flush=True)
    steps = len(labels) // (BATCH // world_size)
    for epoch in range(start + 1, EPOCHS + 1):
        shuffled = np.random.default_rng(epoch).permutation(len(labels))
        losses = []
        for step in range(steps):
            batch = shuffled[step * (BATCH // world_size) : (step + 1) * (BATCH // world_size)]
            loss, slope = gradient(flat, images[batch], labels[batch])
            mean = ring.mean(np.concatenate([[loss, float(bool(asked_to_stop))], slope]))
            losses.append(mean[0])
            velocity = MOMENTUM * velocity - RATE * mean[2:]
            flat = flat + velocity
            stop = mean[1] > 0
        if rank == 0:
            accuracy = float((forward(flat, test_images)[1].argmax(axis=1) == test_labels).mean())
            save(checkpoint, epoch, flat, velocity)
            print(f"epoch {epoch} loss {np.mean(losses):.4f} accuracy {accuracy:.4f}", flush=True)
        if stop:
            print(f"worker {rank} stops after the checkpoint of epoch {epoch}", flush=True)
            return 1
    if rank == 0:
        Path("outputs").mkdir(exist_ok=True)
        np.savez("outputs/model.npz", flat=flat)
    return 0


if __name__ == "__main__":
    sys.exit(main())
