"""The registry of datasets: what exists, under which terms, and where it lies.

A dataset is a folder with known files. It is looked for in every folder of the
environment variable ``TILTH_DATA``, then in the user's cache (or ``TILTH_CACHE``), and
then downloaded to the cache, each file checked against its SHA-256. The registry
itself is ``datasets.yaml`` beside this module; no data come with the package.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib.resources
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tilth.core.errors import DatasetError
from tilth.core.model import file_checksum
from tilth.core.progress import track

#: Seconds without an answer after which a download is given up.
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class DataFile:
    """A file of a dataset.

    Parameters
    ----------
    path : str
        Relative to the folder of the dataset.
    size : int, optional
        In bytes; None where the file was not at hand when it was registered.
    sha256 : str, optional
        Checksum; None likewise.
    url : str, optional
        Where the very same bytes are published; None for converted, compressed and
        derived files.
    licence : str, optional
        Where it differs from that of the dataset.
    note : str
        What was done to it.
    """

    path: str
    size: int | None = None
    sha256: str | None = None
    url: str | None = None
    licence: str | None = None
    note: str = ""


@dataclass(frozen=True)
class DatasetInfo:
    """What the registry says about a dataset.

    Parameters
    ----------
    name, title : str
        Short name and one line of description.
    folder : str
        Where its files lie under a folder of ``TILTH_DATA``, and in the cache.
    licence, redistribution, citation, homepage : str
        Terms, credit and source.
    obtained : str
        How to get the files, and how they were made.
    files : tuple of DataFile
        All its files.
    """

    name: str
    title: str
    folder: str
    licence: str
    redistribution: str
    citation: str
    homepage: str
    obtained: str
    files: tuple[DataFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files whose size is registered."""
        return sum(file.size or 0 for file in self.files)


@functools.cache
def _registry() -> dict[str, DatasetInfo]:
    import yaml

    source = importlib.resources.files("tilth.core") / "datasets.yaml"
    entries = yaml.safe_load(source.read_text(encoding="utf-8"))
    registry = {}
    for name, entry in entries.items():
        files = entry.pop("files")
        listed = tuple(DataFile(path, **about) for path, about in files.items())
        registry[name] = DatasetInfo(name, files=listed, **entry)
    return registry


def names() -> list[str]:
    """Return the names of all registered datasets, sorted."""
    return sorted(_registry())


def info(name: str) -> DatasetInfo:
    """Return what the registry says about a dataset.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    DatasetInfo
        Title, terms, citation, files.

    Raises
    ------
    DatasetError
        If no dataset has this name.

    Examples
    --------
    >>> info("carbdown-xxl").licence
    'CC-BY-4.0'
    """
    try:
        return _registry()[name]
    except KeyError:
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise DatasetError(
            f"no dataset {name!r}; {hint}registered: {', '.join(names())}"
        ) from None


def data_folders() -> list[Path]:
    """Return the folders of ``TILTH_DATA``, in order, as absolute paths."""
    parts = os.environ.get("TILTH_DATA", "").split(os.pathsep)
    return [Path(part).expanduser().resolve() for part in parts if part.strip()]


def cache_folder() -> Path:
    """Return the folder downloads go to: ``TILTH_CACHE`` or the user's cache."""
    chosen = os.environ.get("TILTH_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    import pooch

    return Path(pooch.os_cache("tilth"))


def locate(name: str, *, download: bool = True) -> Path:
    """Return the folder of a dataset, with every file present in its right size.

    Parameters
    ----------
    name : str
        One of `names`.
    download : bool, default True
        Fetch it where no folder has it.

    Returns
    -------
    pathlib.Path
        The first complete folder: of ``TILTH_DATA`` in its order, then the cache.

    Raises
    ------
    DatasetError
        If it is unknown, cannot be had, or a file in ``TILTH_DATA`` has another size
        than registered.
    """
    dataset = info(name)
    for root in data_folders():
        folder = root / dataset.folder
        for file in dataset.files:
            path = folder / file.path
            if path.is_file() and not _has_size(path, file):
                raise DatasetError(
                    f"{path} has {path.stat().st_size} bytes, {name} is registered "
                    f"with {file.size}: the file is damaged or of another version"
                )
        if not _absent(dataset, folder):
            return folder
    cache = cache_folder() / dataset.folder
    absent = _absent(dataset, cache)
    if not absent:
        return cache
    if not download or not all(_can_download(file) for file in absent):
        raise _not_at_hand(dataset, absent)
    return fetch(name)


def fetch(name: str) -> Path:
    """Return the folder of a dataset with checked files, downloaded where needed.

    What a folder of ``TILTH_DATA`` holds complete is only checked. Else every file
    that the cache lacks and that is published as it is gets downloaded; a file is
    put into place only after its checksum agreed.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    DatasetError
        If a checksum differs, a download fails, or a file is not published as it is;
        what could be downloaded stays in the cache.
    """
    dataset = info(name)
    for root in data_folders():
        if not _absent(dataset, root / dataset.folder):
            return verify(name)
    cache = cache_folder() / dataset.folder
    wanted = [f for f in dataset.files if _can_download(f)]
    for file in track(wanted, f"downloading {name}"):
        _download(dataset, file, cache / file.path)
    absent = _absent(dataset, cache)
    if absent:
        raise _not_at_hand(dataset, absent)
    return verify(name)


def verify(name: str) -> Path:
    """Compare the SHA-256 of every file of a dataset at hand with the registry.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    pathlib.Path
        The folder `locate` gives, if all agree.

    Raises
    ------
    DatasetError
        If the dataset is not at hand, or a file differs or has no registered checksum.
    """
    folder = locate(name, download=False)
    for file in info(name).files:
        path = folder / file.path
        found = file_checksum(path)
        if file.sha256 is None:
            raise DatasetError(
                f"{path} cannot be verified: no checksum is registered for it; "
                f"its SHA-256 is {found}"
            )
        if found != file.sha256:
            raise DatasetError(
                f"{path} is not what was registered for {name}: its SHA-256 is "
                f"{found}, registered is {file.sha256}; remove it and fetch it again"
            )
    return folder


def _has_size(path: Path, file: DataFile) -> bool:
    return file.size is None or path.stat().st_size == file.size


def _absent(dataset: DatasetInfo, folder: Path) -> list[DataFile]:
    """Return the files that are not in the folder, or not in their right size."""
    paths = [(file, folder / file.path) for file in dataset.files]
    return [f for f, path in paths if not (path.is_file() and _has_size(path, f))]


def _can_download(file: DataFile) -> bool:
    return file.url is not None and file.sha256 is not None


def _not_at_hand(dataset: DatasetInfo, absent: list[DataFile]) -> DatasetError:
    """Return the one line that says what is missing and how to get it."""
    first, more = absent[0].path, len(absent) - 1
    others = f" and {more} more file{'s' * (more > 1)}" if more else ""
    searched = [
        f"{folder}{'' if folder.is_dir() else ' (no such folder)'}"
        for folder in data_folders()
    ]
    return DatasetError(
        f"{dataset.name} is not at hand: no {dataset.folder}/{first}{others} in "
        f"TILTH_DATA ({os.pathsep.join(searched) or 'not set'}) or the cache "
        f"({cache_folder()}); licence: {absent[0].licence or dataset.licence}; "
        f"source: {dataset.homepage}; to get it: {dataset.obtained}"
    )


def _download(dataset: DatasetInfo, file: DataFile, path: Path) -> None:
    """Download one file unless it is there with the right checksum."""
    import pooch

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(
            f"cannot make the cache folder {path.parent} ({error.strerror}): set "
            "TILTH_CACHE to a folder you own"
        ) from error
    try:
        with _quiet(pooch.get_logger()):
            pooch.retrieve(
                file.url,
                known_hash=f"sha256:{file.sha256}",
                fname=path.name,
                path=path.parent,
                downloader=pooch.HTTPDownloader(timeout=TIMEOUT_SECONDS),
            )
    except ValueError as error:
        raise DatasetError(
            f"{file.path} of {dataset.name} came from {file.url} with another SHA-256 "
            f"than the registered {file.sha256}, and was not kept: it was damaged on "
            "the way (try again) or has changed there (report it)"
        ) from error
    except OSError as error:  # of requests too: no connection, timeout, HTTP status
        raise DatasetError(
            f"cannot download {file.path} of {dataset.name} from {file.url} "
            f"({_reason(error)}); licence: {file.licence or dataset.licence}; "
            f"download it elsewhere and put it at {dataset.folder}/{file.path} in a "
            "folder of TILTH_DATA"
        ) from error


def _reason(error: OSError) -> str:
    """Return the reason of a failed download in few words."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answers {response.status_code} {response.reason}"
    kind = type(error).__name__
    return "no connection" if kind == "ConnectionError" else f"{kind}: {error}"


@contextlib.contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Silence what another library says about its own work."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
