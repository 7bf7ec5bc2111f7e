"""The flash of a simulated chamber: files in memory that survive as real ones do."""

from __future__ import annotations

import random

ENOENT, EIO, EEXIST, EISDIR, ENOSPC, EROFS, ENOTEMPTY = 2, 5, 17, 21, 28, 30, 39


class _Data:
    """Bytes of one file: those written, and how much of them a power cut leaves."""

    __slots__ = ("after", "bytes", "kept")

    def __init__(self) -> None:
        self.bytes = bytearray()
        # Durable are the first `kept` bytes, unless `after` holds the durable
        # content of a file changed elsewhere than at its end.
        self.kept = 0
        self.after: bytes | None = None


class MemoryFlash:
    """The file system `hw.fs` of a chamber.

    Synchronised bytes survive a power cut; of what was appended since, a torn part
    may. Renaming is atomic.

    Parameters
    ----------
    capacity : int
        Bytes.
    seed : int
        Of the torn writes and flipped bits.

    Attributes
    ----------
    full, read_only : bool
        Faults: nothing more fits; nothing can be changed.
    writes : int
        Changes so far.
    """

    def __init__(self, capacity: int = 12 * 1024 * 1024, seed: int = 0) -> None:
        self.capacity = capacity
        self.full = False
        self.read_only = False
        self.writes = 0
        self._files: dict[str, _Data] = {}
        self._folders: dict[str, set[str]] = {"/": set()}
        self._used = 0
        self._random = random.Random(seed)

    # --- what the firmware calls

    def listdir(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        path = _clean(folder)
        if path not in self._folders:
            raise OSError(ENOENT)
        return sorted(self._folders[path])

    def open(self, path: str, mode: str) -> MemoryFile:
        """Open a file; modes "rb", "wb", "ab" and "r+b"."""
        path = _clean(path)
        if path in self._folders:
            raise OSError(EISDIR)
        data = self._files.get(path)
        if data is None:
            if mode in ("rb", "r+b"):
                raise OSError(ENOENT)
            folder, name = _split(path)
            if folder not in self._folders:
                raise OSError(ENOENT)
            self._changing()
            data = self._files[path] = _Data()
            self._folders[folder].add(name)
        elif mode == "wb" and data.bytes:
            self._changing()
            self._rewriting(data)
            self._used -= len(data.bytes)
            data.bytes = bytearray()
        return MemoryFile(self, data, mode)

    def rename(self, old: str, new: str) -> None:
        """Rename a file; one of the new name is replaced."""
        old, new = _clean(old), _clean(new)
        if old not in self._files:
            raise OSError(ENOENT)
        self._changing()
        if new in self._files:
            self._used -= len(self._files[new].bytes)
        self._files[new] = self._files.pop(old)
        folder, name = _split(old)
        self._folders[folder].discard(name)
        folder, name = _split(new)
        self._folders[folder].add(name)

    def remove(self, path: str) -> None:
        """Remove a file or an empty folder."""
        path = _clean(path)
        folder, name = _split(path)
        if path in self._folders:
            if self._folders[path]:
                raise OSError(ENOTEMPTY)
            self._changing()
            del self._folders[path]
        elif path in self._files:
            self._changing()
            self._used -= len(self._files.pop(path).bytes)
        else:
            raise OSError(ENOENT)
        self._folders[folder].discard(name)

    def mkdir(self, path: str) -> None:
        """Make one folder."""
        path = _clean(path)
        folder, name = _split(path)
        if path in self._folders or path in self._files:
            raise OSError(EEXIST)
        if folder not in self._folders:
            raise OSError(ENOENT)
        self._changing()
        self._folders[path] = set()
        self._folders[folder].add(name)

    def size(self, path: str) -> int:
        """Return the bytes of a file."""
        data = self._files.get(_clean(path))
        if data is None:
            raise OSError(ENOENT)
        return len(data.bytes)

    def free(self) -> int:
        """Return the bytes left."""
        return 0 if self.full else max(0, self.capacity - self._used)

    # --- what the simulator calls

    def put(self, path: str, content: bytes) -> None:
        """Place a durable file with its folders, past every fault."""
        path = _clean(path)
        parts = path.split("/")[1:]
        folder = "/"
        for name in parts[:-1]:
            self._folders[folder].add(name)
            folder = f"{folder.rstrip('/')}/{name}"
            self._folders.setdefault(folder, set())
        self._folders[folder].add(parts[-1])
        data = self._files.setdefault(path, _Data())
        self._used += len(content) - len(data.bytes)
        data.bytes, data.kept, data.after = bytearray(content), len(content), None

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file, None if there is none."""
        data = self._files.get(_clean(path))
        return None if data is None else bytes(data.bytes)

    def paths(self) -> list[str]:
        """Return the paths of all files."""
        return sorted(self._files)

    def power_cut(self) -> None:
        """Leave what a power cut leaves: what was synchronised, and torn ends."""
        for data in self._files.values():
            before = len(data.bytes)
            if data.after is not None:
                data.bytes = bytearray(data.after)
            elif len(data.bytes) > data.kept:
                torn = self._random.randint(data.kept, len(data.bytes))
                del data.bytes[torn:]
            data.kept, data.after = len(data.bytes), None
            self._used += len(data.bytes) - before

    def flip(self, bits: int, folder: str = "/") -> int:
        """Turn random bits of the files below a folder; return how many were."""
        paths = [p for p in self.paths() if p.startswith(_clean(folder))]
        paths = [p for p in paths if self._files[p].bytes]
        if not paths:
            return 0
        for _ in range(bits):
            content = self._files[self._random.choice(paths)].bytes
            at = self._random.randrange(len(content) * 8)
            content[at // 8] ^= 1 << (at % 8)
        return bits

    def copy(self, seed: int) -> MemoryFlash:
        """Return a copy, as of a cloned chip."""
        other = MemoryFlash(self.capacity, seed)
        for folder in sorted(self._folders, key=len):
            other._folders[folder] = set(self._folders[folder])
        for path, data in self._files.items():
            other.put(path, bytes(data.bytes))
        return other

    def _changing(self, more: int = 0) -> None:
        if self.read_only:
            raise OSError(EROFS)
        if more > 0 and (self.full or self._used + more > self.capacity):
            raise OSError(ENOSPC)
        self.writes += 1
        self._used += more

    @staticmethod
    def _rewriting(data: _Data) -> None:
        """Keep the durable content before it is changed elsewhere than at the end."""
        if data.after is None:
            data.after = bytes(data.bytes[: data.kept])


class MemoryFile:
    """An open file of `MemoryFlash`."""

    __slots__ = ("_at", "_data", "_flash", "_mode")

    def __init__(self, flash: MemoryFlash, data: _Data, mode: str) -> None:
        self._flash, self._data, self._mode = flash, data, mode
        self._at = len(data.bytes) if mode == "ab" else 0

    def read(self, n: int = -1) -> bytes:
        """Read `n` bytes, all by default."""
        content = self._data.bytes
        end = len(content) if n is None or n < 0 else self._at + n
        part = bytes(content[self._at : end])
        self._at += len(part)
        return part

    def write(self, part) -> int:
        """Write all of `part`."""
        data = self._data
        if self._mode == "rb":
            raise OSError(EROFS)
        if self._mode == "ab":
            self._at = len(data.bytes)
        n = len(part)
        grows = self._at + n - len(data.bytes)
        self._flash._changing(max(grows, 0))
        if self._at < len(data.bytes):
            self._flash._rewriting(data)
        data.bytes[self._at : self._at + n] = part
        self._at += n
        return n

    def seek(self, at: int, whence: int = 0) -> int:
        """Go to a place; whence 0 from the start, 2 from the end."""
        self._at = at if whence == 0 else len(self._data.bytes) + at
        return self._at

    def flush(self) -> None:
        """Do nothing: flushed is not durable."""

    def sync(self) -> None:
        """Make the bytes durable."""
        if self._mode != "rb":
            self._data.kept, self._data.after = len(self._data.bytes), None

    def close(self) -> None:
        """Synchronise, as littlefs does at closing."""
        self.sync()

    def __enter__(self) -> MemoryFile:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _clean(path: str) -> str:
    if path[:1] == "/" and "//" not in path and (path[-1] != "/" or path == "/"):
        return path
    return "/" + "/".join(part for part in path.split("/") if part)


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder or "/", name
