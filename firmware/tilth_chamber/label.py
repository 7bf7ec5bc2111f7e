"""The chamber's place, "table.variant.replica", typed on the touch screen.

A code is a string for ever: 5.1.A and 5.10.A are two places.
"""

from . import keep

PATH = "/state/label.json"

DIGITS = ("1 2 3 del", "4 5 6 .", "7 8 9 ok", "0")
LETTERS = ("A B C D E F G", "H I J K L M N", "O P Q R S T U", "V W X Y Z del ok")
KEYS = set(" ".join(DIGITS + LETTERS).split())

# An untouched keypad closes after this time and forgets what was typed.
PATIENCE_MS = 30_000


def problem(code):
    """Why `code` is not a place, in a few words; None if it is one.

    One or two digits, one to three digits, one capital letter.

    Examples
    --------
    >>> problem("5.10.A"), problem("5.10"), problem("5.10.a")
    (None, 'needs 3 parts', 'replica: one A-Z')
    """
    parts = code.split(".")
    if len(parts) != 3:
        return "needs 3 parts"
    table, variant, replica = parts
    if not _digits(table, 2):
        return "table: 1-2 digits"
    if not _digits(variant, 3):
        return "variant: 1-3 digits"
    if len(replica) != 1 or not "A" <= replica <= "Z":
        return "replica: one A-Z"
    return None


def _digits(text, most):
    if not 1 <= len(text) <= most:
        return False
    return all("0" <= c <= "9" for c in text)


def key_at(lines, x, y, width=320, height=240):
    """Key under a touch on the screen that shows `lines`, one row each.

    Without a key on the screen every touch is "ok": it opens the keypad.
    """
    row = lines[min(y * len(lines) // height, len(lines) - 1)].split() if lines else []
    if row:
        word = row[min(x * len(row) // width, len(row) - 1)]
        if word in KEYS and any("ok" in line.split() for line in lines):
            return word
    for line in lines:
        if "ok" in line.split():
            return None
    return "ok"


class Label:
    """The code in flash and the keypad that changes it.

    Parameters
    ----------
    hw : object
        The hardware layer.

    Attributes
    ----------
    loc : str
        The code; "" if there never was one.
    typing : bool
        Whether the keypad is on the screen.
    """

    def __init__(self, hw):
        self.hw = hw
        loc = keep.load(hw.fs, PATH, "")
        self.loc = loc if isinstance(loc, str) and problem(loc) is None else ""
        self.typing = False
        self._text = ""
        self._remark = ""
        self._quiet_at = 0

    def set(self, code):
        """Take a new code and keep it in flash; return the old one.

        Raises
        ------
        ValueError
            If it is not a place; nothing changes then.
        """
        why = problem(code) if isinstance(code, str) else "not a text"
        if why is not None:
            raise ValueError(why)
        before = self.loc
        self.loc = code
        keep.save(self.hw.fs, PATH, code)
        return before

    def open(self, now):
        """Show the keypad."""
        self.typing = True
        self._text = ""
        self._remark = ""
        self._quiet_at = now + PATIENCE_MS
        self._draw()

    def touch(self, key, now):
        """Take one key; return the whole code when a legal one is confirmed.

        The code is not taken yet: that is `set`.
        """
        if not self.typing:
            self.open(now)
            return None
        self._quiet_at = now + PATIENCE_MS
        self._remark = ""
        if key == "del":
            self._text = self._text[:-1]
        elif key == "ok":
            self._remark = problem(self._text) or ""
            if not self._remark:
                self.typing = False
                return self._text
        elif key in KEYS:
            self._type(key)
        self._draw()
        return None

    def idle(self, now):
        """Close a keypad nobody touches; True if it was closed now."""
        if self.typing and now >= self._quiet_at:
            self.typing = False
            return True
        return False

    def _type(self, key):
        """Add a character unless no code begins like that."""
        text = self._text + key
        parts = text.split(".")
        fits = len(parts) <= 3 and all(
            _digits(part, most) or (part == "" and i == len(parts) - 1)
            for i, (part, most) in enumerate(zip(parts[:2], (2, 3)))  # noqa: B905
        )
        if fits and len(parts) == 3:
            last = parts[2]
            fits = last == "" or (len(last) == 1 and "A" <= last <= "Z")
        if fits:
            self._text = text
        else:
            self._remark = "not here: " + key

    def _draw(self):
        keys = LETTERS if self._text.count(".") == 2 else DIGITS
        head = "place " + (self._text or "_")
        if self._remark:
            head += " ! " + self._remark
        self.hw.show([head] + list(keys))
