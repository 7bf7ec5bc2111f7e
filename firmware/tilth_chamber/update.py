"""Changing the firmware: fetched, verified, laid out in the spare slot, then tried.

Nothing is touched that runs or that ran well before. A power cut at any moment leaves
either the old firmware or, after the pointer's renaming, the whole new one on trial.
"""

from . import __version__, bundle, http

ATTEMPTS = 5
RETRY_MS = 20_000
PIECE = 2048
TRIAL_MS = (90_000, 300_000)  # a firmware that crashes mostly does so at once
SETTLED_MS = 600_000
FETCHING, CHECKING, UNPACKING, INSTALLED, IDLE = 0, 1, 2, 3, 4


class Updater:
    """Fetches and installs one firmware at a time.

    Parameters
    ----------
    hw : object
        The hardware layer.
    slots : object
        The loader's slots.
    settings : dict
        firmware_key, 64 hexadecimal digits.
    boot : int
        Version of the loader.
    emit : callable
        Called with kind and body of an event.
    restart : callable
        Called when the new firmware is ready to be tried.
    """

    def __init__(self, hw, slots, settings, boot, emit, restart):
        self._hw = hw
        self._slots = slots
        self._boot = boot
        self._emit = emit
        self._restart = restart
        try:
            self._key = bytes.fromhex(settings.get("firmware_key", ""))
        except (ValueError, TypeError):
            self._key = b""
        self._state = IDLE
        self._fetch = self._file = self._source = None

    def begin(self, manifest, on_end=None):
        """Start to change to the firmware a manifest describes.

        Parameters
        ----------
        manifest : dict
            See `tilth_chamber.bundle`; its url is where the bundle is.
        on_end : callable, optional
            Called with ``"failed"`` and a dict that says why, should it come to that.

        Raises
        ------
        ValueError
            This device does not take it; the text says why.
        """
        if self._state != IDLE:
            raise bundle.Refused("busy")
        if self._slots.on_trial():
            raise bundle.Refused("on trial")
        slots = self._slots
        bundle.check(manifest, self._key, __version__, slots.serial(), self._boot)
        try:
            http.split(manifest.get("url", ""))
        except (http.Failed, AttributeError):
            raise bundle.Refused("url")
        self._manifest = manifest
        self._on_end = on_end
        self._attempt = 0
        self._due = 0
        self._state = FETCHING
        self._root = "/" + slots.spare()

    def step(self, now):
        """Move on; return the tick of the next call."""
        if self._state in (IDLE, INSTALLED):
            return now + 3_600_000
        if now < self._due:
            return self._due
        try:
            if self._state == FETCHING:
                return self._download(now)
            if self._state == CHECKING:
                self._check()
            else:
                self._unpack()
            return now + 1
        except bundle.Refused as error:
            self._fail(str(error))
        except Exception as error:  # whatever it is, the chamber goes on measuring
            self._close()
            self._attempt += 1
            if self._attempt == ATTEMPTS:
                self._fail(type(error).__name__ + " " + str(error))
                return now + 1
            self._state = FETCHING
            wait = RETRY_MS << self._attempt
            self._due = now + wait + self._hw.random32() % wait
        return now + 1

    def _fail(self, why):
        self._close()
        self._state = IDLE
        body = {"version": self._manifest["version"], "why": why}
        self._emit(
            "update", {"state": "failed", "version": body["version"], "why": why}
        )
        if self._on_end is not None:
            self._on_end("failed", body)

    def _download(self, now):
        fs, path = self._hw.fs, self._root + "/bundle"
        if self._fetch is None:
            self._clear()
            if fs.free() < 2 * self._manifest["size"] + 64 * 1024:
                raise bundle.Refused("flash: full")
            self._file = fs.open(path, "wb")
            url, size = self._manifest["url"], self._manifest["size"]
            self._fetch = http.Fetch(self._hw.net, url, size, self._file.write, now)
        for _ in range(4):
            if self._fetch.step(now):
                self._file.sync()
                self._close()
                self._state = CHECKING
                break
        return now + 10

    def _clear(self):
        """Empty the spare slot, what makes it one first."""
        fs, root = self._hw.fs, self._root
        folder = root + "/tilth_chamber"
        for path in (root, folder):
            try:
                fs.mkdir(path)
            except OSError:
                pass
        for path in (root + "/slot.json", root + "/slot.json.new", root + "/bundle"):
            try:
                fs.remove(path)
            except OSError:
                pass
        for name in fs.listdir(folder):
            fs.remove(folder + "/" + name)

    def _check(self):
        """Compare the bundle, as flash has it, with the manifest."""
        wanted = self._manifest["size"], bytes.fromhex(self._manifest["sha256"])
        found = bundle.digest_of(self._hw.fs, self._root + "/bundle", wanted[0])
        if found != wanted:
            raise http.Failed("sha256")
        self._source = self._hw.fs.open(self._root + "/bundle", "rb")
        self._files = bundle.read_index(self._source)
        self._at = 0
        self._left = 0
        self._state = UNPACKING

    def _unpack(self):
        """Write one piece of a file, or verify one, or finish."""
        fs = self._hw.fs
        if self._at == len(self._files):
            self._finish()
            return
        name, size, digest = self._files[self._at]
        path = self._root + "/" + name
        if self._file is None:
            self._file = fs.open(path, "wb")
            self._left = size
        data = self._source.read(min(PIECE, self._left))
        if self._left and not data:
            raise bundle.Refused("bundle: cut short")
        self._file.write(data)
        self._left -= len(data)
        if not self._left:
            self._file.sync()
            self._file.close()
            self._file = None
            if bundle.digest_of(fs, path, size) != (size, digest):
                raise http.Failed("a file")
            self._at += 1

    def _finish(self):
        """Describe the slot, then put it on trial."""
        self._close()
        fs, manifest = self._hw.fs, self._manifest
        try:
            fs.remove(self._root + "/bundle")
        except OSError:
            pass
        about = {
            "version": manifest["version"],
            "serial": manifest["serial"],
            "files": [[name, size] for name, size, _ in self._files],
        }
        self._slots.describe(self._slots.spare(), about)
        if not self._slots.try_spare():
            raise OSError(5)
        self._state = INSTALLED
        self._emit("update", {"state": "installed", "version": manifest["version"]})
        self._restart()

    def _close(self):
        for thing in (self._fetch, self._file, self._source):
            if thing is not None:
                try:
                    thing.close()
                except OSError:
                    pass
        self._fetch = self._file = self._source = None


class Trial:
    """The self-test of a new firmware: a reading of the sensors and of the server.

    Parameters
    ----------
    slots : object
        The loader's slots.
    app : App
        What is tested.
    now : int
        Ticks at the start, ms.
    """

    def __init__(self, slots, app, now):
        self._slots = slots
        self._app = app
        self._from, self._until = now + TRIAL_MS[0], now + TRIAL_MS[1]
        self._sensed = False
        self._done = False
        self._reported = not slots.failed()

    def step(self, now):
        """Confirm the firmware or give it up; return the tick of the next call."""
        app, slots = self._app, self._slots
        if self._done:
            return now + 3_600_000
        if not slots.on_trial():
            if not self._reported:
                self._reported = True
                app.emit("update", {"state": "rolled_back", "version": slots.failed()})
            if now < SETTLED_MS:
                return SETTLED_MS
            slots.settled()
            self._done = True
            return now + 3_600_000
        self._sensed = self._sensed or app.sensors.co2 is not None
        if self._sensed and app.link.acks and now >= self._from:
            slots.confirm()
            self._done = True
            app.emit("update", {"state": "confirmed", "version": __version__})
            app.commands.confirmed()
        elif now > self._until:
            slots.roll_back()
            self._done = True
            app.emit("update", {"state": "not_confirmed", "version": __version__})
            app.chamber.restart(now, "trial", True)
        return now + 1_000
