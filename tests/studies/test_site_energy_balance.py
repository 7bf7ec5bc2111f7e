"""The study of sites: its lines are honest, and without data only the books count."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import DatasetError
from tilth.studies import site_energy_balance
from tilth.studies.site_energy_balance import regressions, sites


@pytest.fixture
def weeks():
    """Twelve weeks of half hours of sun."""
    begin, end = np.datetime64("2020-05-01T00:00"), np.datetime64("2020-07-24T00:00")
    time = np.arange(begin, end, np.timedelta64(30, "m"))
    hour = (time - time.astype("datetime64[D]")) / np.timedelta64(1, "h")
    sun = np.maximum(np.sin((hour - 6.0) / 12.0 * np.pi), 0.0) * 800.0
    return xr.Dataset(
        {"SWdown": ("time", sun)}, coords={"time": time.astype("datetime64[ns]")}
    )


def test_a_line_in_the_sun_finds_what_is_linear_in_it(weeks):
    flux = 12.0 + 0.4 * weeks["SWdown"].values
    flux[100:200] = np.nan
    found = regressions.predict(weeks, flux, ("SWdown",))
    np.testing.assert_allclose(found, 12.0 + 0.4 * weeks["SWdown"].values, atol=1e-8)


def test_a_week_is_predicted_from_other_weeks_only(weeks):
    flux = 0.4 * weeks["SWdown"].values
    spoilt = flux.copy()
    spoilt[: 7 * 48] += 1000.0
    before = regressions.predict(weeks, flux, ("SWdown",))
    after = regressions.predict(weeks, spoilt, ("SWdown",))
    np.testing.assert_array_equal(after[: 7 * 48], before[: 7 * 48])
    assert not np.allclose(after[7 * 48 : 14 * 48], before[7 * 48 : 14 * 48])


def test_a_forcing_is_cut_to_whole_days(weeks):
    cut = sites.whole_days(weeks.isel(time=slice(5, -3)))
    assert cut["time"].values[0] == np.datetime64("2020-05-02")
    assert cut.sizes["time"] % 48 == 0


def test_without_the_records_only_the_books_are_looked_at(monkeypatch):
    def absent(name, download=True):
        raise DatasetError(f"{name} is not here")

    monkeypatch.setattr(site_energy_balance, "locate", absent)
    result = site_energy_balance.run(full=False)
    assert "simulated" in result.summary
    assert len(result.metrics) == len(sites.CLOSURE)
    assert all(metric.holds for metric in result.metrics)
