"""Which files a gang's workers left are taken, from which worker, and under which name. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from connectors.agent.archive import MEMBERS_MAX


class Answer(StrEnum):
    """What a worker hears about a file: it is to send it; another worker sends the same; it is above the limit of bytes;
    there are too many files.
    """

    SEND = "send"
    SAME = "same"
    LARGE = "large"
    MANY = "many"


@dataclass(frozen=True, slots=True)
class LeftFile:
    """A file as the worker of this rank told of it; ``name`` is relative to the working directory."""

    rank: int
    name: str
    bytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A file that is taken from the archive of worker ``sender``, where it is ``name``, and named anew."""

    sender: int
    name: str
    bytes: int
    named: str


@dataclass(slots=True)
class _Content:
    """One content of one name: the lowest rank that left it, and the worker that sends it."""

    rank: int
    bytes: int
    sender: int


class LeftFiles:
    """What the workers of one gang told, in any order. What the same workers left is taken alike, whichever ended first,
    as long as all fits: the limit of bytes goes to lower ranks first, and of one worker in the order in which it tells.
    ``changes`` counts the words that told something new.
    """

    def __init__(self, bytes_max: int, *, files_max: int = MEMBERS_MAX) -> None:
        self._bytes_max = bytes_max
        self._files_max = files_max
        self._contents: dict[tuple[str, str], _Content] = {}
        self._bytes_of: dict[int, int] = {}
        self._sent_of: dict[int, int] = {}
        self.changes = 0

    @property
    def senders(self) -> set[int]:
        """Workers that were asked for files."""
        return set(self._sent_of)

    def sent_bytes(self, rank: int) -> int:
        """How large the files are that this worker was asked for."""
        return self._sent_of.get(rank, 0)

    def tell(self, file: LeftFile) -> Answer:
        """Take note of a file. The same word again has the same answer."""
        content = self._contents.get((file.name, file.digest))
        if content is not None:
            if file.rank < content.rank:
                self._count(content.rank, -content.bytes)
                self._count(file.rank, content.bytes)
                content.rank = file.rank
                self.changes += 1
            return Answer.SEND if content.sender == file.rank else Answer.SAME
        ahead = sum(size for rank, size in self._bytes_of.items() if rank <= file.rank)
        if ahead + file.bytes > self._bytes_max:
            return Answer.LARGE
        if len(self._contents) >= self._files_max:
            return Answer.MANY
        self._contents[file.name, file.digest] = _Content(file.rank, file.bytes, file.rank)
        self.changes += 1
        self._count(file.rank, file.bytes)
        self._sent_of[file.rank] = self._sent_of.get(file.rank, 0) + file.bytes
        return Answer.SEND

    def _count(self, rank: int, size: int) -> None:
        self._bytes_of[rank] = self._bytes_of.get(rank, 0) + size

    def _in_order(self, arrived: Collection[int]) -> Iterator[tuple[str, _Content, bool]]:
        """Every content that came, lower ranks first, and whether it fits."""
        left = self._bytes_max
        for (name, _), content in sorted(self._contents.items(), key=lambda item: (item[1].rank, item[0])):
            if content.sender in arrived:
                fits = content.bytes <= left
                left -= content.bytes if fits else 0
                yield name, content, fits

    def taken(self, arrived: Collection[int]) -> list[TakenFile]:
        """What is taken of the archives of those workers that sent theirs; lower ranks first."""
        found = [(name, content) for name, content, fits in self._in_order(arrived) if fits]
        names = name_apart((content.rank, name) for name, content in found)
        return [
            TakenFile(content.sender, name, content.bytes, named)
            for (name, content), named in zip(found, names, strict=True)
        ]

    def displaced(self, arrived: Collection[int]) -> list[tuple[int, str]]:
        """Ranks and names of what was sent, and stands behind files of lower ranks that came later."""
        return [(content.rank, name) for name, content, fits in self._in_order(arrived) if not fits]


def name_apart(files: Iterable[tuple[int, str]]) -> list[str]:
    """Names that one folder can hold, for files by rank and name, lower ranks first.

    The first to come to a name keeps it; another is put below ``worker-RANK/``, as is one whose name would be a folder
    for another's, or that would lie below another's name.
    """
    listed = list(files)
    named: list[str | None] = [None] * len(listed)
    names: set[str] = set()
    folders: set[str] = set()

    def fits(name: str) -> bool:
        return name not in names and name not in folders and names.isdisjoint(_folders_of(name))

    def place(number: int, name: str) -> None:
        named[number] = name
        names.add(name)
        folders.update(_folders_of(name))

    for number, (_, name) in enumerate(listed):
        if fits(name):
            place(number, name)
    for number, (rank, name) in enumerate(listed):
        if named[number] is None:
            folder = f"worker-{rank}"
            while not fits(f"{folder}/{name}"):
                folder += "_"
            place(number, f"{folder}/{name}")
    return [name for name in named if name is not None]


def _folders_of(name: str) -> list[str]:
    return list(accumulate(name.split("/")[:-1], "{}/{}".format))
