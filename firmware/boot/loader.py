"""Starts the firmware of one slot; whatever it does, the next start works."""

import os
import sys
import time

from .slots import VERSION, Slots

REST_MS = 5_000
LOG = "/crash.txt"
LOG_BYTES = 4_096


class File:
    """A file of the chip, with `sync`."""

    def __init__(self, file):
        self._file = file
        self.read, self.write, self.close = file.read, file.write, file.close
        self.sync = file.flush  # littlefs: flushed is durable


class Flash:
    """The chip's file system, as `Slots` wants it."""

    def open(self, path, mode):
        """Open a file."""
        return File(open(path, mode))

    def rename(self, old, new):
        """Replace a file; atomic on littlefs."""
        os.rename(old, new)

    def size(self, path):
        """Return a file's size in bytes."""
        return os.stat(path)[6]


def main(reset=None):
    """Choose a slot, run its firmware, note how it ended, and start again.

    An interrupt from the keyboard ends here: the prompt is free to repair things.
    """
    slots = Slots(Flash())
    slot = slots.choose()
    if slot is None:
        print("No whole firmware in /a or /b: see firmware/README.md")
        return
    sys.path.insert(0, "/" + slot)
    try:
        from tilth_chamber import start

        start.run(slots, VERSION)
    except Exception as error:
        write_down(slot, error)
    slots.crashed()
    time.sleep_ms(REST_MS)
    if reset is None:
        from machine import reset
    reset()


def write_down(slot, error):
    """Keep the last words of a firmware."""
    try:
        try:
            long = os.stat(LOG)[6] > LOG_BYTES
        except OSError:
            long = True
        with open(LOG, "w" if long else "a") as f:
            f.write("slot " + slot + "\n")
            sys.print_exception(error, f)
    except OSError:
        pass
