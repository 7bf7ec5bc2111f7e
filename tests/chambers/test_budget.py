import numpy as np
import pytest
import xarray as xr

from tilth.chambers.budget import (
    SystematicErrors,
    add_budget,
    average_fluxes,
    budget_inputs,
    budget_table,
    flux_factor,
    ratio_uncertainty,
)
from tilth.chambers.fits.flux import FluxSettings, fluxes
from tilth.chambers.simulate.fleet import Layout, Sensor, Soil, simulate_fleet
from tilth.core.errors import InputError
from tilth.core.uncertainty import Input, propagate_monte_carlo

#: What the simulated devices truly differ by.
SIMULATED = SystematicErrors(
    volume=0.045, pressure=0, temperature=0, humidity=0, gain=0.017 * 3**0.5
)


def by_hand(flux, se, variants, devices=None, tables=None):
    n = len(flux)
    text = {
        "variant": variants,
        "device": devices or [f"d{i}" for i in range(n)],
        "table": tables or ["9"] * n,
    }
    return xr.Dataset(
        {
            "flux": ("closure", np.asarray(flux, float), {"units": "umol m-2 s-1"}),
            "flux_se": ("closure", np.asarray(se, float), {"units": "umol m-2 s-1"}),
        },
        coords={k: ("closure", np.array(v, object)) for k, v in text.items()},
    )


@pytest.mark.parametrize("monte_carlo", [False, True])
@pytest.mark.parametrize(("pressure", "percent"), [(3900.0, 5.4), (3.9, 4.9)])
def test_the_articles_inputs_give_the_articles_accuracy(monte_carlo, pressure, percent):
    table = budget_table(SystematicErrors(pressure=pressure), monte_carlo=monte_carlo)
    assert 100 * table.loc["total", "relative"] == pytest.approx(percent, abs=0.05)
    # "between +-10-15 %", at 95 %.
    assert 100 * table.loc["total", "relative_95"] == pytest.approx(
        2 * percent, abs=0.1
    )


def test_each_component_is_what_it_is_by_hand():
    relative = 100 * budget_table()["relative"]
    volume = np.hypot(relative["volume_pot"], relative["volume_soil"])
    assert volume == pytest.approx(100 * 0.75 / 16.5)
    assert relative["pressure"] == pytest.approx(100 * 3.9 / 97.2 / 3**0.5)
    assert relative["temperature"] == pytest.approx(100 * 2 / 293.15 / 3**0.5, rel=1e-4)
    assert relative["gain"] == pytest.approx(3 / 3**0.5)
    saturation = 0.023998
    vapour = 100 * 0.03 * saturation / 3**0.5 / (1 - 0.015)
    assert relative["vapour"] == pytest.approx(vapour, rel=1e-3)


def test_shares_add_up_and_the_cycle_adds_in_quadrature():
    alone = budget_table()
    noisy = budget_table(cycle=0.2)
    assert noisy["share"].drop("total").sum() == pytest.approx(1.0)
    expected = np.hypot(0.2, alone.loc["total", "relative"])
    assert noisy.loc["total", "relative"] == pytest.approx(expected)
    assert noisy.loc["slope", "level"] == "cycle"


def test_an_uncertain_area_counts_as_much_as_an_uncertain_volume():
    table = budget_table(SystematicErrors(volume=0.03, area=0.03, volume_soil_share=0))
    assert table.loc["area", "relative"] == pytest.approx(
        table.loc["volume_pot", "relative"], rel=1e-3
    )


def test_a_share_of_variance_beyond_one_is_refused():
    with pytest.raises(InputError, match="volume_soil_share"):
        SystematicErrors(volume_soil_share=1.2)


def test_attached_parts_are_proportional_and_add_up():
    budget = add_budget(by_hand([1.0, -2.0, np.nan], [0.1, 0.1, np.nan], ["9.0"] * 3))
    parts = [f"flux_se_{level}" for level in ("cycle", "device", "soil", "common")]
    total = np.sqrt(sum(budget[name] ** 2 for name in parts))
    np.testing.assert_allclose(budget["flux_se_total"], total)
    np.testing.assert_allclose(budget["flux_se_cycle"][:2], 0.1)
    np.testing.assert_allclose(
        budget["flux_se_common"][1] / budget["flux_se_common"][0], 2.0
    )
    systematic = np.sqrt(total[0] ** 2 - 0.1**2)
    assert float(systematic) == pytest.approx(0.054, abs=5e-4)
    assert np.isnan(budget["flux_se_total"][2])
    assert budget["flux_se_device"].attrs["units"] == "umol m-2 s-1"
    assert "flux_se_total" in budget["flux"].attrs["ancillary_variables"]
    assert "add_budget" in budget.attrs["history"]


def test_the_volume_may_differ_from_pot_to_pot():
    errors = SystematicErrors(volume=np.array([0.01, 0.10]), volume_soil_share=0.0)
    budget = add_budget(by_hand([1.0, 1.0], [0.0, 0.0], ["9.0"] * 2), errors)
    np.testing.assert_allclose(
        budget["flux_se_device"], np.hypot([0.01, 0.10], 0.01732), rtol=1e-3
    )


def test_more_cycles_reduce_the_part_of_the_cycle_alone():
    few = by_hand([1.0] * 4, [0.2] * 4, ["9.0"] * 4, devices=["a"] * 4)
    many = by_hand([1.0] * 400, [0.2] * 400, ["9.0"] * 400, devices=["a"] * 400)
    one, hundred = (average_fluxes(add_budget(d)).iloc[0] for d in (few, many))
    assert one["se_cycle"] == pytest.approx(0.1)
    assert hundred["se_cycle"] == pytest.approx(0.01)
    for part in ("se_device", "se_soil", "se_common"):
        assert hundred[part] == pytest.approx(one[part])
    assert hundred["se"] == pytest.approx(np.hypot(0.01, 0.05402), rel=1e-3)


def test_more_devices_reduce_the_part_of_the_device_and_more_soils_that_of_the_soil():
    def mean(devices, tables):
        n = len(devices)
        data = by_hand([1.0] * n, [0.2] * n, ["x"] * n, devices, tables)
        return average_fluxes(add_budget(data)).iloc[0]

    one = mean(["a"] * 4, ["9"] * 4)
    four = mean(["a", "b", "c", "d"], ["9"] * 4)
    soils = mean(["a", "b", "c", "d"], ["3", "4", "5", "6"])
    assert four["se_device"] == pytest.approx(one["se_device"] / 2)
    assert four["se_soil"] == pytest.approx(one["se_soil"])
    assert soils["se_soil"] == pytest.approx(one["se_soil"] / 2)
    assert soils["se_common"] == pytest.approx(one["se_common"])
    assert four["devices"] == 4


def test_the_average_agrees_with_monte_carlo_on_unequal_devices():
    rng = np.random.default_rng(1)
    flux = rng.uniform(0.3, 1.2, 30)
    devices = ["a"] * 20 + ["b"] * 8 + ["c"] * 2
    data = add_budget(by_hand(flux, 0.1 * np.ones(30), ["x"] * 30, devices))
    ours = average_fluxes(data).iloc[0]
    inputs = budget_inputs()
    inputs["slope"] = Input(flux, 0.1, level="cycle")
    nominal = float(flux_factor(**{k: v.value for k, v in budget_inputs().items()}))

    def mean(slope, **others):
        return (slope * flux_factor(**others) / nominal).mean(axis=-1)

    drawn = propagate_monte_carlo(
        mean,
        inputs,
        shape=(30,),
        groups={"device": devices, "soil": ["9"] * 30},
        n_draws=20_000,
    )
    assert ours["se"] == pytest.approx(float(drawn.se), rel=0.03)
    for level in ("cycle", "device", "soil", "common"):
        assert ours[f"se_{level}"] == pytest.approx(
            float(drawn.levels[level]), rel=0.04
        )


def test_what_the_fleet_shares_cancels_in_a_ratio():
    n = 200
    data = by_hand(
        [1.3] * n + [1.0] * n,
        [0.2] * 2 * n,
        ["9.2"] * n + ["9.0"] * n,
        devices=["a", "b"] * (n // 2) + ["c", "d"] * (n // 2),
    )
    errors = SystematicErrors(gain=0.0, humidity=0.0, volume_soil_share=1.0)
    averages = average_fluxes(add_budget(data, errors))
    ratio = ratio_uncertainty(averages, "9.2", "9.0")
    assert ratio["ratio"] == pytest.approx(1.3)
    only_noise = 1.3 * np.hypot(0.2 / 1.3, 0.2) / n**0.5
    assert ratio["se"] == pytest.approx(only_noise, rel=1e-6)
    other = ratio_uncertainty(averages, "9.2", "9.0", same_soil=False)
    assert other["se"] > 3 * ratio["se"]
    assert ratio["se_if_nothing_cancelled"] > other["se"]


def test_a_ratio_agrees_with_monte_carlo():
    n = 40
    data = by_hand(
        [1.3] * n + [1.0] * n,
        [0.1] * 2 * n,
        ["9.2"] * n + ["9.0"] * n,
        devices=["a", "b"] * (n // 2) + ["c", "d"] * (n // 2),
    )
    ours = ratio_uncertainty(average_fluxes(add_budget(data)), "9.2", "9.0")
    inputs = budget_inputs()
    nominal = float(flux_factor(**{k: v.value for k, v in inputs.items()}))
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal((20_000, 2 * n))

    def ratio(**others):
        true = np.r_[[1.3] * n, [1.0] * n] * flux_factor(**others) / nominal
        measured = true + noise[: len(true)] if len(true) > 1 else true
        return measured[:, :n].mean(axis=1) / measured[:, n:].mean(axis=1)

    drawn = propagate_monte_carlo(
        ratio,
        inputs,
        shape=(2 * n,),
        groups={"device": data["device"].values.astype(str), "soil": ["9"] * 2 * n},
        n_draws=20_000,
    )
    assert ours["se"] == pytest.approx(float(drawn.se), rel=0.03)


def test_uptake_and_release_do_not_add_their_shared_errors():
    data = by_hand([1.0, -1.0], [0.0, 0.0], ["x"] * 2, devices=["a", "a"])
    mean = average_fluxes(add_budget(data)).iloc[0]
    assert mean["mean"] == 0
    assert mean["se"] == pytest.approx(0.0, abs=1e-12)


def test_missing_fluxes_do_not_count():
    data = by_hand([1.0, np.nan, 3.0], [0.1, np.nan, 0.1], ["x"] * 3)
    mean = average_fluxes(add_budget(data)).iloc[0]
    assert mean["n"] == 2
    assert mean["mean"] == 2.0
    assert mean["se_cycle"] == pytest.approx(0.1 / 2**0.5)


def test_averages_without_a_budget_and_unknown_rows_are_refused():
    data = by_hand([1.0], [0.1], ["x"])
    with pytest.raises(InputError, match="after add_budget"):
        average_fluxes(data)
    averages = average_fluxes(add_budget(data))
    with pytest.raises(InputError, match=r"no average of 9\.2"):
        ratio_uncertainty(averages, "9.2", "x")


def test_intervals_cover_the_true_fluxes_of_a_simulated_fleet():
    single, pots, fit_only = [], [], []
    for seed in range(3):
        fleet = simulate_fleet(
            Layout(tables=tuple("123456"), days=0.5, start="2023-07-03 20:00"),
            Soil(feedback=0.0, photosynthesis=0.0),
            sensor=Sensor(ar_noise=0.0),
            seed=seed,
        )
        measured = fluxes(fleet, settings=FluxSettings(dead_band=60, select="linear"))
        budget = add_budget(measured, SIMULATED)
        error = np.abs(budget["flux"] - fleet["true_flux"]).values
        single.append(error < 1.96 * budget["flux_se_total"].values)
        means = average_fluxes(budget, by="pot")
        truth = fleet["true_flux"].groupby("pot").mean().to_series()
        error = (means["mean"] - truth).abs()
        pots.append(error < 1.96 * means["se"])
        fit_only.append(error < 1.96 * means["se_cycle"])
    assert np.mean(single) == pytest.approx(0.95, abs=0.02)
    assert np.mean(pots) == pytest.approx(0.95, abs=0.05)
    # The standard error of the fit alone would promise far too much of a mean.
    assert np.mean(fit_only) < 0.6
