"""Cycles become fluxes once, soon, and again when something about them changes."""

import dataclasses
import time

import numpy as np
import pytest
from live_world import NIGHT, World, device_name

from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.chambers.geometry import geometry_from_dict
from tilth.core.errors import InputError
from tilth.fleet.live import LiveFluxes
from tilth.fleet.live_settings import LiveSettings, settings_from_dict
from tilth.fleet.live_store import LIVE_FLAGS

ALL = (0, 2**62)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def live(world):
    live = LiveFluxes(world.folder, clock=world.clock)
    yield live
    live.stop()


def has(row, name):
    return bool(row["live_flag"] & LIVE_FLAGS.bit(name))


def only(live, **more):
    table = live.fluxes(*ALL, **more)
    assert len(table) == 1
    return table.iloc[0]


def test_a_committed_cycle_becomes_its_flux(world, live):
    live.notify(*world.cycle(device_name(1), flux=0.8))
    (row,) = live.work()
    assert row["flux"] == pytest.approx(0.8, abs=3 * row["se"])
    assert row["se"] < 0.15
    assert row["se_total"] > row["se"]
    assert (row["device"], row["loc"]) == (device_name(1), "5.10.A")
    assert row["t"] == NIGHT + 10_000
    assert row["t_open"] - row["t"] == 180_000
    assert (row["night"], row["live_flag"], row["closure_flag"]) == (1, 0, 0)
    assert row["model"] in ("linear", "hm")
    assert row["co2_end"] - row["co2_start"] == pytest.approx(19, abs=4)


def test_the_fluxes_of_a_fleet_are_right_on_average(world, live):
    truth = np.linspace(0.2, 2.0, 40)
    for i, flux in enumerate(truth):
        live.notify(*world.cycle(device_name(i), flux=flux, seed=i))
    live.work()
    table = live.fluxes(*ALL)
    error = (table["flux"].to_numpy() - truth) / table["se"].to_numpy()
    assert abs(np.mean(table["flux"].to_numpy() - truth)) < 0.03
    assert 0.5 < np.sqrt(np.mean(error**2)) < 1.5


def test_a_cycle_said_twice_is_one_row(world, live):
    said = world.cycle(device_name(1))
    live.notify(*said)
    live.notify(*said)
    live.work()
    before = only(live)
    live.notify(*said)
    live.work()
    assert only(live)["flux"] == before["flux"]


def test_a_cycle_nobody_told_of_is_found_by_the_next_start(world, live):
    world.cycle(device_name(1))
    world.cycle(device_name(2))
    assert live.work() == []
    assert live.search() == 2
    assert len(live.work()) == 2
    assert live.search() == 0
    again = LiveFluxes(world.folder, clock=world.clock)
    assert again.search() == 0
    again.stop()


def test_a_stop_between_two_batches_loses_no_cycle(world, live, monkeypatch):
    monkeypatch.setattr("tilth.fleet.live.BATCH", 3)
    for i in range(8):
        live.notify(*world.cycle(device_name(i)))
    assert len(live.work()) == 3
    live.stop()
    again = LiveFluxes(world.folder, clock=world.clock)
    again.search()
    while again.work():
        pass
    assert len(again.fluxes(*ALL)) == 8
    again.stop()


def test_a_failed_write_leaves_the_cycles_waiting(world, live, monkeypatch):
    live.notify(*world.cycle(device_name(1)))

    def full(rows):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(live.store, "put", full)
        with pytest.raises(OSError, match="No space"):
            live.work()
    assert len(live.work()) == 1


def test_a_closure_whose_samples_come_later_is_computed_again(world, live):
    device = device_name(1)
    world.cycle(device, write=False)
    boot, rows, event = world.last_event[0], world.last_rows, world.last_event
    # The live lane: the end of the closure arrives first.
    world.commit(boot, [r for r in rows if r[1] >= 60], [event], 60, rows[-1][1])
    live.notify(device, "1-00000001", 60, rows[-1][1])
    (first,) = live.work()
    assert has(first, "incomplete")
    assert live.fluxes(*ALL, usable=True).empty
    world.now += 3_600_000
    world.commit(boot, [r for r in rows if r[1] < 60], [], 0, 59)
    live.notify(device, "1-00000001", 0, 59)
    (second,) = live.work()
    assert not has(second, "incomplete")
    assert second["n"] > first["n"]
    assert only(live, usable=True)["flux"] == pytest.approx(0.8, abs=0.3)
    live.notify(device, "1-00000001", 0, 59)
    assert live.work() == []


def test_what_was_incomplete_at_a_stop_is_completed_after_the_start(world, live):
    device = device_name(1)
    world.cycle(device, write=False)
    boot, rows, event = world.last_event[0], world.last_rows, world.last_event
    world.commit(boot, [r for r in rows if r[1] >= 60], [event], 60, rows[-1][1])
    live.notify(device, "1-00000001", 60, rows[-1][1])
    live.work()
    again = LiveFluxes(world.folder, clock=world.clock)
    again.search()
    world.commit(boot, [r for r in rows if r[1] < 60], [], 0, 59)
    again.notify(device, "1-00000001", 0, 59)
    (row,) = again.work()
    assert not has(row, "incomplete")
    again.stop()


def test_records_lost_for_ever_complete_a_closure_and_are_told(world, live):
    device = device_name(1)
    world.cycle(device, write=False)
    boot, rows, event = world.last_event[0], world.last_rows, world.last_event
    kept = [r for r in rows if not 40 <= r[1] < 45]
    world.connection.execute(
        "INSERT INTO tombstones VALUES(?, 40, 44, 'overflow', 0)", (boot,)
    )
    world.commit(boot, kept, [event], 0, rows[-1][1])
    live.notify(device, "1-00000001", 0, rows[-1][1])
    (row,) = live.work()
    assert has(row, "lost_samples")
    assert not has(row, "incomplete")
    assert row["flux"] is not None


def test_a_late_cycle_has_its_flux_and_says_so(world, live):
    said = world.cycle(device_name(1), write=False)
    world.now = NIGHT + 3 * 86_400_000
    rows = [(*r[:4], world.now, *r[5:]) for r in world.last_rows]
    event = (*world.last_event[:4], world.now, *world.last_event[5:])
    world.commit(event[0], rows, [event], said[2], said[3])
    live.notify(*said)
    (row,) = live.work()
    assert has(row, "late")
    assert row["flux"] is not None


def test_a_mixed_cycle_is_kept_but_not_used(world, live):
    live.notify(*world.cycle(device_name(1), body={"mixed": True}))
    live.work()
    assert has(only(live), "mixed")
    assert only(live)["flux"] > 0
    assert live.fluxes(*ALL, usable=True).empty


def test_a_boot_that_learns_the_time_dates_its_cycles_afterwards(world, live):
    live.notify(*world.cycle(device_name(1), t=False))
    (row,) = live.work()
    assert has(row, "time_unknown")
    assert row["flux"] is not None
    assert live.fluxes(*ALL).empty
    boot = world.last_event[0]
    world.connection.execute(
        "UPDATE events SET t = ? + tick WHERE boot = ?", (NIGHT, boot)
    )
    assert live.search() == 1
    live.work()
    assert only(live)["t"] == NIGHT + 10_000
    assert not has(only(live), "time_unknown")


def test_a_corrected_label_moves_the_flux_and_touches_no_sample(world, live):
    places = {}
    live._locate = lambda device, t: places.get(device)
    live.notify(*world.cycle(device_name(1), loc="5.1.A"))
    live.work()
    assert only(live)["loc"] == "5.1.A"
    before = world.connection.execute("SELECT * FROM samples").fetchall()
    places[device_name(1)] = "5.10.A"
    assert live.relocate() == 1
    row = only(live)
    assert (row["loc"], row["loc_sent"]) == ("5.10.A", "5.1.A")
    assert world.connection.execute("SELECT * FROM samples").fetchall() == before
    assert live.relocate(device_name(1)) == 0


def test_a_device_without_any_label_has_a_flux_nowhere(world, live):
    live.notify(*world.cycle(device_name(1), loc=""))
    (row,) = live.work()
    assert has(row, "location_unknown")
    assert row["loc"] == ""
    assert row["flux"] == pytest.approx(0.8, abs=0.4)


def test_new_settings_give_new_fluxes_from_the_same_samples(world, live):
    live.notify(*world.cycle(device_name(1)))
    live.work()
    before = only(live)
    twice = geometry_from_dict({"volume": "10.36 L", "area": "314 cm2"})
    settings = dataclasses.replace(live.settings, geometry=twice)
    assert live.recompute(*ALL, settings=settings) == 1
    live.work()
    after = only(live)
    assert after["flux"] == pytest.approx(2 * before["flux"], rel=1e-3)
    assert after["settings"] != before["settings"]
    assert set(live.store.settings()) == {before["settings"], after["settings"]}


def test_a_pot_with_its_own_geometry_has_its_own_flux(world, live):
    sizes = {
        "volume": "5.18 L",
        "area": "314 cm2",
        "by": {"pot": {"5.10.B": {"settling": "3.3 cm"}}},
    }
    live.settings = settings_from_dict({"geometry": sizes})
    for i, loc in enumerate(("5.10.A", "5.10.B")):
        live.notify(*world.cycle(device_name(10), i, seed=5, loc=loc, noise=0.0))
    rows = sorted(live.work(), key=lambda row: row["t"])
    ratio = rows[1]["amount"] / rows[0]["amount"]
    assert ratio == pytest.approx(1 + 0.033 * 0.0314 / 0.00518, rel=1e-3)


def test_one_impossible_chamber_costs_the_others_nothing(world, live):
    said = [world.cycle(device_name(i)) for i in range(5)]
    said.append(world.cycle(device_name(5), columns={"p": 30}))
    said.append(world.cycle(device_name(6), columns={"co2": None}))
    for one in said:
        live.notify(*one)
    rows = {row["device"]: row for row in live.work()}
    assert all(rows[device_name(i)]["flux"] for i in range(5))
    for i in (5, 6):
        assert rows[device_name(i)]["flux"] is None
        assert has(rows[device_name(i)], "not_computed")


@pytest.mark.parametrize(
    "body",
    [
        {"close": None},
        {"close": "soon"},
        {"close": 1.5},
        {"close": 10**15},
        {"open": -5},
        {"open": 10_000},
        {"open": 10**12},
        {"cycle": [1], "why": {"x": 1}, "loc": 5.1, "sweeps": "two"},
        {"mixed": "maybe"},
    ],
)
def test_no_cycle_record_stops_the_fluxes(world, live, body):
    live.notify(*world.cycle(device_name(1), body=body))
    live.notify(*world.cycle(device_name(2)))
    rows = {row["device"]: row for row in live.work()}
    assert len(rows) == 2
    assert rows[device_name(2)]["flux"] > 0
    assert live.search() == 0


def test_a_body_that_is_no_object_is_a_row_with_its_reason(world, live):
    said = world.cycle(device_name(1))
    for text in ("[1]", "null", "3", '"x"', "{}", "{"):
        world.connection.execute(
            "UPDATE events SET body = ? WHERE kind = 'cycle'", (text,)
        )
        live.notify(*said)
        (row,) = live.work()
        assert has(row, "not_computed")
        assert "cannot be read" in row["note"]


def test_a_missing_sensor_is_stood_in_for_and_flagged(world, live):
    live.notify(*world.cycle(device_name(1)))
    live.notify(*world.cycle(device_name(2), columns={"p": None}))
    live.notify(*world.cycle(device_name(3), columns={"at": None}))
    live.notify(*world.cycle(device_name(4), columns={"rh": None}))
    rows = {row["device"]: row for row in live.work()}
    assert has(rows[device_name(2)], "fleet_pressure")
    assert rows[device_name(2)]["pressure"] == pytest.approx(97_200)
    assert has(rows[device_name(3)], "sensor_temperature")
    assert rows[device_name(3)]["temperature"] == pytest.approx(18.0, abs=0.1)
    assert has(rows[device_name(4)], "assumed_humidity")
    for i in range(1, 5):
        assert rows[device_name(i)]["flux"] == pytest.approx(0.8, abs=0.4)


def test_values_the_device_doubts_are_not_fitted(world, live):
    co2 = np.arange(4500, 4900, 2)
    flags = np.zeros(200, int)
    co2[40], flags[40] = 65_000, 2
    live.notify(*world.cycle(device_name(1), columns={"co2": co2, "flags": flags}))
    co2[40] = 4580
    live.notify(*world.cycle(device_name(2), columns={"co2": co2}))
    with_doubt, without = sorted(live.work(), key=lambda row: row["device"])
    assert with_doubt["n"] == without["n"] - 1
    assert with_doubt["flux"] == pytest.approx(without["flux"], rel=0.01)


@pytest.mark.parametrize(("lux", "night"), [(0, 1), (10, 1), (11, 0), (20_000, 0)])
def test_ten_lux_are_still_night(world, live, lux, night):
    live.notify(*world.cycle(device_name(1), lux=lux))
    (row,) = live.work()
    assert row["night"] == night
    daylight = bool(row["closure_flag"] & CLOSURE_FLAGS.bit("daylight"))
    assert daylight == (not night)


def test_an_error_code_is_not_darkness_and_neighbours_tell(world, live):
    live.notify(*world.cycle(device_name(1), lux=-1))
    (row,) = live.work()
    assert row["night"] is None
    assert row["closure_flag"] & CLOSURE_FLAGS.bit("light_unknown")
    live.notify(*world.cycle(device_name(2), lux=5_000))
    live.work()
    live.recompute(*ALL)
    rows = {row["device"]: row for row in live.work()}
    assert rows[device_name(1)]["night"] == 0


def test_new_cycles_go_before_a_backlog(world, live, monkeypatch):
    monkeypatch.setattr("tilth.fleet.live.BATCH", 4)
    for i in range(12):
        live.notify(*world.cycle(device_name(i % 2), i))
    rows = live.work()
    assert min(row["t"] for row in rows) >= NIGHT + 8 * 600_000


def test_listeners_hear_every_batch(world, live):
    heard = []
    live.add_listener(heard.extend)
    live.notify(*world.cycle(device_name(1)))
    live.work()
    assert [row["device"] for row in heard] == [device_name(1)]


def test_a_closure_can_be_looked_at_with_its_curve(world, live):
    _, boot, _, _ = world.cycle(device_name(1))
    live.search()
    (row,) = live.work()
    one = live.closure(row["device"], boot, row["cycle_seq"])
    assert one.sizes["closure"] == 1
    assert float(one["flux"][0]) == pytest.approx(row["flux"])
    assert float(one["elapsed"].min()) == pytest.approx(-29, abs=3)
    assert {"c0_linear", "c_inf_hm", "kappa"} <= set(one.variables)
    with pytest.raises(InputError, match="archive"):
        live.closure(row["device"], boot, 99_999)


def test_the_thread_computes_what_is_committed_while_it_runs(world):
    live = LiveFluxes(world.folder, clock=world.clock)
    world.cycle(device_name(1))
    live.start()
    live.notify(*world.cycle(device_name(2)))
    until = time.monotonic() + 120
    while len(live.fluxes(*ALL)) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    live.stop()
    live.stop()
    again = LiveFluxes(world.folder)
    assert len(again.fluxes(*ALL)) == 2
    again.stop()


def test_without_a_journal_there_is_nothing_to_do(tmp_path):
    live = LiveFluxes(tmp_path)
    assert live.search() == 0
    live.notify("a0b765000001", "1-00000001", 0, 10)
    assert live.work() == []
    assert live.fluxes(*ALL).empty
    live.stop()


def test_settings_that_do_not_exist_are_refused():
    with pytest.raises(InputError, match="know no heigth"):
        settings_from_dict({"heigth": "3 cm"})
    with pytest.raises(InputError, match="fit of live fluxes knows no deadband"):
        settings_from_dict({"fit": {"deadband": 3}})
    with pytest.raises(InputError, match="night_lux"):
        settings_from_dict({"night_lux": "dark"})
    assert settings_from_dict(None) == LiveSettings()
    assert settings_from_dict({"fit": {"models": ["robust"], "response": 0.0}})


def test_85_closures_take_less_than_a_second(world, live):
    live.notify(*world.cycle(device_name(0)))
    live.work()
    for i in range(85):
        live.notify(*world.cycle(device_name(i), 1))
    # Time of this thread, so that a busy machine does not fail the test.
    begin = time.thread_time()
    assert len(live.work()) == 85
    assert time.thread_time() - begin < 1.0
