"""Two slots of firmware and the pointer that says which one runs.

A slot is a folder of the flash, ``/a`` or ``/b``. A new firmware is written into the
slot that is not running, described by its file ``slot.json`` once it is whole, and put
on trial by replacing the pointer file, which is one atomic renaming. It is confirmed
when its self-test has passed; until then every start counts, and after two the slot
that was good before runs again.

The loader shares no code with the firmware it starts, on purpose.
"""

import binascii
import json

VERSION = 1  # of the loader; a firmware can ask for at least some version
POINTER = "/slots.json"
ABOUT = "/slot.json"
NAMES = ("a", "b")
TRIES = 2  # starts of a firmware on trial: one power cut is not its fault
CRASHES = 3  # starts in a row that end in an exception before the other slot is tried


def load(fs, path):
    """Return the object of a checksummed JSON file, None if it is not whole."""
    try:
        f = fs.open(path, "rb")
        try:
            data = f.read()
        finally:
            f.close()
        if binascii.crc32(data[8:]) != int(data[:8], 16):
            return None
        value = json.loads(data[8:].decode())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def save(fs, path, value):
    """Replace a checksummed JSON file at one instant; OSError if flash refuses."""
    data = json.dumps(value).encode()
    f = fs.open(path + ".new", "wb")
    try:
        f.write(f"{binascii.crc32(data):08x}".encode() + data)
        f.sync()
    finally:
        f.close()
    fs.rename(path + ".new", path)


class Slots:
    """Which firmware runs, which is good, which is on trial.

    Parameters
    ----------
    fs : object
        File system with open, rename, size.

    Attributes
    ----------
    running : str
        Slot that was chosen at this start.
    """

    def __init__(self, fs):
        self._fs = fs
        state = load(fs, POINTER) or {}
        self._good = state.get("good") if state.get("good") in NAMES else "a"
        self._trial = state.get("trial") if state.get("trial") in NAMES else None
        self._tries = state.get("tries", 0)
        self._crashes = state.get("crashes", 0)
        self._serial = state.get("serial", 0)
        self._failed = state.get("failed", "")
        self.running = self._good

    def _save(self):
        state = {
            "good": self._good,
            "trial": self._trial,
            "tries": self._tries,
            "crashes": self._crashes,
            "serial": self._serial,
            "failed": self._failed,
        }
        try:
            save(self._fs, POINTER, state)
        except OSError:
            return False
        return True

    # --- at the start

    def choose(self):
        """Decide which slot runs now; None if neither holds a whole firmware."""
        self.running = self._pick()
        return self.running

    def _pick(self):
        if self._trial is not None:
            self._tries += 1
            if self._tries <= TRIES and self.is_whole(self._trial) and self._save():
                return self._trial
            self.roll_back()
        other = other_than(self._good)
        if self.is_whole(self._good) and (
            self._crashes < CRASHES or not self.is_whole(other)
        ):
            return self._good
        if self.is_whole(other):
            self._good, self._crashes = other, 0
            self._save()
            return other
        return None

    def is_whole(self, slot):
        """Tell whether all files of a slot's firmware are there in their size."""
        about = load(self._fs, "/" + slot + ABOUT)
        try:
            for name, size in about["files"]:
                if self._fs.size("/" + slot + "/" + name) != size:
                    return False
        except (OSError, TypeError, KeyError, ValueError):
            return False
        return True

    # --- from the firmware that runs

    def about(self, slot):
        """Return the description of a slot's firmware: version, serial, files."""
        return load(self._fs, "/" + slot + ABOUT) or {}

    def serial(self):
        """Return the serial number of the last confirmed manifest."""
        return max(self._serial, self.about(self._good).get("serial", 0))

    def failed(self):
        """Return the version that did not pass its trial last, ``""`` if none."""
        return self._failed

    def on_trial(self):
        """Tell whether the running firmware still has to prove itself."""
        return self._trial == self.running

    def spare(self):
        """Return the slot a new firmware may be written into."""
        return other_than(self.running)

    def describe(self, slot, about):
        """Declare a slot whole: version, serial, files [[name, size], ...]."""
        save(self._fs, "/" + slot + ABOUT, about)

    def try_spare(self):
        """Let the other slot run from the next start on, on trial; False if refused."""
        self._good, self._trial, self._tries = self.running, self.spare(), 0
        self._crashes = 0
        if not self._save():
            self._trial = None
            return False
        return True

    def confirm(self):
        """Keep the running firmware, if it is on trial."""
        if self.on_trial():
            self._good, self._trial, self._tries = self._trial, None, 0
            self._serial = max(self._serial, self.about(self._good).get("serial", 0))
            self._failed = ""
            self._save()

    def settled(self):
        """Forget earlier crashes: this firmware has run for a while."""
        if self._crashes:
            self._crashes = 0
            self._save()

    def roll_back(self):
        """Give up the firmware on trial; the good one runs from the next start on."""
        if self._trial is not None:
            self._failed = self.about(self._trial).get("version", "?")
            self._trial, self._tries = None, 0
            self._save()

    def crashed(self):
        """Take note that the running firmware ended in an exception."""
        if self.on_trial():
            self.roll_back()
        else:
            self._crashes += 1
            self._save()


def other_than(slot):
    """Return the other slot."""
    return "b" if slot == "a" else "a"
