"""Parity with xsdba 0.7.0 on real winters: CNRM-CM5 against seven Iberian stations.

Trained on the winters of 1983-1987, applied to those of 1988-1992; a winter has the
year of its January. Reference numbers from xsdba 0.7.0: nquantiles=50, no grouping,
interp='linear', extrapolation='constant'.
"""

import numpy as np
import pytest
import xarray as xr

from tilth.forcing.adjust import EQM, QDM

pytestmark = pytest.mark.realdata

#: Means of the test winters at the stations 000212 ... 003919.
MEANS = {
    ("tas", EQM): [5.3996, 9.6732, 12.9542, 8.7782, 10.4326, 8.6597, 10.0904],
    ("tas", QDM): [5.4078, 9.6626, 13.0632, 8.6209, 10.3649, 8.4357, 9.9529],
    ("pr", EQM): [2.6040, 1.5692, 0.8147, 4.5657, 0.4334, 7.4041, 0.6236],
    ("pr", QDM): [2.7422, 1.5779, 0.9979, 4.7064, 0.4724, 7.7129, 0.7304],
}


@pytest.fixture
def winters(dataset):
    """Return a function that gives observations, model and which days are training."""
    folder = dataset("iberia-winters")

    def read(variable):
        observed, modelled = (
            xr.load_dataset(folder / name, engine="h5netcdf")[variable]
            for name in (f"VALUE_Iberia_{variable}.nc", f"CMIP5_Iberia_{variable}.nc")
        )
        # Nearest latitude and nearest longitude, each by itself.
        modelled = modelled.sel(
            lat=observed["lat"], lon=observed["lon"], method="nearest"
        ).drop_vars(["lat", "lon"])
        time = observed["time"].dt
        training = (time.year + (time.month == 12) <= 1987).values
        return observed, modelled, training

    return read


def adjust(winters, variable, method):
    observed, modelled, training = winters(variable)
    adjuster = method(kind="+" if variable == "tas" else "*").fit(
        observed[training], modelled[training]
    )
    return adjuster, observed, modelled, training


@pytest.mark.parametrize(("variable", "method"), MEANS)
def test_station_means_agree_with_xsdba(winters, variable, method):
    adjuster, _, modelled, training = adjust(winters, variable, method)
    assert training.sum() == 451
    assert (~training).sum() == 452
    means = adjuster.apply(modelled[~training]).mean("time", dtype=float)
    np.testing.assert_allclose(means, MEANS[variable, method], atol=1e-4)


def test_changes_between_the_halves_agree_with_xsdba(winters):
    change = {}
    for method in (EQM, QDM):
        for variable in ("tas", "pr"):
            adjuster, observed, modelled, training = adjust(winters, variable, method)
            test = adjuster.apply(modelled[~training]).mean("time", dtype=float)
            train = observed[training].mean("time", dtype=float)
            pair = (test - train) if variable == "tas" else test / train
            change[variable, method] = float(pair.mean())
    assert change["tas", QDM] == pytest.approx(0.7195, abs=2e-4)
    assert change["tas", EQM] == pytest.approx(0.7880, abs=2e-4)
    assert change["pr", QDM] == pytest.approx(0.821, abs=1e-3)
    assert change["pr", EQM] == pytest.approx(0.765, abs=1e-3)


#: Absolute bias, mean absolute error of 99 quantiles, over the stations.
SCORES = {
    ("tas", EQM): (0.243, 0.425), ("tas", QDM): (0.248, 0.430),
    ("pr", EQM): (0.714, 0.851), ("pr", QDM): (0.750, 0.848),
}  # fmt: skip


@pytest.mark.parametrize(("variable", "method"), SCORES)
def test_errors_of_test_winters_are_those_of_xsdba(winters, variable, method):
    adjuster, observed, modelled, training = adjust(winters, variable, method)
    found, truth = (
        data.transpose("station", "time").values.astype(float)
        for data in (adjuster.apply(modelled[~training]), observed[~training])
    )
    bias = np.abs(np.nanmean(found, axis=1) - np.nanmean(truth, axis=1)).mean()
    p = np.arange(1, 100) / 100
    away = np.nanquantile(found, p, axis=1) - np.nanquantile(truth, p, axis=1)
    expected = SCORES[variable, method]
    assert bias == pytest.approx(expected[0], abs=1e-3)
    assert np.abs(away).mean() == pytest.approx(expected[1], abs=1e-3)
