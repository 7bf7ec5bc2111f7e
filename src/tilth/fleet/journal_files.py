"""Where a journal may lie, and that only one server writes it."""

from __future__ import annotations

import os
from pathlib import Path

from tilth.core.errors import TilthError

#: File systems on which the log of SQLite is not safe: locks and shared memory do
#: not reach the other machines.
_NETWORK = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.glusterfs",
    "fuse.s3fs", "fuse.sshfs", "fuse.rclone", "glusterfs", "gpfs", "lustre", "ncpfs",
    "nfs", "nfs4", "smb2", "smb3", "smbfs",
})  # fmt: skip

_MOUNTS = Path("/proc/self/mountinfo")


class JournalError(TilthError):
    """A journal that cannot be opened; the text says why and what to do."""


class StorageError(TilthError):
    """A transaction that was not committed, because the disk or the file fails.

    Parameters
    ----------
    kind : str
        ``full`` (no space), ``busy`` (another process writes), ``io`` (the disk
        reports errors) or ``corrupt``.
    sentence : str
        What is wrong and what to do.
    """

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


class Lock:
    """A file that says that a server writes this journal, for as long as it lives.

    The operating system releases it however the process ends.

    Parameters
    ----------
    path : path
        The file of the lock.

    Raises
    ------
    JournalError
        If another process, or another part of this one, holds it.
    """

    def __init__(self, path: Path) -> None:
        import fcntl

        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise JournalError(f"{path} cannot be written: {error}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._file, 20).decode("ascii", "replace").strip()
            os.close(self._file)
            raise JournalError(
                f"{path} is held by process {holder or 'unknown'}: another server "
                "writes this journal. Stop it first, or give this one another folder"
            ) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let others write; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def refuse_network(path: Path, mounts: Path = _MOUNTS) -> None:
    """Raise if a path lies on a file system shared by a network.

    Parameters
    ----------
    path : Path
        An existing folder.
    mounts : Path
        Table of the mounted file systems; where there is none (not on Linux),
        nothing is refused.

    Raises
    ------
    JournalError
        With the kind of file system.
    """
    kind = file_system(path, mounts)
    if kind in _NETWORK:
        raise JournalError(
            f"{path} lies on a network file system ({kind}): a journal there can be "
            "damaged by its own log. Put the fleet's folder on a disk of this machine"
        )


def file_system(path: Path, mounts: Path = _MOUNTS) -> str:
    """Return the kind of file system a path lies on; ``""`` if that is unknown.

    Parameters
    ----------
    path : Path
        An existing folder.
    mounts : Path
        Table of the mounted file systems, as ``proc(5)`` describes it.
    """
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    where = path.resolve()
    best, kind = -1, ""
    for line in lines:
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) < 5 or not right:
            continue
        # Blanks and the like are written as octal numbers.
        point = fields[4].encode().decode("unicode_escape", "replace")
        if where.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), right.split()[0]
    return kind
