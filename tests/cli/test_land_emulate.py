"""`tilth land emulate` as a user calls it: files in, an emulator, a run, a verdict."""

import json

import numpy as np
import pytest
import xarray as xr

from tilth.cli import main
from tilth.studies.emulator_skill.simulated import simulated_output

MODEL = """
like: alma
thickness: [0.4]
rain: {variable: rain}
snowfall: {variable: snowfall}
temperature: {variable: temperature}
humidity: {variable: humidity}
pressure: {variable: pressure}
snow: {variable: snow}
soil: soil
runoff: {variable: runoff}
"""


def run(*words):
    return main([str(word) for word in ("land", "emulate", *words)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight years of a land model in two files, its map, and an emulator of six."""
    path = tmp_path_factory.mktemp("model")
    forcing, targets = simulated_output((1994, 2001))
    whole = xr.merge([forcing, targets[["snow", "soil", "runoff"]]])
    whole["soil"] = whole["soil"].expand_dims("soil_layer")
    whole.sel(time=slice("1994", "1999")).to_netcdf(path / "a.nc", engine="h5netcdf")
    whole.sel(time=slice("2000", "2001")).to_netcdf(path / "b.nc", engine="h5netcdf")
    (path / "map.yaml").write_text(MODEL)
    code = run(
        "fit", path / "a.nc", "--model", path / "map.yaml", "--train", "1994:1999",
        "--out", path / "emulator.nc", "--cells", "0",
    )  # fmt: skip
    assert code == 0
    return path


def test_the_emulator_keeps_how_its_files_name_things(folder):
    fitted = xr.open_dataset(folder / "emulator.nc", engine="h5netcdf")
    assert fitted["parameters"].dims == ("parameter", "month", "cell")
    assert fitted.sizes["cell"] == 1
    assert fitted.attrs["imitates"] == "map"
    told = json.loads(fitted.attrs["column_map"])
    assert told["snow"] == [{"sum": ["snow"]}]
    assert fitted.attrs["training_years"].tolist() == list(range(1994, 2000))


def test_a_good_emulator_passes_and_its_card_is_written(folder, tmp_path, capsys):
    code = run(
        "score", folder / "emulator.nc", folder / "a.nc", folder / "b.nc",
        "--test", "2000:2001", "--cells", "0",
        "--out", tmp_path / "card.nc", "--html", tmp_path / "card.html",
    )  # fmt: skip
    text = capsys.readouterr().out
    assert code == 0, text
    assert "fitted to 1994-01-01 to 1999-12-31" in text
    assert "Accepted." in text
    card = xr.open_dataset(tmp_path / "card.nc", engine="h5netcdf")
    assert (card["nse"] > card["climatology_nse"]).all()
    assert (tmp_path / "card.html").read_text().count("<img") == 3


def test_a_bad_emulator_is_not_accepted_and_the_exit_code_is_one(
    folder, tmp_path, capsys
):
    fitted = xr.open_dataset(folder / "emulator.nc", engine="h5netcdf").load()
    melt = fitted["parameters"].sel(parameter="melt_factor")
    melt[:] = 0.02  # snow that never melts
    fitted.to_netcdf(tmp_path / "bad.nc", engine="h5netcdf")
    code = run(
        "score", tmp_path / "bad.nc", folder / "a.nc", folder / "b.nc",
        "--test", "2000:2001", "--cells", "0",
    )  # fmt: skip
    assert code == 1
    assert "Not accepted in every variable and cell." in capsys.readouterr().out


def test_years_that_were_fitted_are_not_judged(folder, capsys):
    code = run(
        "score", folder / "emulator.nc", folder / "a.nc", "--test", "1998:1999",
        "--cells", "0",
    )  # fmt: skip
    assert code == 2
    assert "were fitted" in capsys.readouterr().err


def test_the_climatology_needs_the_files_of_the_training_years(folder, capsys):
    code = run("score", folder / "emulator.nc", folder / "b.nc", "--test", "2001")
    assert code == 2
    assert "lack the training years 1994 to 1999" in capsys.readouterr().err


def test_a_run_in_two_pieces_is_the_run_in_one(folder, tmp_path, capsys):
    emulator, weather = folder / "emulator.nc", folder / "b.nc"
    data = xr.open_dataset(weather, engine="h5netcdf")
    one, two = tmp_path / "1.nc", tmp_path / "2.nc"
    data.sel(time="2000").to_netcdf(one, engine="h5netcdf")
    data.sel(time="2001").to_netcdf(two, engine="h5netcdf")
    words = ("--cells", "0", "--out")
    assert run("run", emulator, weather, *words, tmp_path / "whole.nc") == 0
    assert "731 days from the end of the fit" in capsys.readouterr().out
    assert run("run", emulator, one, *words, tmp_path / "first.nc") == 0
    then = ("--after", tmp_path / "first.nc")
    assert run("run", emulator, two, *words, tmp_path / "second.nc", *then) == 0
    whole = xr.open_dataset(tmp_path / "whole.nc", engine="h5netcdf")
    second = xr.open_dataset(tmp_path / "second.nc", engine="h5netcdf")
    for name in ("SWE", "SoilMoist", "Qtot"):
        np.testing.assert_array_equal(
            whole[name].sel(time="2001").values, second[name].values
        )
    # Alone, the second year starts from nothing, and says so.
    capsys.readouterr()
    assert run("run", emulator, two, *words, tmp_path / "alone.nc") == 0
    assert "from empty stores" in capsys.readouterr().out
    # And nothing goes on after a run that ends elsewhere.
    assert run("run", emulator, one, *words, tmp_path / "x.nc", *then) == 2
    assert "a day apart is needed" in capsys.readouterr().err
    assert not (tmp_path / "x.nc").exists()


def test_a_run_goes_back_on_the_grid(folder, tmp_path):
    data = xr.open_dataset(folder / "b.nc", engine="h5netcdf").isel(
        time=slice(0, 40), cell=[0, 0, 0, 0]
    )
    grid = xr.Dataset(coords={"time": data["time"]})
    for name in ("rain", "snowfall", "temperature", "humidity", "pressure"):
        values = data[name].values.reshape(40, 2, 2)
        grid[name] = (("time", "lat", "lon"), values, data[name].attrs)
    grid = grid.assign_coords(lat=[10.0, 11.0], lon=[5.0, 6.0])
    grid.to_netcdf(tmp_path / "grid.nc", engine="h5netcdf")
    fitted = xr.open_dataset(folder / "emulator.nc", engine="h5netcdf").load()
    four = fitted.isel(cell=[0, 0, 0, 0]).drop_vars(["lat", "lon"])
    four = four.assign_coords(cell=np.arange(4))
    four.to_netcdf(tmp_path / "four.nc", engine="h5netcdf")
    code = run(
        "run", tmp_path / "four.nc", tmp_path / "grid.nc", "--grid",
        "--out", tmp_path / "run.nc",
    )  # fmt: skip
    assert code == 0
    out = xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf")
    assert out["SWE"].dims == ("time", "lat", "lon")
    np.testing.assert_array_equal(out["SWE"][:, 0, 0], out["SWE"][:, 1, 1])


@pytest.mark.parametrize(
    ("words", "needle"),
    [
        (["--train", "soon"], "years are written like"),
        (["--train", "1999:1994"], "years are written like"),
        (["--train", "1994:1999", "--cells", "a"], "cells are written like"),
        (["--train", "1994:1999", "--model", "jules"], "take one of alma"),
        (["--train", "1990:1999"], "are not in the data"),
        (["--train", "1994:1999", "--variant", "wild"], "no variant 'wild'"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_emulator(
    folder, tmp_path, capsys, words, needle
):
    out = tmp_path / "e.nc"
    named = () if "--model" in words else ("--model", folder / "map.yaml")
    assert run("fit", folder / "a.nc", "--out", out, *named, *words) == 2
    error = capsys.readouterr().err.strip()
    assert needle in error
    assert "\n" not in error
    assert not out.exists()


def test_a_cluster_gives_the_same_emulator(folder, tmp_path):
    distributed = pytest.importorskip("distributed")
    out = tmp_path / "spread.nc"
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        code = run(
            "fit", folder / "a.nc", "--model", folder / "map.yaml", "--train",
            "1994:1999", "--out", out, "--cells", "0",
            "--scheduler", cluster.scheduler_address,
        )  # fmt: skip
    assert code == 0
    a = xr.open_dataset(folder / "emulator.nc", engine="h5netcdf")["parameters"]
    b = xr.open_dataset(out, engine="h5netcdf")["parameters"]
    np.testing.assert_array_equal(a.values, b.values)


@pytest.mark.realdata
def test_findley_fitted_to_four_years_beats_climatology_in_the_other_two(
    dataset, tmp_path, capsys
):
    (file,) = dataset("vic-findley").glob("*.nc")
    (tmp_path / "findley.yaml").write_text(
        "like: vic\n"
        "precipitation: {variable: f_prec_mm, units: mm, amount: step}\n"
        "vapour_pressure: f_vp_kPa\n"
        "pressure: f_p_kPa\n"
        "snow_temperatures: [-0.5, 0.5]\n"
    )
    emulator = tmp_path / "findley.nc"
    model = ("--model", tmp_path / "findley.yaml")
    assert run("fit", file, *model, "--train", "1970:1973", "--out", emulator) == 0
    card = tmp_path / "card.nc"
    assert run("score", emulator, file, "--test", "1974:1975", "--out", card) == 0
    assert "Accepted." in capsys.readouterr().out
    scores = xr.open_dataset(card, engine="h5netcdf")
    # The climatology of 1970-1973 over 1974-1975, computed independently.
    np.testing.assert_allclose(
        scores["climatology_nse"][:, 0], [0.796, 0.172, 0.244], atol=6e-4
    )
