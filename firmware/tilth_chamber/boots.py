"""What is held of which boot: this one, and earlier ones the server has not in full."""


class Held:
    """What is held of one boot: some of the numbers above `acked` up to `last`."""

    def __init__(self, boot, acked, last):
        self.boot = boot
        self.acked = acked
        self.last = last


class Boots:
    """The boots of which records wait.

    Parameters
    ----------
    folder : segments.Folder
        Their segments; what earlier boots left is found there.

    Attributes
    ----------
    now : Held or None
        The boot that runs.
    olds : list of Held
        Earlier ones, the oldest first.
    done : list of str
        Boots delivered in full since this one began, the last 32.
    """

    def __init__(self, folder):
        self._folder = folder
        self.now = None
        self.olds = []
        self.done = []
        self._recover()

    def _recover(self):
        """Find what earlier boots left; only the last segment of each is read."""
        segments = list(self._folder.segments)
        for i in range(len(segments)):
            segment = segments[i]
            if i + 1 < len(segments) and segments[i + 1].boot == segment.boot:
                segment.last = segments[i + 1].first - 1
            else:
                segment.last = self._last_of(segment)
            if segment.last < segment.first:  # a write that never came to be
                self._folder.remove(segment)
            elif self.olds and self.olds[-1].boot == segment.boot:
                self.olds[-1].last = segment.last
            else:
                old = Held(segment.boot, segment.first - 1, segment.last)
                self.olds.append(old)

    def _last_of(self, segment):
        """Return the last number of a segment; the first if it cannot be read."""
        try:
            records, holes, _ = self._folder.load(segment)
        except (OSError, MemoryError):
            return segment.first
        if holes and holes[-1][1] is None:
            return holes[-1][0]
        return records[-1][0] if records else segment.first - 1

    def begin(self, boot):
        """Begin a boot of which nothing is held yet, and return it."""
        self.now = Held(boot, -1, -1)
        return self.now

    def leave(self, full):
        """Keep a boot as an earlier one, if flash holds any of it."""
        if self._on_flash(full.boot):
            self.olds.append(full)

    def find(self, boot):
        """Return what is held of a boot, or None."""
        if boot == self.now.boot:
            return self.now
        for old in self.olds:
            if old.boot == boot:
                return old
        return None

    def ids(self):
        """Return the ids of the boots, the oldest first, the one that runs last."""
        return [old.boot for old in self.olds] + [self.now.boot]

    def depth(self):
        """Return how many records wait."""
        n = self.now.last - self.now.acked
        for old in self.olds:
            n += old.last - old.acked
        return n

    def forget_delivered(self):
        """Forget earlier boots of which nothing is left."""
        for old in list(self.olds):
            if not self._on_flash(old.boot):
                self.olds.remove(old)
                self.done = self.done[-31:] + [old.boot]

    def _on_flash(self, boot):
        return any(segment.boot == boot for segment in self._folder.segments)
