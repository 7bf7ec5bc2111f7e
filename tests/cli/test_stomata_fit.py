"""`tilth stomata fit` as a user calls it: tables of leaves in, parameters out."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.cli import main

PRESSURE = 98.0


def run(*words):
    return main([str(word) for word in ("stomata", "fit", *words)])


def leaves(rows=40, g0=0.05, g1=3.0, seed=0):
    """Return leaves that follow Medlyn's closure exactly, as an LI-6400 names them."""
    rng = np.random.default_rng(seed)
    photo, co2 = rng.uniform(3, 18, rows), rng.uniform(350, 390, rows)
    deficit = rng.uniform(0.4, 2.5, rows)
    conductance = g0 + 1.6 * (1 + g1 / np.sqrt(deficit)) * photo / co2
    columns = {"Cond": conductance, "Photo": photo, "VpdL": deficit, "CO2S": co2}
    return pd.DataFrame({"Tree": "a", **columns})


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes leaves with some changes into the folder."""
    monkeypatch.chdir(tmp_path)

    def to_csv(table=None, name="leaves.csv", **changes):
        table = leaves() if table is None else table
        table.assign(**changes).to_csv(name, index=False)
        return name

    return to_csv


def parameters(path):
    table = pd.read_csv(path, dtype={"plant": str})
    return table.set_index("parameter")["value"]


def test_each_plant_has_its_own_parameters(write, capsys):
    both = pd.concat([leaves(), leaves(g0=0.02, g1=5.0, seed=1).assign(Tree="b")])
    assert run(write(both), "--by", "plant", "--out", "fits.csv") == 0
    told = capsys.readouterr().out
    assert "80 observations, 80 used" in told
    assert "2 fits: fits.csv" in told
    table = pd.read_csv("fits.csv").set_index(["plant", "parameter"])
    expected = {
        ("a", "g0"): 0.05,
        ("a", "g1"): 3.0,
        ("b", "g0"): 0.02,
        ("b", "g1"): 5.0,
    }
    for at, value in expected.items():
        assert table.loc[at, "value"] == pytest.approx(value, abs=1e-9), at
    assert (table["rows"] == 40).all()
    assert (table["rmse"] < 1e-12).all()


def test_rows_that_say_nothing_are_counted_and_change_nothing(write, capsys):
    table = leaves()
    bad = table.iloc[:6].copy()
    bad["Photo"] = [-1.0, 0.0, 5.0, 5.0, 5.0, 700.0]
    bad["VpdL"] = [1.0, 1.0, 0.01, 1.0, -9999.0, 1.0]
    bad["Cond"] = 0.9
    bad.loc[3, "Cond"] = -9999.0
    again = table.iloc[[7]]
    name = write(pd.concat([table, bad, again]), Qflag=1)
    with_bad = pd.read_csv(name)
    with_bad.loc[0, ["Qflag", "Cond"]] = 0, 2.5
    with_bad.to_csv(name, index=False)
    assert run(name, "--out", "out") == 0
    told = capsys.readouterr().out
    assert "47 observations, 39 used" in told
    counts = {"missing": 2, "implausible": 1, "no_uptake": 2, "small_deficit": 1}
    for meaning, count in {**counts, "duplicate": 1, "instrument": 1}.items():
        assert f"{count:>10}  {meaning}: " in told, meaning
    found = parameters("out/parameters.csv")
    assert found.to_dict() == pytest.approx({"g0": 0.05, "g1": 3.0}, abs=1e-9)
    with xr.open_dataset("out/observations.nc", engine="h5netcdf") as kept:
        assert kept.sizes["observation"] == 47
        fitted = kept["fitted_conductance"].values
        used = kept["conductance_flag"].values == 0
        assert (np.isfinite(fitted) == used).all()
        assert fitted[used] == pytest.approx(kept["conductance"].values[used])


def test_a_flag_can_be_ignored_and_it_is_told(write, capsys):
    name = write(Qflag=[0] * 3 + [1] * 37)
    assert run(name, "--ignore", "instrument") == 0
    told = capsys.readouterr().out
    assert "40 observations, 40 used" in told
    assert "(used all the same)" in told


def test_a_fixed_intercept_is_named_as_such(write, capsys):
    assert run(write(), "--g0", "0.05", "--out", "fits.csv") == 0
    assert "fixed" in capsys.readouterr().out
    assert parameters("fits.csv")["g1"] == pytest.approx(3.0, abs=1e-9)


def test_a_deficit_in_mol_per_mol_is_refused_without_units_and_read_with_them(
    write, capsys
):
    table = leaves()
    name = write(table, VpdL=table["VpdL"] / PRESSURE, Press=PRESSURE)
    assert run(name, "--out", "fits.csv") == 2
    told = capsys.readouterr().err
    assert "looks like mol mol-1; name its units, and give the pressure" in told
    with open("map.yaml", "w") as file:
        file.write("deficit: {variable: VpdL, units: mol mol-1}\n")
    assert run(name, "--columns", "map.yaml", "--out", "fits.csv") == 0
    found = parameters("fits.csv")
    assert found.to_dict() == pytest.approx({"g0": 0.05, "g1": 3.0}, abs=1e-9)


def test_any_table_is_read_by_a_map_with_units(write):
    names = {"Cond": "gs", "Photo": "An", "VpdL": "D", "CO2S": "Cs", "Tree": "Baum"}
    table = leaves().rename(columns=names)
    name = write(table, gs=table["gs"] * 1e3, D=table["D"] * 10)
    with open("map.yaml", "w") as file:
        file.write(
            "conductance: {variable: gs, units: mmol m-2 s-1}\n"
            "assimilation: An\n"
            "deficit: {variable: D, units: hPa}\n"
            "surface_co2: {variable: Cs}\n"
            "plant: Baum\n"
        )
    words = ("--columns", "map.yaml", "--by", "plant", "--out", "fits.csv")
    assert run(name, *words) == 0
    found = parameters("fits.csv")
    assert found.to_dict() == pytest.approx({"g0": 0.05, "g1": 3.0}, abs=1e-9)


def test_a_group_too_small_is_left_out_with_its_reason(write, capsys):
    both = pd.concat([leaves(), leaves(rows=2, seed=1).assign(Tree="b")])
    assert run(write(both), "--by", "plant", "--out", "fits.csv") == 0
    assert "b is left out: 2 observations for 2 parameters" in capsys.readouterr().err
    assert set(pd.read_csv("fits.csv")["plant"]) == {"a"}


def test_all_groups_too_small_are_an_error(write, capsys):
    name = write(leaves(rows=4), Tree=["a", "a", "b", "b"])
    assert run(name, "--by", "plant") == 2
    assert "none of 2 groups could be fitted" in capsys.readouterr().err


def test_leuning_and_ball_berry_find_what_made_the_leaves(write):
    table = leaves()
    humid = np.linspace(0.4, 0.9, len(table))
    berry = 0.04 + 8.0 * table["Photo"] * humid / table["CO2S"]
    name = write(table, Cond=berry, hs=humid)
    with open("map.yaml", "w") as file:
        file.write("surface_humidity: hs\n")
    words = ("--columns", "map.yaml", "--closure", "ball_berry", "--out", "fits.csv")
    assert run(name, *words) == 0
    found = parameters("fits.csv")
    assert found.to_dict() == pytest.approx({"g0": 0.04, "g1": 8.0}, abs=1e-9)
    share = table["Photo"] / (table["CO2S"] - 40.0)
    leuning = 0.03 + 7.0 * share / (1 + table["VpdL"] / 1.5)
    name = write(table, Cond=leuning)
    words = ("--closure", "leuning", "--compensation", 40, "--out", "fits.csv")
    assert run(name, *words) == 0
    expected = {"g0": 0.03, "a1": 7.0, "D0": 1.5}
    assert parameters("fits.csv").to_dict() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "words", "message"),
    [
        ({}, ("--closure", "medlin"), "no closure 'medlin'; there are medlyn"),
        ({}, ("--closure", "ball_berry"), "needs the humidity at the leaf surface"),
        ({}, ("--closure", "leuning", "--g0", "0"), "--g0 is for medlyn and"),
        ({}, ("--by", "species"), "the rows have no species; they have plant"),
        ({}, ("--ignore", "instument"), "no flag 'instument'"),
        ({}, ("--columns", "none.yaml"), "there is no none.yaml"),
        ({}, ("--columns", "list.yaml"), "must hold lines 'quantity: column'"),
        ({}, ("--columns", "odd.yaml"), "light is a column, or {variable: a column"),
        ({}, ("--columns", "torn.yaml"), "torn.yaml is not a YAML file"),
        ({}, ("--encoding", "utf-9"), "unknown encoding: utf-9"),
        ({"CO2S": np.linspace(4e-4, 5e-4, 40)}, (), "surface_co2 is beyond 20 to 3000"),
        ({"Photo": -1.0}, (), "no observation is left"),
        ({"VpdL": 0.02}, (), "looks like mol mol-1"),
        ({"Cond": "open"}, (), "the column Cond holds no number"),
        ({"Photo": leaves()["VpdL"]}, (), "are the same numbers in every row"),
    ],
)
def test_what_cannot_be_fitted_is_one_clear_line(
    write, changes, words, message, capsys
):
    for name, text in (("list", "- a"), ("odd", "light: [a, b]"), ("torn", "a: [")):
        with open(f"{name}.yaml", "w") as file:
            file.write(text + "\n")
    assert run(write(**changes), *words, "--out", "fits.csv") == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    with pytest.raises(FileNotFoundError):
        pd.read_csv("fits.csv")


@pytest.mark.realdata
def test_the_given_leaves_have_their_parameters(dataset, tmp_path):
    # All 376 rows, as the reference was computed.
    file = dataset("tumbarumba-spot") / "tumbarumba_spot.csv"
    every = ("--ignore", "instrument", "--ignore", "no_uptake")
    assert run(file, *every, "--out", tmp_path / "fits.csv") == 0
    found = parameters(tmp_path / "fits.csv")
    assert found.to_dict() == pytest.approx({"g0": 0.09098, "g1": 2.1798}, abs=1e-3)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("closure", "expected"),
    [("medlyn", (0.1035, 0.9325)), ("ball_berry", (0.1033, 3.9951))],
)
def test_light_curves_have_the_parameters_of_photogea(
    closure, expected, dataset, tmp_path
):
    file = dataset("photogea-ball-berry") / "photogea_ball_berry_1.xlsx"
    words = ("--by", "species,curve", "--closure", closure)
    assert run(file, *words, "--out", tmp_path / "fits.csv") == 0
    table = pd.read_csv(tmp_path / "fits.csv")
    one = table[(table["species"] == "soybean") & (table["curve"] == "1a")]
    assert one["value"].to_numpy() == pytest.approx(expected, abs=1e-4)
    assert len(table) == 8
