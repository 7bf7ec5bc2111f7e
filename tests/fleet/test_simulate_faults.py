"""Every fault leaves the fingerprint it should, and the truth says when and where."""

import numpy as np
import pytest

from tilth.fleet.channels import FLAGS, STATES
from tilth.fleet.simulate import (
    FAULT_BITS,
    NULL,
    cycle_table,
    fault_names,
    simulate_fleet_records,
)
from tilth.fleet.simulate.faults import FAULT_KINDS
from tilth.fleet.simulate.layouts import EVENT_KINDS, WHYS
from tilth.fleet.simulate.plan import HOUR_MS, MINUTE_MS, utc_ms

# A summer night and morning: soils breathe and nothing is masked by the sun.
START = utc_ms("2026-07-06T20:00")
BEGIN, END = START + 2 * HOUR_MS, START + 5 * HOUR_MS


class Night:
    """Eight hours of one device with one fault in the middle, and without it."""

    def __init__(self, kind, **more):
        episode = {"kind": kind, "from": BEGIN, "to": END} | more
        if FAULT_KINDS[kind].scope == "device":
            episode["device"] = 0
        self.bad = self._night({"episodes": [episode]})
        self.good = self._night(None)
        self.cycles = cycle_table(self.bad)

    @staticmethod
    def _night(plan):
        return list(simulate_fleet_records(1, 8 / 24, plan, start=START, seed=21))

    def column(self, name, *, good=False, when=None):
        """A column, of the hours of the fault by default."""
        blocks = self.good if good else self.bad
        t = np.concatenate([b.times["t"] for b in blocks])
        values = np.concatenate(
            [b.times[name] if name in b.times else b.values[name] for b in blocks]
        )
        # The first twenty minutes: what is stuck sticks from the next cycle on.
        begin, end = when or (BEGIN + 20 * MINUTE_MS, END)
        return values[(t >= begin) & (t < end)]

    def closed(self, name, *, good=False):
        """A column in closed chambers."""
        state = self.column("state", good=good)
        shut = (state == STATES["closed"]) | (state == STATES["extended"])
        return self.column(name, good=good)[shut]


def rises(night, *, good=False):
    """CO2 gathered in each closure during the fault, ppm."""
    blocks = night.good if good else night.bad
    found = []
    for block in blocks:
        tick, co2 = block.times["tick"], block.values["co2"]
        for cycle in block.cycles:
            if BEGIN + 20 * MINUTE_MS <= cycle["close"] < END - 10 * MINUTE_MS:
                own = (block.values["boot"] == cycle["boot"]) & (
                    (tick >= cycle["close_tick"]) & (tick <= cycle["open_tick"])
                )
                found.append((co2[own][-5:].mean() - co2[own][:5].mean()) / 10.0)
    return np.array(found)


def during(night):
    """Truth about the cycles that closed during the fault, the first left out."""
    cycles = night.cycles
    return cycles[
        (cycles.close >= BEGIN + 20 * MINUTE_MS) & (cycles.close < END - 10 * MINUTE_MS)
    ]


def test_a_lid_stuck_closed_never_airs_and_the_truth_says_so():
    night = Night("stuck_closed")
    cycles = during(night)
    assert not cycles.opened.any()
    assert cycles.shut.all()
    # At night CO2 piles up, and no flush brings it down.
    bad = night.column("co2")[night.column("state") == STATES["ambient"]]
    good = night.column("co2", good=True)
    good = good[night.column("state", good=True) == STATES["ambient"]]
    assert np.median(bad) > np.median(good) + 500
    assert (
        night.column("rh")[-100:].mean() > night.column("rh", good=True)[-100:].mean()
    )


def test_a_lid_stuck_open_gathers_nothing():
    night = Night("stuck_open")
    assert not during(night).shut.any()
    assert abs(np.median(rises(night))) < 4
    assert np.median(rises(night, good=True)) > 8
    assert (during(night).why != "normal").mean() > 0.3


def test_a_half_open_lid_leaks_twenty_times_as_much():
    night = Night("half_open")
    cycles, good = during(night), cycle_table(night.good)
    own = float(simulate_fleet_records(1, 0.01, seed=21).devices().leak[0])
    assert cycles.k.mean() - good.k.mean() == pytest.approx(19 * own, rel=0.02)
    ratio = np.median(rises(night)) / np.median(rises(night, good=True))
    assert 0.6 < ratio < 0.95


def test_a_clogged_pot_gives_neither_co2_nor_vapour():
    night = Night("clogged")
    cycles = during(night)
    assert cycles.shut.all()
    assert cycles.opened.all()
    assert (cycles.soil_flux < 0.1 * cycle_table(night.good).soil_flux.mean()).all()
    assert abs(np.median(rises(night))) < 4

    def moistened(**how):
        rh = night.closed("rh", **how)
        return rh[59::61].mean() - rh[5::61].mean()

    assert abs(moistened()) < 0.5 * abs(moistened(good=True))


def test_a_blocked_servo_restarts_the_device_until_it_is_left_alone():
    night = Night("servo_stall")
    boots = np.unique(night.column("boot"))
    assert len(boots) > 3
    assert len(during(night)) == 0
    events = np.concatenate([b.events for b in night.bad])
    starts = events[events["kind"] == EVENT_KINDS.index("boot")]
    causes = [WHYS[why] for why in starts["why"]]
    assert causes[0] == "power"
    assert causes.count("brownout") >= len(boots) - 1
    # Three brown-outs in a row: it rests, its lid open.
    assert (night.column("state") == STATES["fault"]).any()


def test_an_offset_walks_away_by_so_much_a_day():
    night = Night("offset_drift", size=240.0)
    change = (night.column("co2") - night.column("co2", good=True)) / 10.0
    assert change[-1] == pytest.approx(240 * 3 / 24, abs=2)
    assert np.polyfit(np.arange(len(change)) / 28_800, change, 1)[0] == pytest.approx(
        240, rel=0.02
    )


def test_a_gain_walks_away_by_so_much_a_day():
    night = Night("gain_drift", size=0.4)
    bad, good = night.column("co2"), night.column("co2", good=True)
    assert (bad[-200:] / good[-200:]).mean() == pytest.approx(1.05, abs=0.005)


def test_a_frozen_sensor_repeats_one_value():
    night = Night("frozen")
    for name in ("co2", "st", "rh"):
        # It is restarted between closures, twice without a value, and freezes again.
        values = np.unique(night.column(name))
        assert len(values[values != NULL]) == 1
        assert (night.column(name) == NULL).mean() < 0.02
    assert len(np.unique(night.column("p"))) > 10
    assert len(np.unique(night.column("co2", good=True))) > 100


def test_zero_ppm_is_no_measurement():
    night = Night("zero_ppm")
    assert (night.column("co2") == NULL).all()
    flags = night.column("flags", when=(BEGIN, END))
    assert flags[0] & FLAGS["co2_missing"]
    # From then on the sensor is one that has not begun to measure.
    assert (flags[1:] & FLAGS["warmup"] > 0).all()


def test_damaged_readings_are_as_many_as_planned():
    night = Night("crc_errors", size=0.4)
    damaged = night.column("flags") & FLAGS["co2_crc"] > 0
    assert damaged.mean() == pytest.approx(0.4, abs=0.03)
    assert (night.column("co2")[damaged] == NULL).all()
    assert (night.column("co2")[~damaged] != NULL).all()


def test_a_hanging_bus_silences_every_sensor_on_it():
    night = Night("i2c_hang")
    for name in ("co2", "st", "rh", "at", "p", "lux"):
        assert (night.column(name) == NULL).all()
    assert (night.column("mv") != NULL).all()
    flags = night.column("flags")
    for name in ("co2_missing", "pressure_error", "light_error"):
        assert (flags & FLAGS[name] > 0).all()


def test_faults_of_the_light_sensor_are_marked():
    bright = Night("light_saturation")
    assert (bright.column("lux") == 54_612).all()
    assert (bright.column("flags") & FLAGS["light_error"] > 0).all()
    away = Night("light_error")
    assert (away.column("lux") == NULL).all()


def test_without_its_fan_a_chamber_airs_slowly():
    night = Night("fan_dead", size=4.0)

    def left(**how):
        """CO2 above ambient half a minute after opening, of that gathered."""
        state, co2 = night.column("state", **how), night.column("co2", **how)
        starts = np.flatnonzero(np.diff((state == STATES["flush"]).astype(int)) == 1)
        return np.mean([co2[i + 11] - co2[i + 60] for i in starts if i + 60 < len(co2)])

    assert left() > left(good=True) + 20


def test_a_skewed_clock_counts_faster_than_time():
    night = Night("clock_skew", size=200.0)
    t, tick = night.column("t"), night.column("tick")
    rate = (tick[-1] - tick[0]) / (t[-1] - t[0])
    good = night.column("tick", good=True)
    good = (good[-1] - good[0]) / (
        night.column("t", good=True)[-1] - night.column("t", good=True)[0]
    )
    assert (rate - good) * 1e6 == pytest.approx(200, abs=1)


def test_a_wrong_code_is_shown_while_it_lasts():
    night = Night("wrong_location")
    assert (night.column("misplaced") == 1).all()
    assert not night.column("misplaced", when=(START, BEGIN)).any()
    events = np.concatenate([b.events for b in night.bad])
    changes = events[events["kind"] == EVENT_KINDS.index("loc")]
    assert changes["a"].tolist() == [1, 0]
    block = night.bad[0]
    assert block.shown == ("5.0.A", "5.0.B")


def test_a_weak_supply_restarts_the_device_again_and_again():
    night = Night("brownout_loop", size=30.0)
    boots = np.unique(night.column("boot", when=(BEGIN, END)))
    assert len(boots) > 200
    assert len(during(night)) == 0
    later = night.column("boot", when=(END + 5 * MINUTE_MS, END + HOUR_MS))
    assert len(np.unique(later)) == 1


def test_a_person_breathes_into_all_chambers_at_once():
    plan = {
        "episodes": [
            {"kind": "person_breathing", "from": BEGIN, "hours": 0.5, "size": 200}
        ]
    }
    for device in range(3):
        blocks = simulate_fleet_records(3, 0.2, plan, start=START, seed=1)
        mine = [b for b in blocks if b.device == device]
        t = np.concatenate([b.times["t"] for b in mine])
        co2 = np.concatenate([b.values["co2"] for b in mine])
        state = np.concatenate([b.values["state"] for b in mine])
        open_air = (state == STATES["ambient"]) & (co2 != NULL)
        before = co2[open_air & (t < BEGIN) & (t > BEGIN - HOUR_MS)].mean()
        meanwhile = co2[open_air & (t > BEGIN) & (t < BEGIN + HOUR_MS // 2)].mean()
        assert meanwhile > before + 300


@pytest.mark.parametrize("kind", ["stuck_open", "clogged", "frozen"])
def test_labels_cover_the_episode_and_nothing_else(kind):
    night = Night(kind)
    bit = FAULT_BITS[kind]
    cycles = night.cycles
    closing = (cycles.faults & bit) > 0
    touched = (cycles.touched & bit) > 0
    assert closing.equals((cycles.close >= BEGIN) & (cycles.close < END))
    # The last minute of a flush counts too.
    near = (cycles.open + 62_000 >= BEGIN) & (cycles.close < END)
    assert touched.equals(near)
    assert (cycles.faults[~closing] == 0).all()


def test_several_faults_at_once_are_all_in_the_label():
    plan = {
        "episodes": [
            {"device": 0, "kind": "clogged", "from": BEGIN, "to": END},
            {"device": 0, "kind": "frozen", "from": BEGIN, "to": END},
            {"device": 0, "kind": "light_error", "from": BEGIN, "to": END},
        ]
    }
    cycles = cycle_table(simulate_fleet_records(1, 0.3, plan, start=START, seed=1))
    inside = cycles[(cycles.close > BEGIN) & (cycles.close < END)]
    names = {fault_names(label) for label in inside.faults}
    assert names == {("clogged", "frozen", "light_error")}


def test_after_a_fault_everything_is_as_it_would_have_been():
    night = Night("stuck_open")
    when = (END + 2 * HOUR_MS, END + 3 * HOUR_MS)
    bad, good = (night.column("co2", good=g, when=when) for g in (False, True))
    n = min(len(bad), len(good))
    # The same noise, the same weather: at most the phase of a restart is different.
    assert np.median(abs(bad[:n] - good[:n])) < 60


def test_faults_of_one_device_leave_the_others_alone():
    plan = {
        "episodes": [{"device": 0, "kind": "stuck_closed", "from": BEGIN, "to": END}]
    }
    with_fault = list(simulate_fleet_records(2, 0.2, plan, start=START, seed=5))
    without = list(simulate_fleet_records(2, 0.2, start=START, seed=5))
    for bad, good in zip(with_fault, without, strict=True):
        same = np.array_equal(bad.values["co2"], good.values["co2"])
        assert same == (bad.device == 1)
