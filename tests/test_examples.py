"""The examples run on their own, print what they claim and write their figures."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def number_after(text, words):
    """Return the first number that follows some words."""
    return float(re.search(rf"{re.escape(words)}\s+(-?\d+\.?\d*)", text)[1])


def check_chambers_fluxes(text):
    """The shared curvature is right and steady; the wide interval holds the truth."""
    ratios = {
        name: (float(median), float(scatter))
        for name, median, scatter in re.findall(r"flux_(\w+) +(\S+) ± (\S+)", text)
    }
    assert 0.85 < ratios["linear"][0] < 0.97, "the straight line is too low"
    assert ratios["pooled"][0] == pytest.approx(1.0, abs=0.03)
    assert ratios["pooled"][1] < 0.5 * ratios["hm"][1]
    effect = re.search(r"mixed model\s+(\S+)\s+\[(\S+), (\S+)\]", text)
    value, low, high = map(float, effect.groups())
    assert low < 1.30 < high
    assert number_after(text, "paired") == pytest.approx(value, rel=0.05)


def check_land_emulator(text):
    """The books close, and the emulator beats the mean of each day of the year."""
    assert float(re.search(r"EnergyResidual (\S+)", text)[1]) < 1e-6
    assert float(re.search(r"WaterResidual (\S+)", text)[1]) < 1e-9
    rows = re.findall(r"^ *(snow|soil|runoff) +(\S+) +(\S+) +(\d) of 1", text, re.M)
    assert {name for name, *_ in rows} == {"snow", "soil", "runoff"}
    for name, skill, climatology, accepted in rows:
        assert accepted == "1", name
        assert float(skill) > float(climatology), name


def check_rivers_flood(text):
    """The books close, rare floods are higher, and the floodplain lowers the peak."""
    assert float(re.search(r"residual of a step: (\S+)", text)[1]) < 1e-9
    levels = {
        int(period): tuple(map(float, numbers))
        for period, *numbers in re.findall(
            r"every (\d+) years: (\d+) m3 s-1 \[(\d+), (\d+)\]", text
        )
    }
    assert levels[100][0] > levels[10][0]
    for level, low, high in levels.values():
        assert low < level < high
    assert levels[100][2] - levels[100][1] > levels[10][2] - levels[10][1]
    assert 5 < number_after(text, "peak saved at the mouth:") < 95


def check_forcing_adjust(text):
    """Errors shrink on years not learnt; QDM keeps the change, EQM stretches it."""
    rows = {
        name: tuple(map(float, numbers))
        for name, *numbers in re.findall(
            r"^ +(raw|EQM|QDM) +(\S+) K +(\S+) K +(\S+) % +(\S+)$", text, re.M
        )
    }
    observed = number_after(text, "observed wet days")
    for name in ("EQM", "QDM"):
        assert rows[name][0] < 0.2 * rows["raw"][0]
        assert rows[name][1] < 0.2 * rows["raw"][1]
        assert abs(rows[name][2]) < 5 < rows["raw"][2]
        assert rows[name][3] == pytest.approx(observed, abs=0.02)
    changes = {
        name: (float(warming), float(ratio))
        for name, warming, ratio in re.findall(
            r"^ +(truth|raw|EQM|QDM) +(\S+) K  precipitation x (\S+)$", text, re.M
        )
    }
    assert changes["QDM"] == pytest.approx(changes["raw"], abs=0.02)
    assert changes["EQM"][0] > changes["truth"][0] + 1.0


def check_forcing_patterns(text):
    """The pattern finds what interpolation cannot; a model of other days is refused."""
    rows = {
        name.strip(): (float(rho), float(spread))
        for name, rho, spread in re.findall(
            r"^  (\D+) (\S+)   spread (\S+)$", text, re.M
        )
    }
    assert rows["pattern, corrected"][0] > rows["interpolated"][0] + 0.2
    assert rows["pattern, conditional"][1] < 0.7
    assert 0.8 < rows["pattern, corrected"][1] < 1.2
    assert "refused: pr does not follow the weather that was observed" in text
    assert number_after(text, "interpolated: error of means") > 50
    assert number_after(text, "transferred: error of means") < 15


def check_leaf_temperature(text):
    """Leaves that sense nothing look as if they did; one question tells them apart."""
    gains = re.findall(r"^ +(?:shuffled|by day) +(\S+) (\S+)$", text, re.M)
    assert len(gains) == 4
    assert all(float(added) - float(without) > 0.1 for without, added in gains)
    assert "not sensing: rank 2, effect falls by 0." in text
    rows = re.findall(r"sensing +(\S+)  \[(\S+), (\S+)\]", text)
    none, some = (tuple(map(float, row)) for row in rows)
    assert none[1] < 0.0 < none[2]
    assert some[1] > 0.1
    assert "shuffled (100 %)" in text


def check_forcing_s2s(text):
    """A biased model fails by foreign edges; no blend loses; the size explains."""
    rows = {
        name.strip(): [float(number) for number in numbers.split()]
        for name, numbers in re.findall(
            r"^([a-z, -]+?) +((?:[+-]\d\.\d\d ?){4})", text, re.M
        )
    }
    assert len(rows) == 8
    assert max(rows["raw"]) < -0.5
    assert rows["model-edges"][0] > 0.4 > 0.0 > rows["model-edges"][3]
    assert all(min(numbers) >= 0.0 for name, numbers in rows.items() if "," in name)
    plain, corrected = re.search(r"RPSS (\S+), RPSS_D (\S+)", text).groups()
    assert float(corrected) - float(plain) == pytest.approx(1 / 11, abs=0.015)
    shares = re.findall(r"(\d\.\d\d) (?:below|near|above) normal", text)
    assert sum(map(float, shares)) == pytest.approx(1.0, abs=0.011)


def check_loading_uplift(text):
    """Each datum narrows the error, noise alone is too sure, and the truth is held."""
    truth = -number_after(text, "lost in truth:")
    rows = {
        name.strip(): tuple(map(float, numbers))
        for name, *numbers in re.findall(
            r"^  ([a-z ]+?) +(-\d+\.\d) +(\d+\.\d) +(\d+\.\d)$", text, re.M
        )
    }
    assert list(rows) == ["uplift alone", "three components", "and gravity"]
    errors = [error for _, error, _ in rows.values()]
    assert errors == sorted(errors, reverse=True)
    for total, error, noise in rows.values():
        assert noise <= error
        assert abs(total - truth) < 2.5 * error
    low, high = re.search(r"only loses: (\S+) to (\S+) Gt", text).groups()
    assert float(low) < truth < float(high) < 0.0


def check_gnss_reflections(text):
    """The hidden arcs and no others are refused, and the height is the plane's."""
    assert "arcs 20, accepted 15" in text
    height = number_after(text, "mean height")
    scatter = number_after(text, "scatter")
    assert abs(height - 2.0) < 2 * scatter / 15**0.5
    assert number_after(text, "standard error") < 2 * scatter < 0.03


def check_gnss_thaw(text):
    """The interval holds the truth; means of summers are too sure; heave is taken."""
    truth = number_after(text, "truth")
    low, high = map(float, re.search(r"95 % from (\S+) to (\S+)", text).groups())
    assert low < truth < high
    means, sure = map(float, re.search(r"annual means (\S+) \+- (\S+)", text).groups())
    assert abs(means - truth) > 3 * sure
    honest = float(re.search(r"errors that remember \S+ \+- (\S+)", text)[1])
    assert honest > 2 * sure
    without = number_after(text, "without positions")
    assert number_after(text, "\ntrend") - without == pytest.approx(1.0, abs=0.2)
    sunk = re.search(r"subsidence (\d+) \+- (\d+) mm, truth (\d+)", text).groups()
    value, error, known = map(float, sunk)
    assert abs(value - known) < 2 * error


def check_gnss_velocity(text):
    """The step is found on its day; horizontals hold; the faster year is measured."""
    day = re.search(r"the true one on (\S+)", text)[1]
    found = re.search(rf"{day}  east (\S+) ± (\S+)  north (\S+) ± (\S+) mm", text)
    east, east_se, north, north_se = map(float, found.groups())
    assert abs(east - 8.0) < 3 * east_se
    assert abs(north + 6.0) < 3 * north_se
    rows = re.findall(r"^  (east|north|up) +(\S+) ± (\S+)  truth (\S+)$", text, re.M)
    rates = {name: tuple(map(float, numbers)) for name, *numbers in rows}
    for name in ("east", "north"):
        value, se, truth = rates[name]
        assert abs(value - truth) < 2 * se
    assert rates["up"][0] > rates["up"][2] + 2.0, "the median goes along"
    rise, error = re.search(r"faster year: (\S+) ± (\S+) mm", text).groups()
    assert abs(float(rise) - 12.0) < 2 * float(error) < 6.0


CHECKS = {
    "chambers_fluxes": check_chambers_fluxes,
    "forcing_s2s": check_forcing_s2s,
    "forcing_adjust": check_forcing_adjust,
    "forcing_patterns": check_forcing_patterns,
    "gnss_reflections": check_gnss_reflections,
    "gnss_thaw": check_gnss_thaw,
    "gnss_velocity": check_gnss_velocity,
    "land_emulator": check_land_emulator,
    "leaf_temperature": check_leaf_temperature,
    "loading_uplift": check_loading_uplift,
    "rivers_flood": check_rivers_flood,
}


def test_every_example_is_checked():
    assert set(CHECKS) == {path.stem for path in EXAMPLES.glob("*.py")}


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_an_example_prints_what_it_claims_and_writes_its_figures(name, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    CHECKS[name](done.stdout)
    figures = re.search(r"^figures: (.*)$", done.stdout, re.MULTILINE)[1].split(", ")
    assert figures
    for figure in figures:
        assert (tmp_path / figure).read_bytes().startswith(b"\x89PNG")
