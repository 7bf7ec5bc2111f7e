"""Time and arithmetic that no machine does differently."""

import ast
import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tilth_chamber.schedule import Grid, Ticks64, calendar, jitter, slot, unix_ms
from tilth_chamber.servo import pulse
from tilth_chamber.settings import MEASURING, change, defaults, load, problem

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware" / "tilth_chamber"
FILES = sorted(FIRMWARE.glob("*.py"))
# The only files that may know the chip's own idea of time.
BOARD = ("board_core2", "esp32_net", "start")


# --- no floating point: single precision on the chip, double everywhere else


def inexact(source):
    """Places in a source where a number might not be whole."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append((node.lineno, repr(node.value)))
        elif isinstance(node, ast.BinOp | ast.AugAssign):
            if isinstance(node.op, ast.Div):
                found.append((node.lineno, "/"))
            power = isinstance(node.op, ast.Pow)
            if power and isinstance(node.right, ast.UnaryOp) and _negative(node.right):
                # 10**-n is a fraction unless n itself is below zero.
                found.append((node.lineno, "**-"))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            whole = node.func.id == "pow" and len(node.args) == 3
            if node.func.id in ("float", "round", "pow", "complex") and not whole:
                found.append((node.lineno, node.func.id))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = {a.name for a in node.names} | {getattr(node, "module", None)}
            if names & {"math", "cmath", "numpy", "decimal", "fractions"}:
                found.append((node.lineno, "math"))
    return found


def _negative(node):
    return isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_of_the_firmware_computes_with_fractions(path):
    found = inexact(path.read_text())
    if path.stem == "wire":
        # Where a stranger's fraction in an event is made a whole number.
        plain = next(
            node
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.FunctionDef) and node.name == "plain"
        )
        found = [f for f in found if not plain.lineno <= f[0] <= plain.end_lineno]
    assert found == []


def test_the_search_for_fractions_finds_them():
    for source in ("x = 0.5", "x = a / b", "x /= 2", "float(x)", "round(x)", "10**-3"):
        assert inexact(source)
    assert not inexact("x = a // b * 5 + (3 << 2)")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_only_the_board_knows_the_chip_s_epoch(path):
    if path.stem in BOARD:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not {a.name for a in node.names} & {"time", "utime", "machine"}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            assert node.module not in ("time", "utime", "machine")


# --- ticks, grids, dates


@given(
    st.integers(0, 2**30 - 1),
    st.lists(st.integers(0, 2**30 - 1), max_size=50),
)
def test_ticks_of_thirty_bits_become_ticks_that_never_wrap(first, steps):
    ticks, raw, total = Ticks64(30, first), first, 0
    for step in steps:
        raw = (raw + step) % 2**30
        total += step
        assert ticks.extend(raw) == total


@given(st.integers(0, 10**12), st.integers(1, 10**5), st.lists(st.integers(1, 10**6)))
def test_a_grid_never_drifts_whoever_is_late(start, step, delays):
    grid, now = Grid(start, step), start
    for taken, delay in enumerate(delays):
        now = max(now, grid.due) + delay % (4 * step)
        k = grid.take(now)
        assert grid.due > now
        assert (grid.due - start) % step == 0
        assert grid.due - now <= step
        assert k == taken + grid.missed


@given(st.integers(0, 10**9), st.integers(1, 10**5), st.integers(-(10**9), 10**12))
def test_the_next_time_of_a_grid_is_on_it_and_not_before(start, step, tick):
    after = Grid(start, step).after(tick)
    assert 0 <= after - tick < step
    assert (after - start) % step == 0


@given(st.integers(0, 4_102_444_799))
def test_dates_are_those_of_the_calendar(seconds):
    date = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    parts = calendar(seconds * 1000 + 999)
    assert parts == tuple(date.timetuple())[:6]
    assert unix_ms(*parts) == seconds * 1000


def test_the_chip_s_epoch_is_told_from_that_of_unix():
    assert unix_ms(2000, 1, 1, 0, 0, 0) == 946_684_800_000
    assert unix_ms(2036, 2, 7, 6, 28, 16) == (2**32 - 2_208_988_800) * 1000
    assert calendar(0) == (1970, 1, 1, 0, 0, 0)


@given(st.integers(0, 2**42), st.integers(0, 2_999))
def test_exactly_one_sampling_time_belongs_to_each_cycle(multiple, phase):
    period, step = 600_000, 3_000
    begin = multiple * period
    times = range(begin - 9_000 + phase, begin + 12_000, step)
    first = [t for t in times if slot(t, period, step // 2)[1] < step]
    assert len(first) == 1
    assert abs(first[0] - begin) <= step // 2
    assert slot(first[0], period, step // 2)[0] == multiple


def test_a_delay_of_its_own_is_within_its_span():
    assert all(0 <= jitter(f"{i:012x}", 600_000) < 600_000 for i in range(1_000))
    assert jitter("a4cf12000001", 0) == 0


def test_an_angle_is_seven_and_a_half_microseconds_a_degree():
    assert [pulse(a) for a in (0, 27, 135, 270)] == [500, 700, 1500, 2500]


# --- settings


def test_the_defaults_are_those_of_the_article_and_go_together():
    s = defaults()
    assert problem(s) is None
    assert (s["period_ms"], s["closed_ms"], s["extend_ms"]) == (
        600_000,
        180_000,
        120_000,
    )
    assert (s["sample_ms"], s["enough"], s["rule"]) == (3_000, 50, "raw")
    assert (s["fan_pulse_ms"], s["reboot_ms"]) == (500, 21_600_000)
    # Rest positions 90 degrees apart.
    assert s["lid_closed_us"] - s["lid_open_us"] == pulse(90) - pulse(0)


@given(
    st.dictionaries(
        st.sampled_from(sorted(MEASURING)),
        st.one_of(
            st.integers(-10, 10**7), st.sampled_from(["raw", "median", None, 1.5])
        ),
        max_size=4,
    )
)
def test_settings_that_are_taken_always_go_together(changes):
    s = defaults()
    try:
        changed = change(s, changes)
    except ValueError:
        assert s == defaults()
    else:
        assert problem(changed) is None
        longest = changed["closed_ms"] + changed["extend_ms"] + changed["flush_ms"]
        assert longest < changed["period_ms"]


def test_files_with_nonsense_leave_the_defaults():
    from fakes import FakeFlash
    from tilth_chamber import keep

    fs = FakeFlash()
    fs.put("/secret.json", b"{broken")
    keep.save(fs, "/state/config.json", {"enough": "many", "rule": "raw", "x": 1})
    s = load(fs)
    assert s == defaults()
    # Each legal, but not together.
    keep.save(fs, "/state/config.json", {"period_ms": 300_000, "cfg": "7"})
    s = load(fs)
    assert s["period_ms"] == 600_000
    fs.put("/secret.json", b'{"mqtt_host": "fleet.example", "wifi": [["a", "b"]]}')
    assert load(fs)["mqtt_host"] == "fleet.example"


@pytest.mark.parametrize("name", ["schedule", "servo", "label", "bmp280"])
def test_examples_in_the_docstrings_hold(name):
    import doctest
    import importlib

    module = importlib.import_module("tilth_chamber." + name)
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)
