"""What holds for every method: units, places, calendars, chunks, gaps, files."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError, UnitsError
from tilth.forcing.adjust import (
    DQM,
    EQM,
    LOCI,
    QDM,
    DayWindow,
    Scaling,
    read_adjuster,
)
from tilth.forcing.adjust.adjuster import describe_period

RAIN = {"units": "mm day-1"}
METHODS = [
    Scaling("*", "31 days"),
    LOCI(group="month"),
    EQM("*", group="31 days"),
    DQM("*", group="month"),
    QDM("*", group=DayWindow(31)),
    QDM("*", dry_below=0.05, adapt_frequency=True, group="31 days", seed=4),
]
each_method = pytest.mark.parametrize("method", METHODS, ids=lambda m: repr(m))


@pytest.fixture
def case(series, rain):
    """Observed, modelled and target rain at 2 x 3 places with gaps."""
    parts = []
    for number, (start, dry, scale) in enumerate(
        [("1981-01-01", 0.4, 5.0), ("1981-01-01", 0.6, 2.0), ("2041-01-01", 0.6, 3.0)]
    ):
        rows = [rain(1095, 10 * number + cell, dry, scale) for cell in range(6)]
        values = np.array(rows, "f4").reshape(2, 3, 1095)
        values[0, 1, ::13] = np.nan
        values[1, 2] = np.nan
        parts.append(series(values, start, lat=[50.0, 40.0], name=list("abc"), **RAIN))
    return parts


@each_method
@pytest.mark.parametrize("chunks", [{"lat": 1, "name": 2}, {"time": 100, "name": 1}])
def test_chunks_do_not_change_a_bit(case, method, chunks):
    observed, modelled, target = case
    expected = method.fit(observed, modelled).apply(target)
    found = method.fit(observed.chunk(chunks), modelled.chunk(chunks)).apply(
        target.chunk(chunks)
    )
    assert found.chunks is not None
    xr.testing.assert_identical(found.compute(), expected)


@each_method
def test_gaps_stay_gaps_and_nothing_else_becomes_one(case, method):
    observed, modelled, target = case
    adjusted = method.fit(observed, modelled).apply(target)
    np.testing.assert_array_equal(adjusted.isnull(), target.isnull())
    assert (adjusted.fillna(0.0) >= 0).all()


@each_method
def test_a_place_alone_is_adjusted_as_among_others(case, method):
    here = {"lat": 1, "name": [0, 1]}
    observed, modelled, target = case
    whole = method.fit(observed, modelled).apply(target).isel(here)
    # A dimension that is gone is gone from the identity of a place, too: keep it.
    here = {"lat": [1], "name": [0, 1]}
    alone = method.fit(observed.isel(here), modelled.isel(here)).apply(
        target.isel(here)
    )
    np.testing.assert_array_equal(alone.isel(lat=0), whole)


@each_method
def test_a_saved_adjuster_gives_the_same_values(case, method, tmp_path):
    observed, modelled, target = case
    adjuster = method.fit(observed, modelled)
    adjuster.save(tmp_path / "fit.nc")
    read = read_adjuster(tmp_path / "fit.nc")
    assert read.method == method
    xr.testing.assert_identical(read.apply(target), adjuster.apply(target))


@each_method
def test_the_result_looks_like_the_target(case, method):
    observed, modelled, target = case
    target = target.transpose("time", "name", "lat").assign_coords(
        height=("name", [1.0, 2.0, 3.0])
    )
    target.attrs["long_name"] = "rain"
    flux = (
        (target / 86400)
        .astype("f4")
        .assign_attrs(target.attrs | {"units": "kg m-2 s-1"})
    )
    adjusted = method.fit(observed, modelled).apply(flux)
    assert adjusted.dims == target.dims
    assert adjusted.dtype == np.float32
    assert adjusted.name == "series"
    assert set(adjusted.coords) == {"time", "name", "lat", "height"}
    assert adjusted.attrs["units"] == "mm day-1"
    assert adjusted.attrs["long_name"] == "rain"
    assert adjusted.attrs["adjustment_method"] == type(method).__name__
    assert adjusted.attrs["training_modelled"] == (
        "1981-01-01 to 1983-12-31, 1095 steps, noleap, years 1981-1983"
    )


@each_method
def test_settings_can_be_written_and_read(method):
    settings = method.settings()
    assert type(method).from_settings(settings) == method
    assert all(isinstance(v, (str, int, float, type(None))) for v in settings.values())
    assert dataclasses.is_dataclass(method)


@each_method
@pytest.mark.parametrize("calendar", ["standard", "360_day", "all_leap"])
def test_a_model_of_another_calendar_is_adjusted(series, rain, method, calendar):
    observed = series(rain(4 * 365 + 1, 1), calendar="standard", **RAIN)
    modelled = series(rain(1500, 2, scale=2.0), calendar=calendar, **RAIN)
    target = series(rain(1500, 3, scale=2.0), "2049-01-01", calendar=calendar, **RAIN)
    adjusted = method.fit(observed, modelled).apply(target)
    assert adjusted.notnull().all()
    assert adjusted["time"].equals(target["time"])
    assert adjusted.mean().item() == pytest.approx(observed.mean().item(), rel=0.35)


def test_dates_of_numpy_are_adjusted_as_those_of_cftime(series, rain):
    observed, modelled = (series(rain(1461, n), calendar="standard", **RAIN)
                          for n in (1, 2))  # fmt: skip
    plain = [
        data.assign_coords(time=data.indexes["time"].to_datetimeindex(time_unit="ns"))
        for data in (observed, modelled)
    ]
    method = QDM("*", group="31 days")
    np.testing.assert_array_equal(
        method.fit(*plain).apply(plain[1]),
        method.fit(observed, modelled).apply(modelled),
    )


def test_an_ensemble_has_a_fit_for_each_member_on_the_same_observations(series):
    rng = np.random.default_rng(0)
    observed = series(rng.normal(size=800))
    members = series(rng.normal([[1.0], [5.0]], size=(2, 800)), member=[1, 2])
    adjuster = QDM().fit(observed, members)
    assert set(adjuster.table["modelled_quantiles"].dims) == {
        "member", "group", "quantile"
    }  # fmt: skip
    adjusted = adjuster.apply(members)
    for member in (1, 2):
        alone = members.sel(member=member, drop=True)
        np.testing.assert_allclose(
            adjusted.sel(member=member), QDM().fit(observed, alone).apply(alone)
        )


def test_a_fit_without_members_adjusts_each_of_them(series):
    rng = np.random.default_rng(0)
    observed, modelled = series(rng.normal(size=800)), series(rng.normal(size=800))
    members = series(rng.normal(size=(3, 800)), member=[1, 2, 3])
    adjuster = EQM().fit(observed, modelled)
    np.testing.assert_allclose(
        adjuster.apply(members)[1], adjuster.apply(members[1]), atol=1e-12
    )


def test_a_ratio_of_degrees_celsius_is_refused(series):
    data = series(np.ones(10))
    for method in (Scaling("*"), QDM("*")):
        with pytest.raises(InputError, match="zero is a convention"):
            method.fit(data, data)


def test_a_kind_is_a_sum_or_a_ratio(series):
    data = series(np.ones(10))
    with pytest.raises(InputError, match="kind"):
        QDM("-").fit(data, data)


def test_units_are_needed_and_must_convert(series):
    good = series(np.ones(10), units="K")
    bare = good.drop_attrs()
    with pytest.raises(InputError, match="units"):
        QDM().fit(bare, good)
    with pytest.raises(UnitsError, match="units"):
        QDM().fit(good, bare)
    with pytest.raises(UnitsError, match="same kind"):
        QDM().fit(good, good.assign_attrs(units="W m-2"))
    with pytest.raises(UnitsError):
        QDM().fit(good, good).apply(good.assign_attrs(units="Pa"))


def test_places_must_be_the_same(series):
    observed = series(np.ones((2, 10)), lon=[0.0, 10.0])
    with pytest.raises(InputError, match="same coordinates"):
        QDM().fit(observed, observed.assign_coords(lon=[0.0, 370.0]))


def test_time_is_needed(series):
    data = series(np.ones(10))
    with pytest.raises(InputError, match="needs the dimension time"):
        QDM().fit(data, data.rename(time="day"))
    with pytest.raises(InputError, match="needs the dimension time"):
        QDM().fit(data, data.drop_vars("time"))


@pytest.mark.parametrize("method", [Scaling, EQM, DQM, QDM])
def test_a_season_that_was_not_trained_is_not_adjusted(series, method):
    winter = series(np.arange(90.0), "1981-12-01")
    summer = series(np.arange(90.0), "1981-06-01")
    with pytest.raises(InputError, match="none in training"):
        method(group="month").fit(winter, winter).apply(summer)


def test_winters_are_adjusted_alone(series):
    winters = series(np.random.default_rng(0).normal(size=3650))
    winters = winters[winters["time"].dt.month.isin([12, 1, 2]).values]
    for group in ("month", "31 days"):
        adjusted = QDM(group=group).fit(winters, winters).apply(winters)
        np.testing.assert_allclose(adjusted, winters, atol=1e-12)


def test_what_is_no_saved_adjuster_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no"):
        read_adjuster(tmp_path / "nothing.nc")
    other = tmp_path / "other.nc"
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(other, engine="h5netcdf")
    with pytest.raises(InputError, match="no fitted adjustment"):
        read_adjuster(other)
    # Names of the room that are no methods must not be called.
    xr.Dataset(attrs={"adjustment_method": "read_adjuster"}).to_netcdf(
        other, engine="h5netcdf"
    )
    with pytest.raises(InputError, match="no fitted adjustment"):
        read_adjuster(other)


def test_an_empty_training_period_is_refused(series):
    data = series(np.ones(10))
    with pytest.raises(InputError, match="no time step"):
        describe_period(data["time"][:0])
