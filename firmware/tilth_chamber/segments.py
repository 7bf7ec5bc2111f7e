"""The folder of append-only segment files: one is written, all can be read or deleted.

A segment holds records of one boot and one location and is named after the boot and
its first sequence number. Nothing in it is ever overwritten: after a failed write
another file begins.
"""

from .records import pack_about, scan

NAME_SIZE = 28


def name_of(boot, first, attempt):
    """Return the file name of a segment.

    Boot counter, boot nonce and first number, eight hexadecimal digits each, so
    that names sort as time does; the attempt keeps a failed write's file apart.
    """
    counter, nonce = boot.split("-")
    return f"{int(counter, 16):08x}{nonce}{first:08x}.sg{attempt}"


def parse_name(name):
    """Return (boot, first) of a segment's file name, None if it is none."""
    if len(name) != NAME_SIZE or name[24:27] != ".sg":
        return None
    for letter in name[:24]:
        if letter not in "0123456789abcdef":
            return None
    return f"{int(name[:8], 16):x}-{name[8:16]}", int(name[16:24], 16)


class Segment:
    """One file of records.

    Parameters
    ----------
    name, boot : str
        File name and boot id.
    first : int
        Number of its first record.
    last : int or None
        Number of its last one; None while that is not known.
    size : int
        Bytes.
    """

    def __init__(self, name, boot, first, last, size):
        self.name = name
        self.boot = boot
        self.first = first
        self.last = last
        self.size = size
        self.judged = False  # its damage has been looked for and reported


class Folder:
    """All segments of a device, in the order they were begun.

    Parameters
    ----------
    fs : object
        The hardware's file system.
    path : str
        Folder of the segments.

    Attributes
    ----------
    segments : list of Segment
        Oldest boot first; the last one may still be written.
    size : int
        Bytes of all of them.
    """

    def __init__(self, fs, path):
        self._fs = fs
        self._path = path
        self._file = None
        self._loc = None
        self._attempt = 0
        self._cached = None
        self._content = None
        self.segments = []
        self.size = 0
        try:
            names = sorted(fs.listdir(path))
        except OSError:
            names = []
        for name in names:
            parsed = parse_name(name)
            if parsed:
                self._add(name, parsed)

    def _add(self, name, parsed):
        try:
            size = self._fs.size(self._path + "/" + name)
        except OSError:
            size = 0
        self.segments.append(Segment(name, parsed[0], parsed[1], None, size))
        self.size += size

    def write(self, boot, loc, first, last, tick, data, limit):
        """Append records and make them durable.

        Parameters
        ----------
        boot, loc : str
            Of the records; another location begins another segment.
        first, last : int
            Numbers the bytes hold.
        tick : int
            Of the first record, ms since boot.
        data : bytes
            Packed records.
        limit : int
            A segment that would grow beyond this many bytes is closed first.

        Raises
        ------
        OSError, MemoryError
            The records count as not written.
        """
        if self._file is not None and (
            loc != self._loc or self.segments[-1].size + len(data) > limit
        ):
            self.close()
        try:
            if self._file is None:
                data = pack_about(boot, loc, first, tick) + data
                name = name_of(boot, first, self._attempt)
                self._file = self._fs.open(self._path + "/" + name, "wb")
                self._loc = loc
                self.segments.append(Segment(name, boot, first, first - 1, 0))
            self._file.write(data)
            self._file.sync()
        except (OSError, MemoryError):
            self._fail()
            raise
        segment = self.segments[-1]
        segment.last = last
        segment.size += len(data)
        self.size += len(data)

    def _fail(self):
        """Leave a file whose end is unknown; the next write begins another one."""
        self._attempt = (self._attempt + 1) % 10
        if self._file is not None:
            self.close()
            if self.segments[-1].size == 0:
                self.remove(self.segments[-1])

    def close(self):
        """Close the segment being written; the next record begins another."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                pass
            self._file = None

    def load(self, segment):
        """Return (records, holes, loc) of a segment, see `scan`; the last one is kept.

        Raises
        ------
        OSError, MemoryError
            It cannot be read (now).
        """
        if self._cached is not segment:
            if self._file is not None and segment is self.segments[-1]:
                self.close()
            self._cached = self._content = None
            with self._fs.open(self._path + "/" + segment.name, "rb") as f:
                self._content = scan(f.read(), segment.first)
            self._cached = segment
        return self._content

    def remove(self, segment):
        """Delete a segment; True if the flash did.

        One that cannot be deleted is forgotten here and found again at boot.
        """
        if self._file is not None and segment is self.segments[-1]:
            self.close()
        if self._cached is segment:
            self._cached = self._content = None
        self.segments.remove(segment)
        self.size -= segment.size
        try:
            self._fs.remove(self._path + "/" + segment.name)
        except OSError:
            return False
        return True
