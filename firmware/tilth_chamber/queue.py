"""The store-and-forward queue: a record leaves it only when the server has it.

Every sample and event gets the next sequence number of this boot. It is kept in
memory and, at once by default, in flash; it is deleted when the server has said that
everything up to its number is on its disk, and by nothing else, except that a full
flash drops its oldest segment and says so in a ``dropped`` event.

What a power cut may lose: with the default ``flush_records`` 1 nothing that
`append_sample` or `append_event` has returned for; with n at most the last n-1
samples. A flash that refuses to be written leaves the records in memory, where the
link still delivers them.
"""

import gc
import json

from . import keep
from .boots import Boots
from .records import EVENT, MAX_TEXT, SAMPLE, alike, pack_record
from .segments import Folder
from .wire import plain

SEQ_END = 2**32
URGENT = ("cycle", "result", "loc", "calibrate", "boot")
ENOSPC = 28
LEAST_BYTES = 64 * 1024
RETRY = 16  # appends between two tries on a flash that refused

# Three days of samples each 3 s are 86,400 records of about 62 bytes, 5.4 MB; the
# Core2 has 16 MB of flash, of which an update wants half a megabyte free. In memory
# 256 records are 13 minutes and about 40 kB of 4 MB.
DEFAULTS = {
    "queue_bytes": 8 * 1024 * 1024,
    "reserve_bytes": 512 * 1024,
    "segment_bytes": 32 * 1024,
    "flush_records": 1,
    "ram_records": 256,
    "ram_most": 2048,
}


class Queue:
    """Records of this boot and of earlier ones that the server does not have yet.

    Parameters
    ----------
    fs : object
        The hardware's file system.
    root : str
        Folder of the queue's files.
    settings : dict
        May override `DEFAULTS`.
    hw : object
        For `random32` and `ticks_ms`.

    Attributes
    ----------
    boot : str
        Id of this boot: counter and random nonce.
    next : int
        Number the next record gets.
    dropped : int
        Records given up since boot.
    loc : str
        Location code of the latest record.
    urgent : bool
        An event waits that should not wait for its batch; the link clears it.

    Notes
    -----
    Appending never raises and takes no longer than one write to flash.
    """

    def __init__(self, fs, root, settings, hw):
        self._fs, self._root, self._hw = fs, root, hw
        self._set = {name: settings.get(name, DEFAULTS[name]) for name in DEFAULTS}
        keep.folder(fs, root)
        keep.folder(fs, root + "/q")
        self._folder = Folder(fs, root + "/q")
        try:
            room = self._folder.size + fs.free() - self._set["reserve_bytes"]
        except OSError:
            room = self._set["queue_bytes"]
        self._most = max(LEAST_BYTES, min(self._set["queue_bytes"], room))
        self.dropped = 0
        self.urgent = False
        self.loc = ""
        self._notices = []  # (event's number, boot, first, last, reason) not acked yet
        self._boots = Boots(self._folder)
        self._begin()

    def _begin(self):
        """Take the next boot id."""
        path = self._root + "/boots"
        counter = (keep.load(self._fs, path, 0) + 1) & 0xFFFFFFFF
        keep.save(self._fs, path, counter)
        self.boot = f"{counter:x}-{self._hw.random32():08x}"
        self._now = self._boots.begin(self.boot)
        self.next = 0
        self._ram = []  # (seq, tick, kind, text, loc) without a gap, up to the newest
        self._waiting = 0  # how many of them, at the end, are not on flash
        self._rest = 0  # appends until a refusing flash is tried again

    # --- writing

    def append_sample(self, row, tick, loc):
        """Keep one sample.

        Parameters
        ----------
        row : tuple
            co2, st, rh, at, p, lux, mv, state, flags: whole numbers or None.
        tick : int
            When, ms since boot.
        loc : str
            Location code, ``""`` if there is none yet.

        Returns
        -------
        int
            Its sequence number.
        """
        co2, st, rh, at, p, lux, mv, state, flags = row
        text = f"{co2},{st},{rh},{at},{p},{lux},{mv},{state},{flags}"
        if None in row:
            text = text.replace("None", "null")
        return self._append(SAMPLE, text, tick, loc)

    def append_event(self, kind, body, tick, loc):
        """Keep one event.

        Parameters
        ----------
        kind : str
            Lower-case word.
        body : dict
            Whole numbers, texts, lists and dicts. What the protocol does not allow
            is made harmless: a fraction is rounded, anything else becomes its text,
            and a body of more than 2,000 bytes is left out.
        tick : int
            When, ms since boot.
        loc : str
            Location code.

        Returns
        -------
        int
            Its sequence number.
        """
        try:
            text = json.dumps(plain(body, 3))
            if len(text) > 2000:
                text = json.dumps({"left_out": len(text)})
        except Exception:
            text = "{}"
        if kind in URGENT:
            self.urgent = True
        return self._append(EVENT, f'"{kind}",{text}', tick, loc)

    def _append(self, kind, text, tick, loc):
        if self.next >= SEQ_END:
            self._next_boot()
        seq = self.next
        record = (seq, tick, kind, text, loc)
        try:
            self._ram.append(record)
        except MemoryError:
            self._give_up_memory()
            gc.collect()
            self._ram.append(record)
        self.next = seq + 1
        self._now.last = seq
        self.loc = loc
        self._waiting += 1
        if self._rest:
            self._rest -= 1
        elif self._waiting >= self._set["flush_records"] or kind == EVENT:
            self._flush()
        if len(self._ram) > self._set["ram_records"] + 32:
            self._trim()
        return seq

    def _next_boot(self):
        """Go on under another boot id: this one has no numbers left."""
        self.spill()
        self._folder.close()
        full, lost = self._now, self._ram[len(self._ram) - self._waiting :]
        self._begin()
        self._boots.leave(full)
        if lost:
            self._lose(full.boot, lost[0][0], full.last, "overflow")

    def _flush(self):
        """Write what is only in memory; True when nothing is left."""
        tries = 4
        while self._waiting:
            first, tick, _, _, loc = self._ram[len(self._ram) - self._waiting]
            data, last = self._pack_waiting()
            try:
                while self._folder.size + len(data) > self._most:
                    if not self._drop_oldest():
                        break
                self._folder.write(
                    self.boot, loc, first, last, tick, data, self._set["segment_bytes"]
                )
            except OSError as error:
                tries -= 1
                if tries and error.args[0] == ENOSPC and self._drop_oldest():
                    continue
                self._rest = RETRY
                return False
            except MemoryError:
                gc.collect()
                self._rest = RETRY
                return False
            self._waiting = self.next - 1 - last
        return True

    def _pack_waiting(self):
        """Return bytes of the first waiting records of one location, and the last."""
        ram = self._ram
        at = len(ram) - self._waiting
        loc = ram[at][4]
        data = b""
        while at < len(ram) and ram[at][4] == loc and len(data) < MAX_TEXT:
            last, tick, kind, text, _ = ram[at]
            data += pack_record(last, kind, tick, text)
            at += 1
        return data, last

    def _trim(self):
        """Bound the memory: forget what flash holds, else give up the oldest."""
        spare = len(self._ram) - self._waiting
        excess = len(self._ram) - self._set["ram_records"]
        if spare > 0:
            del self._ram[: min(spare, excess)]
        elif len(self._ram) > self._set["ram_most"]:
            self._give_up_memory()

    def spill(self):
        """Write everything to flash; True when all is safe."""
        self._rest = 0
        return self._flush()

    def all_safe(self):
        """Tell whether every record is acknowledged or on flash."""
        return self._waiting == 0

    # --- giving up

    def _drop_oldest(self):
        """Give up the oldest segment and say so; False if the flash will not."""
        segments = self._folder.segments
        if not segments:
            return False
        segment = segments[0]
        if len(segments) == 1 and segment.boot == self.boot:
            return False  # the one being written
        owner = self._boots.find(segment.boot)
        if not self._folder.remove(segment):
            return False
        first, again = max(segment.first, owner.acked + 1), []
        self.dropped += max(0, segment.last - first + 1)
        if owner is self._now:
            self._forget_memory(segment.last)
            # Reports that went with it are made again, of this boot in one range.
            again = [n for n in self._notices if n[0] <= segment.last]
            self._notices = [n for n in self._notices if n[0] > segment.last]
        self._boots.forget_delivered()
        for _, boot, low, high, reason in again:
            if boot == segment.boot:
                first = min(first, max(low, owner.acked + 1))
            else:
                self._notice(boot, low, high, reason)
        if first <= segment.last:
            self._notice(segment.boot, first, segment.last, "overflow")
        return True

    def _give_up_memory(self):
        """Make room in memory: forget what flash holds, and a quarter of the rest."""
        spare = len(self._ram) - self._waiting
        del self._ram[:spare]
        n = (len(self._ram) + 3) // 4
        if n:
            first, last = self._ram[0][0], self._ram[n - 1][0]
            del self._ram[:n]
            self._waiting -= n
            self._lose(self.boot, first, last, "overflow")

    def _lose(self, boot, first, last, reason):
        self.dropped += last - first + 1
        self._notice(boot, first, last, reason)

    def _notice(self, boot, first, last, reason):
        """Say in an event that records will never come."""
        body = {"boot": boot, "first": first, "last": last, "reason": reason}
        self._notices.append((self.next, boot, first, last, reason))
        text = '"dropped",' + json.dumps(body)
        self._ram.append((self.next, self._hw.ticks_ms(), EVENT, text, self.loc))
        self._now.last = self.next
        self.next += 1
        self._waiting += 1

    def give_up(self, boot, first, last):
        """Report records the server cannot take; the link then skips them."""
        self._lose(boot, first, last, "poison")
        self._flush()

    # --- reading

    def boots(self):
        """Return the ids of the boots that wait, the oldest first, this one last."""
        return self._boots.ids()

    def depth(self):
        """Return how many records wait for the server."""
        return self._boots.depth()

    def low(self, boot):
        """Return the lowest number of a boot that is held, or given up unreported.

        All below are acknowledged or reported dropped; next if nothing is held.
        """
        owner = self._boots.find(boot)
        if owner is None:
            return 0
        low = owner.last + 1
        for segment in self._folder.segments:
            if segment.boot == boot and segment.last > owner.acked:
                low = max(segment.first, owner.acked + 1)
                break
        if owner is self._now and self._ram:
            low = min(low, self._ram[0][0])
        for _, dropped, first, _, _ in self._notices:
            if dropped == boot and first < low:
                low = max(first, owner.acked + 1)
        return low

    def last(self, boot):
        """Return the highest number generated in a boot, as far as is known."""
        owner = self._boots.find(boot)
        return -1 if owner is None else owner.last

    def acked(self, boot):
        """Return the highest number known to be on the server with all below it."""
        owner = self._boots.find(boot)
        return -1 if owner is None else owner.acked

    def pending(self, most=200):
        """Return [[boot, low, last], ...], this boot last, at most so many."""
        boots = self.boots()
        if len(boots) > most:
            boots = boots[: most - 1] + boots[-1:]
        return [[boot, self.low(boot), self.last(boot)] for boot in boots]

    def read(self, boot, seq, most, size):
        """Return the next records that may share a batch.

        Parameters
        ----------
        boot : str
            Which boot.
        seq : int
            Not before this number.
        most, size : int
            At most so many records and about so many bytes.

        Returns
        -------
        list of (seq, tick, kind, text, loc)
            Without a gap, of one location; empty if nothing is held from `seq` on.
        """
        owner = self._boots.find(boot)
        if owner is None:
            return []
        seq = max(seq, owner.acked + 1)
        ram = self._ram if owner is self._now else ()
        if ram and seq >= ram[0][0]:
            at = seq - ram[0][0]
            return alike(ram[at : at + most], most, size)
        for segment in list(self._folder.segments):
            if segment.boot == boot and segment.last >= seq:
                records, loc = self._load(segment)
                found = [r for r in records if r[0] >= seq]
                if found:
                    return alike([r + (loc,) for r in found[:most]], most, size)
        return alike(ram[:most], most, size)

    def _load(self, segment):
        """Read a segment; its damage is reported the first time."""
        try:
            records, holes, loc = self._folder.load(segment)
        except OSError:
            records, holes, loc = [], [(segment.first, None)], ""
        if not segment.judged:
            segment.judged = True
            owner = self._boots.find(segment.boot)
            for first, last in holes:
                last = segment.last if last is None else min(last, segment.last)
                first = max(first, owner.acked + 1)
                if first <= last:
                    self._lose(segment.boot, first, last, "corrupt")
            if holes:
                segment.last = records[-1][0] if records else segment.first - 1
                if not records:
                    self._folder.remove(segment)
                    self._boots.forget_delivered()
                self._flush()
        return records, loc

    # --- deleting

    def ack(self, boot, seq):
        """Delete what the server has: all records of a boot up to a number.

        Returns
        -------
        str
            ``"progress"``, ``"old"`` (nothing new), ``"done"`` (a boot that was
            delivered before), ``"unknown"`` (no boot of this device) or ``"beyond"``
            (a number this boot never gave out): of the last two nothing is deleted.
        """
        owner = self._boots.find(boot)
        if owner is None:
            return "done" if boot in self._boots.done else "unknown"
        if owner is self._now and seq >= self.next:
            return "beyond"
        if seq <= owner.acked:
            return "old"
        owner.acked = min(seq, owner.last)
        if owner is self._now:
            self._forget_memory(seq)
            if self._notices:
                self._notices = [n for n in self._notices if n[0] > seq]
        for segment in list(self._folder.segments):
            if segment.boot == boot:
                if segment.last > seq:
                    break
                if owner is not self._now or segment is not self._folder.segments[-1]:
                    self._folder.remove(segment)
        self._boots.forget_delivered()
        return "progress"

    def _forget_memory(self, seq):
        ram = self._ram
        if ram and ram[0][0] <= seq:
            del ram[: seq - ram[0][0] + 1]
            self._waiting = min(self._waiting, len(ram))
