"""What a power cut leaves: only what was flushed, and any part of the rest.

`disk.c` logs what a server does to its files; `rebuild` puts a folder into the state
a disk could be in after the power went. A write that was not flushed survives or not,
sector by sector; a new name, a rename or a deletion is certain only once the folder
was flushed.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

SECTOR = 512
_HEAD = struct.Struct("<cIQQ")


def build(folder: Path) -> Path | None:
    """Compile the library; None where there is no gcc."""
    if shutil.which("gcc") is None:
        return None
    library = folder / "disk.so"
    source = Path(__file__).with_name("disk.c")
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-w", "-o", library, source, "-ldl"],
        check=True,
    )
    return library


class File:
    """A file: as the process sees it, as flushed, and what lies between."""

    def __init__(self, content: bytes = b"") -> None:
        self.now = bytearray(content)
        self.safe = bytearray(content)
        self.pending: list[tuple[int, bytes | None]] = []

    def write(self, offset: int, data: bytes) -> None:
        """Note a write that is not flushed yet."""
        _put(self.now, offset, data)
        self.pending.append((offset, data))

    def truncate(self, size: int) -> None:
        """Note a change of length that is not flushed yet."""
        _cut(self.now, size)
        self.pending.append((size, None))

    def flush(self) -> None:
        """Note that all is on the disk now."""
        for offset, data in self.pending:
            _put(self.safe, offset, data) if data is not None else _cut(
                self.safe, offset
            )
        self.pending.clear()

    def fail(self) -> None:
        """Note a failed flush: the system takes for written what never was."""
        self.pending.clear()

    def after_cut(self, chance: random.Random, survives: float) -> bytes:
        """Return what may be left of it."""
        left = bytearray(self.safe)
        for offset, data in self.pending:
            if data is None:
                if chance.random() < survives:
                    _cut(left, offset)
                continue
            for k in range(0, len(data), SECTOR):
                if chance.random() < survives:
                    _put(left, offset + k, data[k : k + SECTOR])
        return bytes(left)


def rebuild(log: Path, before: Path, folder: Path, seed: int) -> dict[str, int]:
    """Put `folder` into a state that a power cut could have left.

    Parameters
    ----------
    log : Path
        What the process did.
    before : Path
        A copy of the folder from before it did it.
    folder : Path
        Replaced.
    seed : int
        Which of the possible states: 0 loses all that was not flushed.

    Returns
    -------
    dict
        Counts of changes, of flushes and of writes that were not flushed.
    """
    chance = random.Random(seed)
    survives = (0.0, 0.5, 0.9, 0.1, 1.0)[seed % 5]
    names = {
        path.name: File(path.read_bytes())
        for path in before.iterdir()
        if path.is_file() and not path.name.endswith("-shm")
    }
    safe_names = dict(names)
    pending_names: list[dict[str, File]] = []
    counts = {"changes": 0, "flushes": 0, "failed": 0}
    for op, path, offset, data in _read(log):
        name = Path(path).name
        counts["changes"] += 1
        if Path(path) == folder:
            if op == "S":
                safe_names = dict(names)
                pending_names.clear()
            continue
        if op == "C":
            names[name] = File()
            pending_names.append(dict(names))
        elif op == "U":
            names.pop(name, None)
            pending_names.append(dict(names))
        elif op == "R":
            names[Path(data.decode()).name] = names.pop(name)
            pending_names.append(dict(names))
        elif op == "W":
            names[name].write(offset, data)
        elif op == "T":
            names[name].truncate(offset)
        elif op == "S":
            names[name].flush()
            counts["flushes"] += 1
        elif op == "E":
            names[name].fail()
            counts["failed"] += 1
    # A file system keeps the order of its names: some first part of them is done.
    if pending_names and chance.random() < survives:
        safe_names = chance.choice(pending_names)
    counts["unflushed"] = sum(len(file.pending) for file in names.values())
    shutil.rmtree(folder)
    folder.mkdir()
    for name, file in safe_names.items():
        (folder / name).write_bytes(file.after_cut(chance, survives))
    return counts


def _read(log: Path) -> Iterator[tuple[str, str, int, bytes]]:
    raw = log.read_bytes()
    at = 0
    while at + _HEAD.size <= len(raw):
        op, path_size, offset, size = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        path = raw[at : at + path_size].decode()
        at += path_size
        data = b""
        if op in b"WR":
            data = raw[at : at + size]
            at += size
        yield op.decode(), path, offset, data


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _cut(content: bytearray, size: int) -> None:
    if size < len(content):
        del content[size:]
    else:
        content.extend(bytes(size - len(content)))
