"""A flash file system in memory that loses power when it is told to.

The model is littlefs: a file's new bytes become durable when it is synchronised
or closed, and until then a power cut brings back the bytes of the last
synchronisation; renaming, removing and making folders are atomic. `torn` makes
it harsher than littlefs: then some of the bytes not yet synchronised stay.
"""

import random

ENOENT, EIO, EEXIST, EISDIR, ENOSPC, EROFS = 2, 5, 17, 21, 28, 30


class PowerCut(BaseException):
    """The supply fails here. No `except Exception` of the firmware may hold it."""


class FakeFlash:
    """Files in memory; every change of the medium counts as one write.

    Parameters
    ----------
    capacity : int
        Bytes in all files together.
    seed : int
        Of what a torn write leaves behind.

    Attributes
    ----------
    writes : int
        Changes of the medium so far (write, sync, rename, remove, mkdir).
    crash_at : int or None
        Number of the change at which `PowerCut` is raised, counted like `writes`
        (`fs.crash_at = fs.writes + k` cuts at the k-th change from now).
    torn : {"none", "prefix", "garbage"}
        What a power cut leaves of bytes written but not synchronised: nothing, a
        random part from the front, or such a part with its last byte wrong. The
        change the power fails in behaves the same.
    read_only : bool
        Every change raises OSError(EROFS).
    bad : set of str
        Paths that raise OSError(EIO) when read or written.
    """

    def __init__(self, capacity=4 * 1024 * 1024, seed=0):
        self.capacity = capacity
        self.durable = {}
        self.live = {}
        self.folders = {"/"}
        self.writes = 0
        self.bytes_written = 0
        self.written_to = {}
        self.crash_at = None
        self.torn = "none"
        self.read_only = False
        self.bad = set()
        self._used = 0
        self._random = random.Random(seed)

    # --- what the firmware calls

    def listdir(self, folder):
        """Names, in the order the medium likes (sorted here), not recursive."""
        folder = _clean(folder)
        if folder not in self.folders:
            raise OSError(ENOENT)
        front = folder if folder == "/" else folder + "/"
        names = {
            path[len(front) :].split("/")[0]
            for path in list(self.live) + list(self.folders)
            if path.startswith(front) and path != folder
        }
        return sorted(names - {""})

    def open(self, path, mode):
        """A file; modes "rb", "wb", "ab" and "r+b"."""
        path = _clean(path)
        if path in self.folders:
            raise OSError(EISDIR)
        if path in self.bad:
            raise OSError(EIO)
        if mode in ("rb", "r+b") and path not in self.live:
            raise OSError(ENOENT)
        if mode not in ("rb", "r+b", "wb", "ab"):
            raise ValueError(mode)
        if mode != "rb":
            if _parent(path) not in self.folders:
                raise OSError(ENOENT)
            if path not in self.live or (mode == "wb" and self.live[path]):
                self._change(path)
                self._used -= len(self.live.get(path, b""))
                self.live[path] = bytearray()
        return FakeFile(self, path, mode)

    def rename(self, old, new):
        """Atomic; an existing file of the new name is replaced."""
        old, new = _clean(old), _clean(new)
        if old not in self.live:
            raise OSError(ENOENT)
        self._change(new)
        if new in self.live:
            self._used -= len(self.live[new])
        self.live[new] = self.live.pop(old)
        if old in self.durable:
            self.durable[new] = self.durable.pop(old)
        else:
            self.durable.pop(new, None)

    def remove(self, path):
        """Remove a file or an empty folder."""
        path = _clean(path)
        if path in self.folders:
            if self.listdir(path):
                raise OSError(39)
            self._change(path)
            self.folders.discard(path)
            return
        if path not in self.live:
            raise OSError(ENOENT)
        self._change(path)
        self._used -= len(self.live.pop(path))
        self.durable.pop(path, None)

    def mkdir(self, path):
        """Make one folder."""
        path = _clean(path)
        if path in self.folders or path in self.live:
            raise OSError(EEXIST)
        if _parent(path) not in self.folders:
            raise OSError(ENOENT)
        self._change(path)
        self.folders.add(path)

    def size(self, path):
        """Bytes of a file."""
        path = _clean(path)
        if path not in self.live:
            raise OSError(ENOENT)
        return len(self.live[path])

    def free(self):
        """Bytes left."""
        return self.capacity - self._used

    # --- what the test calls

    def power_cycle(self):
        """Bring back what a power cut leaves: the synchronised bytes, and torn ones."""
        for path in set(self.live) | set(self.durable):
            kept = self.durable.get(path)
            now = bytes(self.live.get(path, b""))
            if self.torn != "none" and now != kept:
                before = kept or b""
                if now.startswith(before):
                    more = self._random.randint(0, len(now) - len(before))
                    kept = now[: len(before) + more]
                    if self.torn == "garbage" and more:
                        kept = kept[:-1] + bytes([kept[-1] ^ 0x5A])
            if kept is None:
                self.live.pop(path, None)
            else:
                self.live[path] = bytearray(kept)
                self.durable[path] = bytes(kept)
        self._used = sum(map(len, self.live.values()))
        self.crash_at = None

    def read(self, path):
        """All bytes of a file, past every fault."""
        return bytes(self.live[_clean(path)])

    def put(self, path, data):
        """Place a durable file with its folders, past every fault."""
        path = _clean(path)
        parts = path.split("/")
        for depth in range(2, len(parts)):
            self.folders.add("/".join(parts[:depth]))
        self._used += len(data) - len(self.live.get(path, b""))
        self.live[path] = bytearray(data)
        self.durable[path] = bytes(data)

    def flip(self, path, bit):
        """Turn one bit of a file."""
        data = bytearray(self.read(path))
        data[bit // 8] ^= 1 << (bit % 8)
        self.put(path, bytes(data))

    def _change(self, path, size=0):
        if self.read_only:
            raise OSError(EROFS)
        if path in self.bad:
            raise OSError(EIO)
        self.writes += 1
        self.bytes_written += size
        self.written_to[path] = self.written_to.get(path, 0) + 1
        if self.crash_at is not None and self.writes >= self.crash_at:
            raise PowerCut(f"at write {self.writes} to {path}")


class FakeFile:
    """An open file of `FakeFlash`."""

    def __init__(self, flash, path, mode):
        self._flash, self._path, self._mode = flash, path, mode
        self._at = len(flash.live[path]) if mode == "ab" else 0
        self._open = True

    def read(self, n=-1):
        """Read `n` bytes, all by default."""
        if self._path in self._flash.bad:
            raise OSError(EIO)
        data = self._flash.live[self._path]
        end = len(data) if n is None or n < 0 else self._at + n
        part = bytes(data[self._at : end])
        self._at += len(part)
        return part

    def write(self, data):
        """Write all of `data`; a power cut in the write may leave a part of it."""
        assert self._open, "written after close"
        assert self._mode != "rb", "opened for reading"
        flash, content = self._flash, self._flash.live[self._path]
        if self._mode == "ab":
            self._at = len(content)
        grows = max(0, self._at + len(data) - len(content))
        if not flash.read_only and flash._used + grows > flash.capacity:
            raise OSError(ENOSPC)
        try:
            flash._change(self._path, len(data))
        except PowerCut:
            if flash.torn != "none":
                part = data[: flash._random.randint(0, len(data))]
                content[self._at : self._at + len(part)] = part
            raise
        content[self._at : self._at + len(data)] = data
        flash._used += grows
        self._at += len(data)
        return len(data)

    def seek(self, at, whence=0):
        """Go to a place; whence 0 from the start, 2 from the end."""
        self._at = at if whence == 0 else len(self._flash.live[self._path]) + at
        return self._at

    def flush(self):
        """Nothing: flushed is not durable."""

    def sync(self):
        """Make the bytes durable."""
        if self._mode == "rb":
            return
        self._flash._change(self._path)
        self._flash.durable[self._path] = bytes(self._flash.live[self._path])

    def close(self):
        """Synchronise, as littlefs does, and close."""
        if self._open:
            self._open = False
            now = self._flash.live.get(self._path)
            if now is not None and self._flash.durable.get(self._path) != now:
                self.sync()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _clean(path):
    path = "/" + "/".join(part for part in path.split("/") if part)
    return path


def _parent(path):
    return path.rsplit("/", 1)[0] or "/"
