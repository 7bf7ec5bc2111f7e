import numpy as np
import pytest
import xarray as xr

from tilth.land.readers.noahmp import daily_means, read_noahmp


def records(values, start="2001-01-01T03:00"):
    time = np.datetime64(start, "ns") + np.arange(len(values)) * np.timedelta64(3, "h")
    return xr.Dataset({"Qle": ("time", np.asarray(values, float))}, {"time": time})


def test_daily_means_of_records_are_those_of_the_line_through_them():
    """A straight line: the mean of a day is its value at noon."""
    days = daily_means(records(np.arange(24.0)))
    # Value at 2001-01-02T00:00 is 7, at noon 11, a day later 19.
    np.testing.assert_allclose(days["Qle"], [11.0, 19.0])
    assert days["time"].values[0] == np.datetime64("2001-01-02")


def test_records_at_midnight_count_half_for_either_day():
    values = np.zeros(24)
    values[15] = 8.0  # 2001-01-03T00:00
    days = daily_means(records(values))
    np.testing.assert_allclose(days["Qle"], [0.5, 0.5])


def test_only_whole_days_are_averaged():
    assert daily_means(records(np.ones(30)))["time"].size == 2


@pytest.mark.realdata
def test_the_records_close_their_own_energy_balance(dataset):
    """Means over the records: 69.45 = 58.37 + 10.79 + 0.27 W m-2 to 0.02."""
    path = dataset("noahmp-bondville") / "noahmp_bondville_1998_3h.nc"
    data = read_noahmp(path)
    means = {name: float(data[name].mean()) for name in ("Qle", "Qh", "Qg")}
    np.testing.assert_allclose(
        [means["Qle"], means["Qh"], means["Qg"]], [58.37, 10.79, 0.27], atol=0.01
    )
    net = float(data["SWnet"].mean() + data["LWnet"].mean())
    np.testing.assert_allclose(net, 69.45, atol=0.01)
    # Accumulated since the first pass: 149.2 and 29.6 mm are of this year.
    np.testing.assert_allclose(float(data["Qs"].sum()), 149.2, atol=0.2)
    np.testing.assert_allclose(float(data["Qsb"].sum()), 29.6, atol=0.2)
    np.testing.assert_allclose(float(data["SWE"].max()), 8.6, atol=0.1)
