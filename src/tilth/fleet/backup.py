"""One consistent copy of a fleet's data while it runs, and the way back.

A backup holds the journal as it was at one moment (SQLite's backup interface, beside
the writer), the archive's files that belonged to that moment, and everything else in
the data folder: what people decided, the computed fluxes, firmware, and the fleet's
secret. So keep it where only its owner can read. ``manifest.json`` has the SHA-256 of
every file.

Restoring an older backup makes the store forget what it acknowledged since. Devices
have deleted that; they say so with their next batch (its ``low``), the journal puts a
tombstone on the range, the ledger shows it as lost, and everything goes on from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
import shutil
import sqlite3
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from tilth import __version__
from tilth.core.errors import InputError, TilthError
from tilth.core.model import file_checksum
from tilth.core.progress import track
from tilth.fleet.archive.files import ARCHIVE_FOLDER, JOURNAL_FILE
from tilth.fleet.clock import iso, now_ms
from tilth.fleet.control import sync_folder

_log = logging.getLogger("tilth.fleet.backup")

#: Lists the files of a backup.
MANIFEST = "manifest.json"

#: Version of the layout.
_FORMAT = 1

#: Ends of names that SQLite and locks leave beside their files.
_PASSING = ("-wal", "-shm", "-journal", ".lock", ".half")

_SQLITE = b"SQLite format 3\x00"

#: How often the journal is copied anew because its files were merged meanwhile.
_TRIES = 5


class BackupError(TilthError):
    """A backup that cannot be made or used; the text says why."""


def make_backup(
    folder: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    previous: str | os.PathLike[str] | None = None,
    clock: Callable[[], int] = now_ms,
) -> dict[str, Any]:
    """Back up a fleet's data folder, whether its service runs or not.

    Parameters
    ----------
    folder : path
        The data folder.
    target : path
        What to make: a folder, or a file ending in ``.tar`` or ``.tar.gz``.
    previous : path, optional
        An earlier backup folder on the same disk: sealed files, which never change,
        become links to its copies instead of copies.
    clock : callable
        Gives utc ms.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    InputError
        If the folder is no fleet's, or the target exists.
    BackupError
        If a copy turns out damaged.
    """
    folder, target = Path(folder), Path(target)
    if not (folder / JOURNAL_FILE).is_file():
        raise InputError(f"{folder} holds no {JOURNAL_FILE}: no fleet's data")
    if target.exists():
        raise InputError(f"{target} exists: name a backup that does not exist yet")
    if target.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{target} lies in the data folder: put backups elsewhere")
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    stage.mkdir(mode=0o700)
    try:
        manifest = _copy(folder, stage, Path(previous) if previous else None, clock)
        if _is_tar(target):
            _pack(stage, target)
        else:
            sync_folder(stage)
            stage.rename(target)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return manifest


def _copy(
    folder: Path, stage: Path, previous: Path | None, clock: Callable[[], int]
) -> dict[str, Any]:
    """Copy everything into an empty folder and write its manifest."""
    names = [name for name in _names(folder) if name != JOURNAL_FILE]
    # The journal last: fluxes and decisions are then of no later time than it.
    for name in names:
        _copy_file(folder / name, stage / name)
    for attempt in range(_TRIES):
        _copy_database(folder / JOURNAL_FILE, stage / JOURNAL_FILE)
        sealed = _sealed(stage / JOURNAL_FILE)
        try:
            for name in track(sealed, "Copying the archive"):
                _link(folder, stage, previous, f"{ARCHIVE_FOLDER}/{name}")
            break
        except FileNotFoundError as error:
            # Merged with others since the journal was copied: copy it again.
            shutil.rmtree(stage / ARCHIVE_FOLDER, ignore_errors=True)
            (stage / JOURNAL_FILE).unlink()
            if attempt + 1 == _TRIES:
                raise BackupError(
                    f"the archive lacks {error.filename}, which the journal names: "
                    "restore that file from an earlier backup first"
                ) from error
    files = [*names, JOURNAL_FILE, *(f"{ARCHIVE_FOLDER}/{name}" for name in sealed)]
    manifest = {
        "format": _FORMAT,
        "tilth": __version__,
        "created": clock(),
        "files": {
            name: {
                "size": (stage / name).stat().st_size,
                "sha256": file_checksum(stage / name),
            }
            for name in track(files, "Checksums")
        },
    }
    with (stage / MANIFEST).open("w", encoding="utf-8") as stream:
        json.dump(manifest, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    for path in sorted({(stage / name).parent for name in files}):
        sync_folder(path)
    return manifest


def _names(folder: Path) -> list[str]:
    """Return the files of a data folder besides the archive and passing ones."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        passing = name.startswith(f"{ARCHIVE_FOLDER}/") or name.endswith(_PASSING)
        if path.is_file() and not path.is_symlink() and not passing:
            found.append(name)
    return [name for name in found if Path(name).name != "lock"]


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with source.open("rb") as stream:
        is_database = stream.read(16) == _SQLITE
    if is_database:
        _copy_database(source, target)
        return
    shutil.copy2(source, target)
    _sync(target)


def _copy_database(source: Path, target: Path) -> None:
    """Copy a SQLite file as it is at one moment, while others write it."""
    # Made here, so that nobody else can read it: password hashes may be inside.
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    uri = source.resolve().as_uri() + "?mode=ro"
    with (
        contextlib.closing(sqlite3.connect(uri, uri=True, timeout=60.0)) as live,
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        # All at once: in steps, it would begin again at each commit of the writer.
        live.backup(copy)
        # One file without a log beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
        fault = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if fault != "ok":
            raise BackupError(
                f"{source} is damaged: {fault}. Keep your earlier backups; start the "
                "service, which sets a damaged journal aside and saves what it can"
            )
    _sync(target)


def _sealed(journal: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(journal)) as connection:
        rows = connection.execute(
            "SELECT file FROM seals WHERE state = 'sealed' ORDER BY file"
        ).fetchall()
    return [name for (name,) in rows if name.endswith(".parquet")]


def _link(folder: Path, stage: Path, previous: Path | None, name: str) -> None:
    """Copy a sealed file, or link to the copy an earlier backup has."""
    target = stage / name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    size = (folder / name).stat().st_size
    earlier = previous / name if previous else None
    # The name holds the checksum of the content; the manifest's is computed anew.
    if earlier and earlier.is_file() and earlier.stat().st_size == size:
        with contextlib.suppress(OSError):
            os.link(earlier, target)
            return
    shutil.copy2(folder / name, target)
    _sync(target)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _is_tar(path: Path) -> bool:
    return path.name.endswith((".tar", ".tar.gz", ".tgz"))


def _pack(stage: Path, target: Path) -> None:
    """Write a folder as one archive, complete or not at all."""
    half = target.with_name(f".{target.name}.half")
    mode = cast(Any, "w" if target.name.endswith(".tar") else "w:gz")
    handle = os.open(half, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            with tarfile.open(fileobj=stream, mode=mode) as archive:
                # The manifest first: it can be read without unpacking the rest.
                archive.add(stage / MANIFEST, MANIFEST)
                for path in sorted(stage.rglob("*")):
                    if path.is_file() and path.name != MANIFEST:
                        archive.add(path, path.relative_to(stage).as_posix())
            stream.flush()
            os.fsync(stream.fileno())
        half.rename(target)
    finally:
        half.unlink(missing_ok=True)


def check_backup(backup: str | os.PathLike[str]) -> dict[str, Any]:
    """Compare every file of a backup with its checksum; return the manifest.

    Raises
    ------
    InputError
        If it is no backup, or of a newer version.
    BackupError
        If files are missing or have changed; the text names them.
    """
    with _opened(Path(backup)) as (manifest, read), _telling_damage(backup):
        wrong = []
        for name, about in track(manifest["files"].items(), "Checking"):
            digest, size = hashlib.sha256(), 0
            stream = read(name)
            if stream is None:
                wrong.append(f"{name} is missing")
                continue
            with stream:
                while part := stream.read(1 << 20):
                    digest.update(part)
                    size += len(part)
            if (size, digest.hexdigest()) != (about["size"], about["sha256"]):
                wrong.append(f"{name} has changed")
        if wrong:
            more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise BackupError(
                f"{backup} is damaged: {'; '.join(wrong[:5])}{more}. Nothing was "
                "restored; use another backup"
            )
    return manifest


def restore_backup(
    backup: str | os.PathLike[str], folder: str | os.PathLike[str]
) -> dict[str, Any]:
    """Make a data folder from a backup, all of it or nothing.

    Parameters
    ----------
    backup : path
        From `make_backup`.
    folder : path
        A data folder that does not exist yet, or is empty. Move the old one away;
        never restore into the folder of a service that runs.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    InputError
        If the folder holds something.
    BackupError
        If the backup is damaged; the folder is then not made.
    """
    backup, folder = Path(backup), Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} is not empty: move it away, then restore into a new folder "
            "(what it holds may be newer than the backup)"
        )
    manifest = check_backup(backup)
    folder.parent.mkdir(parents=True, exist_ok=True)
    stage = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    stage.mkdir(mode=0o700)
    try:
        with _opened(backup) as (_, read):
            for name in track(manifest["files"], "Restoring"):
                target = stage / name
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                stream = read(name)
                assert stream is not None
                handle = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
                with stream, os.fdopen(handle, "wb") as out:
                    shutil.copyfileobj(stream, out, 1 << 20)
                    out.flush()
                    os.fsync(out.fileno())
        for name in manifest["files"]:
            if file_checksum(stage / name) != manifest["files"][name]["sha256"]:
                raise BackupError(f"{name} was not written as it was read")
        if folder.exists():
            folder.rmdir()
        stage.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    _log.info("restored the state of %s into %s", iso(manifest["created"]), folder)
    return manifest


@contextlib.contextmanager
def _telling_damage(backup: object) -> Iterator[None]:
    """Turn what reading a broken archive raises into an error that says so."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise BackupError(
            f"{backup} cannot be read to its end ({error}): it was cut short or "
            "changed. Nothing was restored; use another backup"
        ) from error


@contextlib.contextmanager
def _opened(backup: Path) -> Iterator[tuple[dict[str, Any], Callable[[str], Any]]]:
    """Give the manifest and a function that opens a file by its name."""
    if backup.is_dir():
        if not (backup / MANIFEST).is_file():
            raise InputError(f"{backup} has no {MANIFEST}: it is no backup")

        def read(name: str) -> Any:
            path = backup / name
            return path.open("rb") if path.is_file() else None

        yield _checked(backup, (backup / MANIFEST).read_bytes()), read
        return
    try:
        archive = tarfile.open(backup)  # noqa: SIM115 - closed by the with below
    except (OSError, tarfile.TarError) as error:
        raise InputError(f"{backup} is no backup: {error}") from error
    with archive:

        def extract(name: str) -> Any:
            try:
                return archive.extractfile(name)
            except KeyError:
                return None

        with _telling_damage(backup):
            stream = extract(MANIFEST)
        if stream is None:
            raise InputError(f"{backup} has no {MANIFEST}: it is no backup")
        with stream:
            content = stream.read()
        yield _checked(backup, content), extract


def _checked(backup: Path, content: bytes) -> dict[str, Any]:
    """Read a manifest and refuse names that lead out of the folder."""
    try:
        manifest = json.loads(content)
        version, files = manifest["format"], manifest["files"]
        names = list(files)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"the {MANIFEST} of {backup} cannot be read") from error
    if version > _FORMAT:
        raise InputError(
            f"{backup} was made by Tilth {manifest.get('tilth')}, which is newer than "
            "this one: upgrade Tilth"
        )
    for name in names:
        path = Path(name)
        if path.is_absolute() or ".." in path.parts:
            raise InputError(f"{backup} names a file outside of it: {name!r}")
    return cast(dict[str, Any], manifest)
