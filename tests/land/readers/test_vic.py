"""VIC's binary forcing, and VIC's own output beside it."""

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.land.readers import read_land_model, read_vic_forcing


@pytest.fixture
def packed(tmp_path):
    """Write two days of one cell as VIC packs them."""
    path = tmp_path / "data_48.4375_-120.6875"
    record = np.dtype([("p", "<u2"), ("x", "<i2"), ("n", "<i2"), ("w", "<i2")])
    rows = [(41, -1005, -1329, 253), (60000, 2000, -50, 0)]
    np.array(rows, record).tofile(path)
    return path


def test_a_packed_record_is_unpacked_by_its_multipliers_and_signs(packed):
    data = read_vic_forcing(packed, "1961-01-01")
    # 60000 / 40 is a rain that only an unsigned integer holds.
    assert data["precipitation"].values[:, 0].tolist() == [1.025, 1500.0]
    assert data["temperature_max"].values[:, 0].tolist() == [-10.05, 20.0]
    assert data["temperature_min"].values[:, 0].tolist() == [-13.29, -0.5]
    assert data["wind"].values[:, 0].tolist() == [2.53, 0.0]
    assert str(data["time"].values[1])[:10] == "1961-01-02"
    assert (float(data["lat"][0]), float(data["lon"][0])) == (48.4375, -120.6875)


def test_a_file_that_is_cut_off_is_refused(packed):
    packed.write_bytes(packed.read_bytes()[:-3])
    with pytest.raises(InputError, match="13 bytes, no whole number of records"):
        read_vic_forcing(packed, "1961-01-01")


def test_cells_of_different_length_are_refused(packed, tmp_path):
    other = tmp_path / "data_48.5_-120.5"
    other.write_bytes(packed.read_bytes()[:8])
    with pytest.raises(InputError, match="differ in their number of days"):
        read_vic_forcing([packed, other], "1961-01-01")


@pytest.mark.realdata
def test_the_binary_forcing_is_the_precipitation_of_vics_output(dataset):
    folder = dataset("vic-stehekin")
    packed = read_vic_forcing(folder / "data_48.4375_-120.6875", "1961-01-01")
    assert packed.sizes["time"] == 16436
    output = read_land_model(
        folder / "vic5_stehekin_daily_1961_2005.nc", "vic", cells=[8]
    )
    assert float(output.forcing["lat"][0]) == float(packed["lat"][0])
    wet = output.forcing["rain"] + output.forcing["snowfall"]
    given = packed["precipitation"].values
    # VIC's two parts are packed in steps of a few micrometres.
    np.testing.assert_allclose(wet.values, given, atol=0.01)
    assert float(wet.sum()) == pytest.approx(given.sum(), rel=1e-5)


@pytest.mark.realdata
def test_the_other_byte_order_is_noticed(dataset):
    path = dataset("vic-stehekin") / "data_48.4375_-120.6875"
    with pytest.raises(InputError, match="byte_order='little'"):
        read_vic_forcing(path, "1961-01-01", byte_order="big")


@pytest.mark.realdata
def test_the_stehekin_cells_close_their_water_within_what_packing_leaves(dataset):
    file = dataset("vic-stehekin") / "vic5_stehekin_daily_1961_2005.nc"
    whole = read_land_model(file, "vic", soil_layers=3)
    forcing, targets = whole
    assert dict(targets.sizes) == {"time": 16436, "cell": 9}
    came = (forcing["rain"] + forcing["snowfall"]).sum("time")
    went = (targets["runoff"] + targets["evaporation"]).sum("time")
    store = targets["snow"] + targets["soil"]
    # Stores are at the ends of days, so the first day's change is not known.
    first = (forcing["rain"] + forcing["snowfall"] - targets["runoff"])[0]
    first = first - targets["evaporation"][0]
    residual = came - went - first - (store[-1] - store[0])
    # 45 years: 0.6 to 2.6 mm by packing and the canopy, of up to 93 m of water.
    assert float(np.abs(residual).max()) < 3.0
    # 989 mm in the driest cell, 2076 mm in the wettest.
    per_year = came / 45
    assert float(per_year.min()) == pytest.approx(989, abs=1)
    assert float(per_year.max()) == pytest.approx(2076, abs=1)


@pytest.mark.realdata
def test_findley_is_read_with_amounts_per_step_and_phases_by_temperature(dataset):
    (file,) = dataset("vic-findley").glob("*.nc")
    columns = {
        "like": "vic",
        "precipitation": {"variable": "f_prec_mm", "units": "mm", "amount": "step"},
        "vapour_pressure": "f_vp_kPa",
        "pressure": "f_p_kPa",
        "snow_temperatures": [-0.5, 0.5],
    }
    forcing, targets = read_land_model(file, columns)
    yearly = 365.25  # 1970 to 1975 holds one leap year: 2191 days
    wet = float((forcing["rain"] + forcing["snowfall"]).mean()) * yearly
    assert wet == pytest.approx(3162.0, rel=1e-3)
    assert float(targets["evaporation"].mean()) * yearly == pytest.approx(
        288.5, rel=2e-3
    )
    runoff = float(targets["runoff"].mean()) * yearly
    assert runoff == pytest.approx(2832.9 + 32.3, rel=1e-3)
    top = targets["snow"][:, 0]
    assert float(top.max()) == pytest.approx(2159.0, abs=0.1)
    assert str(top["time"].values[top.values.argmax()])[:10] == "1974-04-12"
    # Vapour pressure and pressure both in kPa: humidity of a wet, cool air.
    assert 0.002 < float(forcing["humidity"].mean()) < 0.008
