"""Skill between years, archives by their own names, and figures that say what is."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.s2s import (
    as_forecast,
    plot_size_penalty,
    plot_tercile_skill,
    score_terciles,
    skill_interval,
)


def forecast(years=15, per_year=4, cells=6, shared=0.0, seed=0):
    """Forecasts sure of the truth in a share of cases that differs between years."""
    draws = np.random.default_rng(seed)
    days = [
        pd.Timestamp(2001 + y, 1, 2) + pd.Timedelta(days=7 * k)
        for y in range(years)
        for k in range(per_year)
    ]
    came = draws.integers(0, 3, (len(days), cells))
    good = 0.5 + shared * np.repeat(draws.choice([-0.4, 0.4], years), per_year)
    right = draws.random(came.shape) < good[:, None]
    told = np.where(right, came, draws.integers(0, 3, came.shape))
    coords = {"start": np.array(days, "datetime64[ns]")}
    return xr.Dataset(
        {
            "probability": (("start", "cell", "category"), np.eye(3)[told]),
            "observed_category": (("start", "cell"), came.astype(float)),
        },
        coords=coords,
    )


def test_the_interval_holds_the_skill_and_widens_where_years_share_their_fate():
    over = ("start", "cell")
    widths = []
    for shared in (0.0, 1.0):
        data = forecast(shared=shared)
        skill = float(score_terciles(data, dim=over)["rpss"])
        limits = skill_interval(data, dim=over, seed=1)
        assert float(limits["lower"]) < skill < float(limits["upper"])
        widths.append(float(limits["upper"] - limits["lower"]))
    assert widths[1] > 1.8 * widths[0]


def test_the_interval_covers_the_truth_as_often_as_it_says():
    # The truth of this world: the mean over many of its years.
    over = ("start", "cell")
    truth = float(
        score_terciles(forecast(years=1500, shared=1.0, seed=99), dim=over)["rpss"]
    )
    held = 0
    for seed in range(100):
        limits = skill_interval(
            forecast(shared=1.0, seed=seed), dim=over, draws=300, level=0.9
        )
        held += float(limits["lower"]) <= truth <= float(limits["upper"])
    # 15 years: a little too narrow is known of the bootstrap; 79 to 97 of 100.
    assert 79 <= held <= 97


def test_the_interval_keeps_what_is_not_averaged_and_needs_years():
    data = forecast()
    limits = skill_interval(data, dim=("start",))
    assert limits["lower"].dims == ("cell",)
    assert limits.attrs["years"] == 15
    with pytest.raises(InputError, match="drawn along start"):
        skill_interval(data, dim=("cell",))
    with pytest.raises(InputError, match="real time"):
        score_terciles(data.drop_vars("observed_category"))


@pytest.mark.parametrize(
    "names",
    [
        ("S", "L", "M"),
        ("forecast_time", "lead_time", "realization"),
        ("init", "lead", "number"),
        ("start", "lead", "member"),
    ],
)
def test_archives_are_known_by_their_names(names):
    data = xr.DataArray(np.zeros((2, 3, 4, 5)), dims=(*names, "cell"), name="pr")
    data = data.assign_coords({names[0]: [0, 1], names[1]: [0, 1, 2]})
    assert as_forecast(data).dims == ("start", "lead", "member", "cell")


def test_archives_are_known_by_their_standard_names_or_by_what_one_says():
    data = xr.DataArray(np.zeros((2, 3)), dims=("a", "b"), name="pr")
    cf = data.assign_coords(
        a=("a", [0, 1], {"standard_name": "forecast_reference_time"}),
        b=("b", [0, 1, 2], {"standard_name": "forecast_period"}),
    )
    assert as_forecast(cf).sizes == {"start": 2, "lead": 3, "member": 1}
    said = as_forecast(cf.drop_attrs(), {"start": "a", "lead": "b"})
    assert said.sizes == {"start": 2, "lead": 3, "member": 1}
    with pytest.raises(InputError, match="no start and no lead"):
        as_forecast(data)
    with pytest.raises(InputError, match="a dimension lead without values"):
        as_forecast(cf.drop_vars("b"), {"start": "a", "lead": "b"})
    with pytest.raises(InputError, match="has no when"):
        as_forecast(data, {"start": "when"})
    with pytest.raises(InputError, match="names are of"):
        as_forecast(data, {"time": "a"})


def test_a_single_start_without_dimension_becomes_one():
    data = xr.DataArray(np.zeros((3, 4)), dims=("step", "number"), name="pr")
    data = data.assign_coords(step=[1, 2, 3])
    found = as_forecast(data.assign_coords(init=np.datetime64("2020-01-02", "ns")))
    assert found.sizes == {"start": 1, "lead": 3, "member": 4}
    assert str(found["start"].values[0])[:10] == "2020-01-02"


def test_starts_without_a_date_are_left_out():
    dates = np.array(["2020-01-02", "NaT", "2020-01-16"], "datetime64[ns]")
    data = xr.DataArray([1.0, 2.0, 3.0], {"S": dates}, name="pr")
    found = as_forecast(data.expand_dims(L=[1]))
    assert found.squeeze().values.tolist() == [1.0, 3.0]


def test_figures_name_the_skill_they_show():
    leads = {"lead": ["week 1", "week 2"]}
    skill = xr.Dataset({"rpss": ("lead", [0.4, -0.1])}, leads)
    limits = skill.assign(lower=("lead", [0.3, -0.2]), upper=("lead", [0.5, 0.0]))
    drawn = plot_tercile_skill({"raw": skill, "blended": limits})
    assert drawn.alt == (
        "Skill from first to last lead: raw +0.40 to -0.10; blended +0.40 to -0.10."
    )
    sizes = plot_size_penalty(np.array([2, 11]), np.array([-0.5, -0.09]))
    assert "-0.50 with 2 members" in sizes.alt
    assert sizes.png.startswith(b"\x89PNG")
