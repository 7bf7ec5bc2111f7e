"""Small things kept in flash: one JSON object per file, replaced as a whole."""

import binascii
import json


def load(fs, path, default):
    """Return what `save` last kept; `default` if there is nothing whole."""
    data = _read(fs, path)
    try:
        if binascii.crc32(data[8:]) & 0xFFFFFFFF != int(data[:8], 16):
            return default
        return json.loads(data[8:].decode())
    except ValueError:
        return default


def load_plain(fs, path, default):
    """Return a JSON file written by people; `default` if it is none."""
    try:
        return json.loads(_read(fs, path).decode())
    except ValueError:
        return default


def save(fs, path, value):
    """Keep `value`; the old one stays until the new one is whole in flash.

    Returns
    -------
    bool
        False when the flash is full or broken; then the old value stays.
    """
    data = json.dumps(value).encode()
    check = "%08x" % (binascii.crc32(data) & 0xFFFFFFFF)
    folder(fs, path[: path.rfind("/")])
    try:
        f = fs.open(path + ".new", "wb")
        try:
            f.write(check.encode() + data)
            f.sync()
        finally:
            f.close()
        fs.rename(path + ".new", path)
        return True
    except OSError:
        return False


def folder(fs, path):
    """Make a folder unless it is there."""
    try:
        fs.mkdir(path)
    except OSError:
        pass


def _read(fs, path):
    try:
        f = fs.open(path, "rb")
        try:
            return f.read()
        finally:
            f.close()
    except OSError:
        return b""
