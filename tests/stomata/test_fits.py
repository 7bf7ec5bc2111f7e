"""Fits of stomatal closures: known leaves, PhotoGEA's printed numbers, wrong units."""

import numpy as np
import pandas as pd
import pytest

from tilth.core.errors import InputError
from tilth.stomata.fits import fit_ball_berry, fit_leuning, fit_medlyn
from tilth.stomata.surface import ball_berry_index, surface_co2, surface_humidity


def leaf(n=60, seed=0, noise=0.0):
    rng = np.random.default_rng(seed)
    a = rng.uniform(2, 20, n)
    cs = rng.uniform(330, 400, n)
    d = rng.uniform(0.3, 2.5, n)
    return a, cs, d, noise * rng.normal(size=n)


def test_a_medlyn_leaf_gives_its_parameters_back():
    a, cs, d, _ = leaf()
    gs = 0.03 + 1.6 * (1 + 3.1 / np.sqrt(d)) * a / cs
    found = fit_medlyn(gs, a, cs, d)
    assert found["g0"] == pytest.approx(0.03, abs=1e-12)
    assert found["g1"] == pytest.approx(3.1, abs=1e-10)
    assert found.predict(a, cs, d) == pytest.approx(gs, abs=1e-12)
    assert found.r_squared == pytest.approx(1.0)


def test_another_exponent_and_a_fixed_intercept():
    a, cs, d, _ = leaf()
    gs = 0.02 + 1.6 * (1 + 2.2 / d**0.7) * a / cs
    found = fit_medlyn(gs, a, cs, d, g0=0.02, gk=0.3)
    assert found["g1"] == pytest.approx(2.2, abs=1e-10)
    assert np.isnan(found.standard_errors[0])
    assert found.units[1] == "kPa^0.7"
    assert found.predict(a, cs, d) == pytest.approx(gs, abs=1e-12)


def test_a_leuning_leaf_gives_its_parameters_back():
    a, cs, d, _ = leaf()
    gs = 0.01 + 9.0 * a / (cs - 42.75) / (1 + d / 1.4)
    found = fit_leuning(gs, a, cs, d)
    assert found.values == pytest.approx([0.01, 9.0, 1.4], rel=1e-6)
    assert found.predict(a, cs, d) == pytest.approx(gs, abs=1e-9)


@pytest.mark.parametrize("closure", ["medlyn", "ball_berry", "leuning"])
def test_intervals_hold_the_truth_as_often_as_they_say(closure):
    held = []
    for seed in range(200):
        a, cs, d, noise = leaf(40, seed, 0.02)
        if closure == "medlyn":
            truth = 3.0
            gs = 0.05 + 1.6 * (1 + truth / np.sqrt(d)) * a / cs + noise
            row = fit_medlyn(gs, a, cs, d).table().iloc[1]
        elif closure == "ball_berry":
            truth, hs = 9.0, 1 / (1 + d)
            gs = 0.05 + truth * a * hs / cs + noise
            row = fit_ball_berry(gs, a, cs, hs).table().iloc[1]
        else:
            truth = 9.0
            gs = 0.05 + truth * a / (cs - 42.75) / (1 + d / 1.4) + noise
            row = fit_leuning(gs, a, cs, d).table().iloc[1]
        held.append(row["low"] <= truth <= row["high"])
    # 95 %, binomial with 200 draws: 0.90 to 0.99; Leuning's limits are linearised.
    assert 0.90 <= np.mean(held) <= 0.99


@pytest.fixture
def soybean(dataset):
    """Return the light curve of soybean 1a, as PhotoGEA's tests use it."""
    folder = dataset("photogea-ball-berry")
    raw = pd.read_csv(folder / "photogea_ball_berry_1.csv", header=None, dtype=str)
    table = raw.iloc[3:].set_axis(raw.iloc[0], axis=1)
    one = table[(table["species"] == "soybean") & (table["plot"] == "1a")]
    return one.sort_values("Qin", key=lambda q: q.astype(float))


def numbers(table, name):
    return table[name].to_numpy(float)


def at_surface(table):
    a, e, gbw = (numbers(table, name) for name in ("A", "E", "gbw"))
    cs = surface_co2(numbers(table, "Ca"), a, e, gbw)
    pressure = numbers(table, "Pa") + numbers(table, "DeltaPcham")
    hs = surface_humidity(
        numbers(table, "H2O_s"), e, gbw, numbers(table, "TleafCnd"), pressure
    )
    return a, cs, hs


# Numbers printed by the tests of PhotoGEA 1.3.2 (MIT): value and error of each
# parameter, sum of squares and RMSE; all points, and without points 3 and 5.
@pytest.mark.realdata
@pytest.mark.parametrize(
    ("drop", "g0", "g1", "rss", "rmse"),
    [
        ([], (0.1035, 0.0338), (0.9325, 0.4318), 0.006109658, 0.029543329),
        ([2, 4], (0.1066, 0.0444), (0.9538, 0.5670), 0.005727538, 0.033845350),
    ],
)
def test_medlyn_is_photogeas(soybean, drop, g0, g1, rss, rmse):
    table = soybean.drop(soybean.index[drop])
    a, cs, _ = at_surface(table)
    found = fit_medlyn(numbers(table, "gsw"), a, cs, numbers(table, "VPDleaf"))
    assert found.values == pytest.approx([g0[0], g1[0]], abs=1e-4)
    assert found.standard_errors == pytest.approx([g0[1], g1[1]], abs=1e-4)
    assert found.residual_sum == pytest.approx(rss, abs=1e-8)
    assert found.rmse == pytest.approx(rmse, abs=1e-8)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("drop", "g0", "g1"),
    [
        ([], (0.1033, 0.0308), (3.9951, 0.7595)),
        ([2, 4], (0.1066, 0.0405), (4.0265, 0.9909)),
    ],
)
def test_ball_berry_is_photogeas(soybean, drop, g0, g1):
    table = soybean.drop(soybean.index[drop])
    a, cs, hs = at_surface(table)
    found = fit_ball_berry(numbers(table, "gsw"), a, cs, hs)
    assert found.values == pytest.approx([g0[0], g1[0]], abs=1e-4)
    assert found.standard_errors == pytest.approx([g0[1], g1[1]], abs=1e-4)
    if drop:
        assert found.residual_sum == pytest.approx(0.005213733, abs=1e-8)
        assert found.rmse == pytest.approx(0.032291588, abs=1e-8)
    else:
        assert found.r_squared == pytest.approx(0.8469, abs=1e-4)
        assert found.table()["p"][1] == pytest.approx(0.0033, abs=1e-4)


def test_the_surface_is_the_chamber_where_nothing_passes():
    assert surface_co2(400.0, 0.0, 0.0, 2.0) == pytest.approx(400.0)
    humid = surface_humidity(20.0, 0.0, 2.0, 25.0, 100.0)
    assert humid == pytest.approx(20e-3 * 100 / 3.1777, rel=1e-3)
    assert ball_berry_index(10.0, 400.0, 0.5) == pytest.approx(0.0125)


def test_carbon_is_drawn_down_towards_the_leaf():
    a, cs = 20.0, surface_co2(400.0, 20.0, 0.005, 2.0)
    assert cs < 400.0 - a / (2.0 / 1.37) + 1.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"assimilation": np.full(5, 1e-5)}, "looks like mol m-2 s-1"),
        ({"surface_co2": np.full(5, 4e-4)}, "looks like mol mol-1"),
        ({"deficit": np.array([1, 1, 0.01, 1, 1])}, "1 deficits are below"),
        ({"deficit": np.array([1, 1, np.nan, 1, 1])}, "row 2"),
        ({"deficit": np.ones(4)}, "different lengths"),
        (
            {"assimilation": np.full(5, 9.0), "deficit": np.ones(5)},
            "nothing that varies",
        ),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, words):
    given = {
        "conductance": np.linspace(0.1, 0.3, 5),
        "assimilation": np.linspace(5, 15, 5),
        "surface_co2": np.full(5, 380.0),
        "deficit": np.linspace(0.5, 1.5, 5),
        **change,
    }
    with pytest.raises(InputError, match=words):
        fit_medlyn(**given)


def test_percent_and_too_few_rows_are_told():
    with pytest.raises(InputError, match="divide percent"):
        fit_ball_berry([0.1, 0.2, 0.3], [5, 6, 7], [400] * 3, [60, 70, 80])
    with pytest.raises(InputError, match="2 observations for 2 parameters"):
        fit_ball_berry([0.1, 0.2], [5, 6], [400] * 2, [0.6, 0.7])
    with pytest.raises(InputError, match="compensation point"):
        fit_leuning([0.1] * 4, [5, 6, 7, 8], [400, 400, 400, 30], [1, 1, 1, 2])
