"""Forced recalibration of the CO2 sensor at a set time of day, all chambers at once.

The lid is open and the fan at full speed before the set time; the sensor is told the
reference at that time, or as soon after it as its values have been steady for two
minutes (Sensirion, SCD30 field calibration). It stores the correction only after it
has measured twice more, so the chamber neither restarts nor sleeps before that.
"""

from . import keep
from .closure import twice_median
from .states import CALIBRATE, RESTING

PATH = "/state/calibrate.json"

LOWEST_PPM = 400
HIGHEST_PPM = 2000
STEADY_MS = 120_000  # Sensirion: at least two minutes
SPREAD = 10_000  # 10 ppm, the sensor's repeatability, in 0.001 ppm
PREPARE_MS = 180_000  # lid open and fan on before the set time
PATIENCE_MS = 900_000
# Readings after the correction: two store it, the rest tell what it did.
AFTER = 10
# A plan further away than this is a mistyped date.
FURTHEST_MS = 31 * 86_400_000


class Calibration:
    """The planned recalibration of one chamber, kept in flash until it is done.

    Parameters
    ----------
    hw : object
        The hardware layer.
    app : object
        `settings`, `chamber`, `sensors`, `utc(now)`, `emit(kind, body)`, and
        `calibrated(id, state, body)`, called at the end.

    Attributes
    ----------
    plan : dict or None
        id, at (UTC ms) and ppm.
    """

    def __init__(self, hw, app):
        self.hw = hw
        self.app = app
        plan = keep.load(hw.fs, PATH, None)
        whole = isinstance(plan, dict) and "id" in plan and "at" in plan
        self.plan = plan if whole and _legal(plan.get("ppm")) else None
        self._began = None
        self._window = []
        self._before = None
        self._issued = False

    def set(self, command_id, at, ppm, utc):
        """Plan a recalibration.

        Raises
        ------
        ValueError
            If the reference or the time is not one.
        """
        if not _legal(ppm):
            raise ValueError("ppm: %d to %d" % (LOWEST_PPM, HIGHEST_PPM))
        if isinstance(at, bool) or not isinstance(at, int):
            raise ValueError("at: UTC in ms")
        if not utc - PATIENCE_MS <= at <= utc + FURTHEST_MS:
            raise ValueError("at: not in the coming 31 days")
        if self._began is not None:
            raise ValueError("one is under way")
        replaced = self.plan
        self.plan = {"id": command_id, "at": at, "ppm": ppm}
        keep.save(self.hw.fs, PATH, self.plan)
        if replaced is not None:
            self.app.calibrated(replaced["id"], "failed", {"why": "replaced"})

    def leaves_time(self, now, needed):
        """Whether a cycle of `needed` ms fits in before the next recalibration."""
        if self.plan is None:
            return True
        utc = self.app.utc(now)
        return utc is None or utc + needed <= self.plan["at"] - PREPARE_MS

    def step(self, now):
        """Begin or give up what is planned; call it at every sample."""
        plan, chamber = self.plan, self.app.chamber
        if plan is None:
            return
        if self._began is None:
            utc = self.app.utc(now)
            if utc is None or utc < plan["at"] - PREPARE_MS:
                return
            if utc > plan["at"] + PATIENCE_MS:
                self._end(now, "expired", {})
            elif chamber.state in RESTING and chamber.fire("calibrate", now):
                self._began = now
                self._window = []
                self._issued = False
        elif chamber.state != CALIBRATE:
            self._end(now, "failed", {"why": "interrupted"})
        elif now - self._began > PREPARE_MS + PATIENCE_MS:
            why = "silent" if self._issued or not self._steady() else "unsteady"
            self._end(now, "failed", {"why": why, "spread": self._spread()})

    def sample(self, now, co2):
        """Take a sample while the chamber calibrates.

        Parameters
        ----------
        now : int
            Tick.
        co2 : int or None
            0.001 ppm.
        """
        if self._began is None:
            return
        window = self._window
        if self._issued:
            if co2 is not None:
                window.append(co2)
            if len(window) >= AFTER:
                self._check(now)
            return
        if co2 is None:
            # Steady means without a gap.
            window.clear()
            return
        window.append(co2)
        if len(window) > STEADY_MS // self.app.settings["sample_ms"] + 1:
            window.pop(0)
        utc = self.app.utc(now)
        if utc is None or utc < self.plan["at"] or not self._steady():
            return
        if max(window) - min(window) >= SPREAD:
            return
        try:
            self.app.sensors.scd30.recalibrate(self.plan["ppm"])
        except OSError:
            return
        self._before = _tenths(window), self._spread()
        self._issued = True
        self._window = []
        self.app.emit("sensor", {"what": "recalibrating", "ref": self.plan["ppm"] * 10})

    def _steady(self):
        return len(self._window) > STEADY_MS // self.app.settings["sample_ms"]

    def _spread(self):
        if not self._window:
            return None
        return (max(self._window) - min(self._window) + 50) // 100

    def _check(self, now):
        """Read back what the sensor has stored and report."""
        ppm = self.plan["ppm"]
        stored = self.app.sensors.reference()
        if stored is None:
            return  # asked again at the next sample
        before, spread = self._before
        body = {
            "id": self.plan["id"],
            "before": before,
            "after": _tenths(self._window[-5:]),
            "ref": ppm * 10,
            "stored": stored,
            "spread": spread,
        }
        self.app.emit("calibrate", body)
        if stored == ppm:
            self._end(now, "done", body)
        else:
            self._end(now, "failed", {"why": "not stored", "stored": stored})

    def _end(self, now, state, body):
        plan = self.plan
        self.plan = None
        self._began = None
        keep.save(self.hw.fs, PATH, None)
        self.app.chamber.fire("calibrated", now, state)
        self.app.calibrated(plan["id"], state, body)


def _legal(ppm):
    whole = isinstance(ppm, int) and not isinstance(ppm, bool)
    return whole and LOWEST_PPM <= ppm <= HIGHEST_PPM


def _tenths(values):
    """Median in 0.1 ppm of values in 0.001 ppm."""
    return (twice_median(values) + 100) // 200
