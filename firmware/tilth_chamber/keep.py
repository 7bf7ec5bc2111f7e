"""Small things kept in flash: one JSON object per file, replaced as a whole.

The one before stays beside it, for the day a block of the flash is worn.
"""

import binascii
import json

OLD = ".old"


def load(fs, path, default):
    """Return what `save` last kept, or kept before if that is damaged, or `default`."""
    for name in (path, path + OLD):
        data = _read(fs, name)
        try:
            if binascii.crc32(data[8:]) & 0xFFFFFFFF == int(data[:8], 16):
                return json.loads(data[8:].decode())
        except ValueError:
            pass
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
        try:
            fs.rename(path, path + OLD)
        except OSError:
            pass  # the first time
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
