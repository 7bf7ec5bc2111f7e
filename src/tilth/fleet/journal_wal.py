r"""The log of SQLite, read frame by frame: what of it is sound.

SQLite ends its reading of the log at the first frame whose checksum is wrong, and
takes what follows for the remains of a torn write. After a power cut that is right;
after a bit flip in the middle it would silently drop commits that were acknowledged.
The difference is visible: a transaction is flushed before the next begins, so a torn
write is never followed by a commit.

The checksum of a frame is a pair of 32-bit sums over its 32-bit words
:math:`x_0, x_1, ...`, carried on from frame to frame,

.. math:: s_0 \leftarrow s_0 + x_{2i} + s_1, \quad s_1 \leftarrow s_1 + x_{2i+1} + s_0.

It is linear, so most bits of a frame change it by a pattern of their own: a single
flipped bit can be found and flipped back, in about six of seven cases; in others the
page is often written again later, and what it held in between is not needed.

References
----------
https://www.sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

_HEADER = 32
_FRAME = 24
_MAGIC = (0x377F0682, 0x377F0683)


@dataclass(frozen=True)
class WalReport:
    """What was found in a log.

    Parameters
    ----------
    frames : int
        Frames SQLite will read.
    commits : int
        Transactions among them.
    lost_frames, lost_commits : int
        Frames of the same log after the first damaged one, itself included, and the
        transactions that end among them.
    repaired : int
        Bits that were flipped back (only by `repair_wal`).
    """

    frames: int = 0
    commits: int = 0
    lost_frames: int = 0
    lost_commits: int = 0
    repaired: int = 0

    @property
    def damaged(self) -> bool:
        """Whether commits are lost that were complete: never so by a torn write."""
        return self.lost_commits > 1

    @property
    def torn(self) -> bool:
        """Whether the end was cut: what a power cut leaves."""
        return self.lost_frames > 0 and not self.damaged


class _Wal:
    """A log in memory."""

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)
        head = struct.unpack(">8I", content[:_HEADER])
        self.page = 65536 if head[2] == 1 else head[2]
        self.good = head[0] in _MAGIC and 512 <= self.page <= 65536
        self.order = ">" if head[0] == _MAGIC[1] else "<"
        self.salts = content[16:24]
        if self.good:
            self.seed = (head[6], head[7])
            self.good = self._sums((0, 0), content[:24]) == self.seed
        self.size = _FRAME + self.page
        self.count = (len(content) - _HEADER) // self.size if self.good else 0

    def _sums(self, seed: tuple[int, int], data: bytes) -> tuple[int, int]:
        return wal_checksum(seed, data, self.order)

    def at(self, k: int) -> int:
        return _HEADER + k * self.size

    def covered(self, k: int) -> bytes:
        """Return what the checksum of a frame is over."""
        at = self.at(k)
        page = self.content[at + _FRAME : at + self.size]
        return bytes(self.content[at : at + 8] + page)

    def stored(self, k: int) -> tuple[int, int]:
        at = self.at(k)
        sums: tuple[int, int] = struct.unpack(">2I", self.content[at + 16 : at + 24])
        return sums

    def page_number(self, k: int) -> bytes:
        return bytes(self.content[self.at(k) : self.at(k) + 4])

    def same_log(self, k: int) -> bool:
        at = self.at(k)
        return self.content[at + 8 : at + 16] == self.salts

    def is_commit(self, k: int) -> bool:
        at = self.at(k)
        return self.content[at + 4 : at + 8] != b"\0\0\0\0"

    def valid(self, k: int, seed: tuple[int, int]) -> bool:
        return self.same_log(k) and self._sums(seed, self.covered(k)) == self.stored(k)


def inspect_wal(path: Path) -> WalReport:
    """Look at a log before SQLite does.

    Parameters
    ----------
    path : Path
        The file ``...-wal``; may be absent.

    Returns
    -------
    WalReport
    """
    wal = _read(path)
    return WalReport() if wal is None else _report(wal)


def repair_wal(path: Path) -> WalReport:
    """Flip single flipped bits of a log back, as long as there is only one way.

    The file is replaced only if more of it can be read afterwards.

    Parameters
    ----------
    path : Path
        The file ``...-wal``; may be absent.

    Returns
    -------
    WalReport
        Of the file as it is now.
    """
    wal = _read(path)
    if wal is None:
        return WalReport()
    before = _report(wal)
    report, repaired = before, 0
    while report.damaged and _mend(wal, report.frames):
        repaired += 1
        report = _report(wal)
    if not repaired or report.commits <= before.commits:
        return before
    beside = path.with_name(path.name + ".mending")
    with open(beside, "wb") as file:
        file.write(wal.content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    return WalReport(
        report.frames, report.commits, report.lost_frames, report.lost_commits, repaired
    )


def _read(path: Path) -> _Wal | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(content) <= _HEADER:
        return None
    wal = _Wal(content)
    return wal if wal.good else None


def _report(wal: _Wal) -> WalReport:
    seed = wal.seed
    frames = commits = 0
    since = 0
    for k in range(wal.count):
        if not wal.valid(k, seed):
            break
        seed = wal.stored(k)
        frames += 1
        if wal.is_commit(k):
            commits += 1
            since = frames
    later = [k for k in range(frames, wal.count) if wal.same_log(k)]
    # A frame with a damaged salt stands between frames of this log.
    lost_commits = sum(wal.is_commit(k) for k in later)
    lost_frames = later[-1] + 1 - since if later else frames - since
    return WalReport(frames, commits, lost_frames, lost_commits)


def _mend(wal: _Wal, k: int) -> bool:
    """Flip the bit of frame `k` back that makes it valid, if there is one."""
    seed = wal.seed if k == 0 else wal.stored(k - 1)
    at = wal.at(k)
    if not wal.same_log(k):
        wal.content[at + 8 : at + 16] = wal.salts
        if wal.valid(k, seed):
            return True
    found = wal_checksum(seed, wal.covered(k), wal.order)
    if k + 1 < wal.count and wal.valid(k + 1, found):
        # The frame is right and its checksum is not.
        wal.content[at + 16 : at + 24] = struct.pack(">2I", *found)
        return True
    stored = wal.stored(k)
    flips = _find_flips(
        wal.covered(k),
        ((stored[0] - found[0]) & 0xFFFFFFFF, (stored[1] - found[1]) & 0xFFFFFFFF),
        wal.order,
    )
    if len(flips) == 1:
        byte, bit = flips[0]
        place = at + byte if byte < 8 else at + _FRAME + byte - 8
        wal.content[place] ^= 1 << bit
        return wal.valid(k, seed)
    in_the_page = bool(flips) and min(byte for byte, _ in flips) >= 8
    return in_the_page and _supersede(wal, k, seed)


def _supersede(wal: _Wal, k: int, seed: tuple[int, int]) -> bool:
    """Give a damaged frame the page of a later one, if the page was written again.

    What the page held in between is overwritten anyway when the log is read to its
    end. Which page it is must be certain.
    """
    end = k + 1
    while end < wal.count and wal.valid(end, wal.stored(end - 1)):
        end += 1
    while end > k + 1 and not wal.is_commit(end - 1):
        end -= 1
    page = wal.page_number(k)
    again = [j for j in range(k + 1, end) if wal.page_number(j) == page]
    if not again:
        return False
    one, other = wal.at(k) + _FRAME, wal.at(again[0]) + _FRAME
    wal.content[one : one + wal.page] = wal.content[other : other + wal.page]
    for j in range(k, end):
        seed = wal_checksum(seed, wal.covered(j), wal.order)
        wal.content[wal.at(j) + 16 : wal.at(j) + 24] = struct.pack(">2I", *seed)
    return True


def wal_checksum(seed: tuple[int, int], data: bytes, order: str) -> tuple[int, int]:
    """Return the checksum of SQLite's log.

    Parameters
    ----------
    seed : (int, int)
        Checksum of what comes before.
    data : bytes
        A multiple of 8 bytes.
    order : str
        Order of the bytes in a word, ``<`` or ``>``.

    Examples
    --------
    >>> wal_checksum((0, 0), bytes([1, 0, 0, 0, 2, 0, 0, 0]), "<")
    (1, 3)
    """
    words = np.frombuffer(data, order + "u4").astype(np.uint32)
    weights = _weights(len(words) // 2)
    start = np.array(seed, np.uint32)
    with np.errstate(over="ignore"):
        sums = (weights[:, :-2] * words).sum(axis=1, dtype=np.uint32)
        sums += (weights[:, -2:] * start).sum(axis=1, dtype=np.uint32)
    return int(sums[0]), int(sums[1])


@lru_cache(maxsize=8)
def _weights(steps: int) -> np.ndarray:
    """Return what each word, then each sum before, adds to both sums, modulo 2**32."""
    # One step is s0, s1 <- s0 + s1 + x0, s0 + 2 s1 + x0 + x1. Backwards from the end:
    # a word that adds (u, v) to the sums after its step adds M (u, v) in the end.
    weights = np.zeros((2, 2 * steps + 2), np.uint32)
    a, b, c, d = 1, 0, 0, 1  # M, the product of the steps that follow
    for k in range(steps - 1, -1, -1):
        weights[:, 2 * k] = (a + b) & 0xFFFFFFFF, (c + d) & 0xFFFFFFFF
        weights[:, 2 * k + 1] = b, d
        a, b, c, d = (
            (a + b) & 0xFFFFFFFF,
            (a + 2 * b) & 0xFFFFFFFF,
            (c + d) & 0xFFFFFFFF,
            (c + 2 * d) & 0xFFFFFFFF,
        )
    weights[:, -2:] = [[a, b], [c, d]]
    return weights


def _find_flips(
    data: bytes, change: tuple[int, int], order: str
) -> list[tuple[int, int]]:
    """Return each byte and bit whose flip changes the checksum so.

    There may be several: of the highest bit of a word only the parity of its
    weights is seen.
    """
    words = np.frombuffer(data, order + "u4").astype(np.uint32)
    weights = _weights(len(words) // 2)[:, :-2]
    flips = []
    for bit in range(32):
        step = np.uint32(1 << bit)
        # Flipping a set bit subtracts, a clear one adds.
        delta = np.where(words & step, np.uint32(-int(step) & 0xFFFFFFFF), step)
        hits = np.flatnonzero(
            (weights[0] * delta == np.uint32(change[0]))
            & (weights[1] * delta == np.uint32(change[1]))
        )
        inside = bit // 8 if order == "<" else 3 - bit // 8
        flips += [(int(hit) * 4 + inside, bit % 8) for hit in hits]
    return flips
