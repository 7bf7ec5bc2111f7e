"""A firmware as one file: its signed description, and how the file is taken apart.

The manifest {version, serial, size, sha256, min_boot, downgrade, url, sig} is signed
with Ed25519 over all but the url, from which it may be fetched anywhere. The bundle
begins with a list of files (name, size, SHA-256), their contents follow.
"""

import hashlib
import struct

from .ed25519 import verify

MAGIC = b"TILTHFW1"
MAX_SIZE = 512 * 1024
MAX_FILES = 100
MAX_NAME = 48


class Refused(ValueError):
    """A firmware this device does not take; its text is the reason."""


def signed_text(manifest):
    """Return the bytes a manifest's signature is over.

    Raises
    ------
    Refused
        A member is missing or of the wrong kind.
    """
    try:
        version, digest = manifest["version"], manifest["sha256"]
        numbers = [manifest["serial"], manifest["size"], manifest["min_boot"]]
    except (KeyError, TypeError):
        raise Refused("manifest: incomplete")
    downgrade = manifest.get("downgrade", False)
    for number in numbers:
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise Refused("manifest: numbers")
    if not isinstance(version, str) or not isinstance(digest, str):
        raise Refused("manifest: texts")
    if len(digest) != 64 or not isinstance(downgrade, bool):
        raise Refused("manifest: kinds")
    order(version)
    lines = ["tilth-firmware 1", version]
    lines += [str(number) for number in numbers]
    lines += [digest, "downgrade" if downgrade else "-", ""]
    return "\n".join(lines).encode()


def order(version):
    """Return a version such as ``1.10.2`` as numbers that sort, or raise Refused."""
    parts = version.split(".")
    if len(parts) != 3 or len(version) > 20:
        raise Refused("version: three numbers")
    for part in parts:
        if not part or not all(letter in "0123456789" for letter in part):
            raise Refused("version: three numbers")
    return [int(part) for part in parts]


def check(manifest, key, running, serial, boot):
    """Judge whether this device may take a firmware.

    Parameters
    ----------
    manifest : dict
        Its description.
    key : bytes
        Public key of who may make firmware for this fleet.
    running : str
        Version that runs now.
    serial : int
        Serial number of the manifest it came with.
    boot : int
        Version of the loader.

    Raises
    ------
    Refused
        With the reason.
    """
    text = signed_text(manifest)
    if len(key) != 32:
        raise Refused("key: none on this device")
    try:
        signature = bytes.fromhex(manifest.get("sig", ""))
    except (ValueError, TypeError):
        signature = b""
    if not verify(key, text, signature):
        raise Refused("signature")
    if manifest["serial"] <= serial:
        raise Refused(f"serial: {manifest['serial']}, this device has {serial}")
    if order(manifest["version"]) < order(running) and not manifest.get("downgrade"):
        raise Refused(f"version: older than {running}")
    if manifest["min_boot"] > boot:
        raise Refused(f"min_boot: {manifest['min_boot']}, the loader is {boot}")
    if not 0 < manifest["size"] <= MAX_SIZE:
        raise Refused(f"size: at most {MAX_SIZE}")


def read_index(f):
    """Read the list of files at the beginning of a bundle.

    Parameters
    ----------
    f : file
        At its start; afterwards at the first content.

    Returns
    -------
    list of (str, int, bytes)
        Name below the slot's folder, size, SHA-256.

    Raises
    ------
    Refused
        It is no bundle, or a name leads elsewhere.
    """
    head = f.read(10)
    if len(head) != 10 or head[:8] != MAGIC:
        raise Refused("bundle: not one")
    count = struct.unpack("<H", head[8:])[0]
    if not 0 < count <= MAX_FILES:
        raise Refused("bundle: files")
    files = []
    for _ in range(count):
        n = f.read(1)
        name = f.read(n[0] if n else 0)
        rest = f.read(36)
        if len(rest) != 36:
            raise Refused("bundle: cut short")
        files.append((_name(name), struct.unpack("<I", rest[:4])[0], rest[4:]))
    return files


def _name(data):
    """Return a file name of a bundle, Refused unless it is one of this package."""
    try:
        folder, name = data.decode().split("/")
        stem, suffix = name.split(".")
    except ValueError:
        raise Refused("bundle: a name")
    letters = "abcdefghijklmnopqrstuvwxyz0123456789_"
    if folder != "tilth_chamber" or suffix not in ("py", "mpy"):
        raise Refused("bundle: a name")
    if not stem or len(data) > MAX_NAME or not all(c in letters for c in stem):
        raise Refused("bundle: a name")
    return folder + "/" + name


def digest_of(fs, path, most):
    """Return size and SHA-256 of a file, reading at most so many bytes."""
    digest, size = hashlib.sha256(), 0
    with fs.open(path, "rb") as f:
        while size <= most:
            data = f.read(1024)
            if not data:
                break
            digest.update(data)
            size += len(data)
    return size, digest.digest()
