"""Bondville: its forcing read, and a spun-up year held against Noah-MP."""

import gzip

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.land.model.parameters import parameter_dataset
from tilth.land.model.runs import final_state, run
from tilth.land.readers.bondville import read_bondville
from tilth.land.readers.noahmp import daily_means, read_noahmp

HEADER = """\
!----
 latitude               =  40.01                                ! latitude [degrees]
 longitude              = -88.37                                ! longitude [degrees]
yyyy mm dd hh mi |  m s{-1}   |     C
"""
ROWS = """\
1998 01 02 00 00     8.860     4.000    73.400   993.000     0.000   249.000     0.000
1998 01 02 00 30     9.070     3.900    74.500   993.000     0.000   250.000     0.900
"""
SHOWN = ["Qle", "Qh", "SoilMoist", "SurfaceResidual", "EnergyResidual", "WaterResidual"]


def test_units_and_times_of_the_table_are_converted(tmp_path):
    path = tmp_path / "bondville.dat"
    path.write_text(HEADER + ROWS)
    data = read_bondville(path)
    # A row's values are means of the half hour before its time.
    assert data["time"].values[0] == np.datetime64("1998-01-01T23:30")
    np.testing.assert_allclose(data["Tair"], [277.15, 277.05])
    np.testing.assert_allclose(data["PSurf"], 99300.0)
    # 0.9 inch are 22.86 mm.
    np.testing.assert_allclose(data["Rainf"] * 1800.0, [0.0, 22.86])
    assert 0.003 < float(data["Qair"][0]) < 0.0045
    assert (float(data["lat"]), float(data["lon"])) == (40.01, -88.37)


def test_a_compressed_table_is_read_alike(tmp_path):
    plain, packed = tmp_path / "a.dat", tmp_path / "a.dat.gz"
    plain.write_text(HEADER + ROWS)
    packed.write_bytes(gzip.compress((HEADER + ROWS).encode()))
    assert read_bondville(plain).equals(read_bondville(packed))


def test_a_table_with_a_gap_and_another_file_are_refused(tmp_path):
    path = tmp_path / "bondville.dat"
    path.write_text(HEADER + ROWS.replace("00 30", "01 30"))
    with pytest.raises(InputError, match="fill the gaps first"):
        read_bondville(path)
    path.write_text("time,temperature\n")
    with pytest.raises(InputError, match="is not a single-point forcing"):
        read_bondville(path)


@pytest.mark.realdata
def test_the_year_has_the_rain_and_sun_of_its_table(dataset):
    """925.8 mm and 150.5 W m-2 at Noah-MP's records of the same forcing."""
    data = read_bondville(dataset("noahmp-bondville") / "bondville.dat.gz")
    assert data.sizes["time"] == 17473
    np.testing.assert_allclose(float(data["Rainf"].sum()) * 1800.0, 925.83, atol=0.01)
    np.testing.assert_allclose(float(data["SWdown"].mean()), 150.5, atol=1.0)


@pytest.mark.realdata
def test_a_spun_up_year_agrees_with_noah_mp(dataset):
    """Annual heat within 15 W m-2, daily evaporation r >= 0.85; the books close.

    Noah-MP: 58.37 W m-2 of latent and 10.79 of sensible heat (mean of its records).
    Parameters are those of the crop class and the texture, nothing is fitted. The deep
    soil is begun wet and the year repeated until its water stands still (2 mm).
    """
    folder = dataset("noahmp-bondville")
    forcing = read_bondville(folder / "bondville.dat.gz").isel(time=slice(1, None))
    reference = read_noahmp(folder / "noahmp_bondville_1998_3h.nc")
    parameters = parameter_dataset(
        "crop", "silty clay loam", latitude=40.01, reference_height=10.0
    )
    # Begun with wet ground, so that the deep layers need few years to come to rest.
    state, before = None, np.inf
    for _ in range(30):
        result = run(forcing, parameters, state, wetness=0.97, variables=SHOWN)
        state = final_state(result)
        for name, limit in (
            ("SurfaceResidual", 1e-6),
            ("EnergyResidual", 1e-6),
            ("WaterResidual", 1e-9),
        ):
            assert float(result[name].max()) < limit
        water = result["SoilMoist"].sum("layer")
        if abs(float(water[-1]) - before) < 2.0:
            break
        before = float(water[-1])
    else:
        pytest.fail("the run does not come to rest")
    evaporation = float(result["Qle"].mean())
    np.testing.assert_allclose(evaporation, 58.37, atol=15.0)
    np.testing.assert_allclose(float(result["Qh"].mean()), 10.79, atol=15.0)
    days = daily_means(reference[["Qle"]])
    ours = result["Qle"].sel(time=days["time"])
    assert np.corrcoef(ours, days["Qle"])[0, 1] >= 0.85
