"""`tilth chambers` as a user calls it: files in, tables and pages out."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.chambers.simulate.fleet import simulate_closures
from tilth.cli import main


@pytest.fixture
def stored(tmp_path):
    """Write ten simulated closures as a closures dataset."""
    closures = simulate_closures(10, 61, flux=1.0, k=0.003, noise=1.0, seed=1)
    path = tmp_path / "closures.nc"
    closures.to_netcdf(path, engine="h5netcdf")
    return path


def run(*words):
    return main([str(word) for word in words])


@pytest.mark.parametrize("suffix", [".csv", ".nc", ".parquet"])
def test_fluxes_go_from_a_file_to_a_file_of_the_format_asked_for(
    stored, tmp_path, capsys, suffix
):
    out = tmp_path / f"fluxes{suffix}"
    code = run("chambers", "flux", stored, "--out", out, "--dead-band", "20")
    assert code == 0
    assert "10 closures, 10 fluxes" in capsys.readouterr().out
    if suffix == ".csv":
        flux = pd.read_csv(out)["flux"]
    elif suffix == ".parquet":
        flux = pd.read_parquet(out)["flux"]
    else:
        flux = xr.open_dataset(out, engine="h5netcdf")["flux"].to_series()
    assert flux.mean() == pytest.approx(1.0, abs=0.15)


def test_a_geometry_file_replaces_what_the_closures_say(stored, tmp_path):
    doubled = tmp_path / "g.yaml"
    doubled.write_text("area: 0.0314 m2\nvolume: 10.362 L\n")
    for name, extra in (("a", ()), ("b", ("--geometry", doubled))):
        run("chambers", "flux", stored, "--out", tmp_path / f"{name}.csv", *extra)
    a, b = (pd.read_csv(tmp_path / f"{n}.csv")["flux"] for n in "ab")
    np.testing.assert_allclose(b / a, 2.0, rtol=1e-9)


def test_several_files_keep_their_closures_apart(stored, tmp_path):
    other = tmp_path / "other.nc"
    other.write_bytes(stored.read_bytes())
    out = tmp_path / "all.csv"
    assert run("chambers", "flux", stored, other, "--out", out) == 0
    table = pd.read_csv(out)
    assert len(table) == table["closure"].nunique() == 20
    assert set(table["file"]) == {"closures.nc", "other.nc"}


def test_an_error_in_the_second_file_writes_nothing(stored, tmp_path, capsys):
    broken = tmp_path / "broken.81x"
    broken.write_text("this is no instrument's file\n")
    out = tmp_path / "all.csv"
    assert run("chambers", "flux", stored, broken, "--out", out) == 2
    assert not out.exists()
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "needle"),
    [
        (["--gas", "n2o"], "n2o"),
        (["--dead-band", "soon"], "seconds or 'auto'"),
        (["--select", "best"], "neither a rule"),
        (["--geometry", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_a_mistaken_option_is_one_line_and_exit_code_two(
    stored, tmp_path, capsys, words, needle
):
    out = tmp_path / "f.csv"
    assert run("chambers", "flux", stored, "--out", out, *words) == 2
    error = capsys.readouterr().err.strip()
    assert needle in error
    assert "\n" not in error
    assert not out.exists()


def test_closures_of_a_pot_share_their_curvature_when_asked(tmp_path):
    closures = simulate_closures(60, 61, flux=1.0, k=0.003, noise=1.0, seed=1)
    closures = closures.assign_coords(
        pot=("closure", np.array(["5.10.A"] * 60, dtype=object)),
        time=("closure", pd.date_range("2023-07-03", periods=60, freq="10min")),
    )
    closures.to_netcdf(tmp_path / "c.nc", engine="h5netcdf")
    out = tmp_path / "f.csv"
    assert (
        run("chambers", "flux", tmp_path / "c.nc", "--pool", "pot", "--out", out) == 0
    )
    table = pd.read_csv(out)
    assert set(table["model"]) == {"pooled"}
    assert table["flux"].mean() == pytest.approx(1.0, abs=0.05)


def test_a_table_is_read_by_its_column_map(tmp_path):
    t = np.arange(0, 180, 3.0)
    rows = [
        pd.DataFrame(
            {"id": name, "s": t, "ppm": 420 + slope * t, "P": 972.0, "T": 20.0}
        )
        for name, slope in (("5.10", 0.1), ("5.1", 0.2))
    ]
    pd.concat(rows).to_csv(tmp_path / "raw.csv", index=False)
    (tmp_path / "map.yaml").write_text(
        "columns:\n"
        "  id: {variable: closure}\n"
        "  s: {variable: elapsed, units: s}\n"
        "  ppm: {variable: co2, units: ppm, basis: dry}\n"
        "  P: {variable: pressure, units: hPa}\n"
        "  T: {variable: temperature, units: degC}\n"
    )
    (tmp_path / "g.yaml").write_text("area: 500 cm2\nvolume: 8.25 L\n")
    out = tmp_path / "f.csv"
    code = run(
        "chambers", "flux", tmp_path / "raw.csv", "--columns", tmp_path / "map.yaml",
        "--geometry", tmp_path / "g.yaml", "--out", out,
    )  # fmt: skip
    assert code == 0
    table = pd.read_csv(out, dtype={"closure": str})
    assert table["closure"].tolist() == ["5.10", "5.1"]
    assert table["flux"][1] / table["flux"][0] == pytest.approx(2.0, rel=1e-6)


def test_air_that_the_file_does_not_tell_is_given_with_its_units(
    tmp_path, stored, capsys
):
    bare = xr.open_dataset(stored, engine="h5netcdf").load()
    bare = bare.drop_vars(["pressure", "temperature"])
    bare.to_netcdf(tmp_path / "bare.nc", engine="h5netcdf")
    out = tmp_path / "f.csv"
    words = ("chambers", "flux", tmp_path / "bare.nc", "--out", out)
    assert run(*words) == 2
    assert "pressure" in capsys.readouterr().err
    assert run(*words, "--pressure", "972", "--temperature", "20 degC") == 2
    assert "number with units" in capsys.readouterr().err
    assert run(*words, "--pressure", "972 hPa", "--temperature", "20 degC") == 0
    whole = tmp_path / "whole.csv"
    run("chambers", "flux", stored, "--out", whole, "--pressure", "500 hPa")
    # What the file tells is not overruled.
    np.testing.assert_allclose(
        pd.read_csv(out)["flux"], pd.read_csv(whole)["flux"], rtol=1e-9
    )


def test_a_gas_by_mass_gives_a_flux_by_mass(tmp_path):
    hours = [0, 1 / 3, 2 / 3, 1]
    rows = pd.DataFrame(
        {"id": "a", "h": hours, "N2O": [320.0, 341, 352, 359], "V": 0.3, "A": 1.0}
    )
    rows.to_csv(tmp_path / "gc.csv", index=False)
    (tmp_path / "map.yaml").write_text(
        "columns:\n"
        "  id: {variable: closure}\n"
        "  h: {variable: elapsed, units: h}\n"
        "  N2O: {variable: n2o, units: mg m-3}\n"
        "  V: {variable: volume, units: m3}\n"
        "  A: {variable: area, units: m2}\n"
    )
    out = tmp_path / "f.csv"
    code = run(
        "chambers", "flux", tmp_path / "gc.csv", "--columns", tmp_path / "map.yaml",
        "--gas", "n2o", "--out", out,
    )  # fmt: skip
    assert code == 0
    assert 3600 * pd.read_csv(out)["flux_linear"][0] == pytest.approx(11.52)


def test_a_cluster_gives_the_same_fluxes_to_the_last_bit(stored, tmp_path):
    distributed = pytest.importorskip("distributed")
    alone, spread = tmp_path / "a.csv", tmp_path / "b.csv"
    assert run("chambers", "flux", stored, "--out", alone) == 0
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        address = cluster.scheduler_address
        words = ("chambers", "flux", stored, "--out", spread, "--scheduler", address)
        assert run(*words) == 0
    assert alone.read_text() == spread.read_text()


def test_a_table_without_its_map_says_what_is_needed(tmp_path, capsys):
    (tmp_path / "raw.csv").write_text("a,b\n1,2\n")
    out = tmp_path / "f.csv"
    assert run("chambers", "flux", tmp_path / "raw.csv", "--out", out) == 2
    assert "--columns" in capsys.readouterr().err


def test_every_closure_gets_its_page(stored, tmp_path, capsys):
    out = tmp_path / "pages.pdf"
    assert run("chambers", "plot", stored, "--out", out) == 0
    assert b"/Count 10" in out.read_bytes()
    assert "10 pages" in capsys.readouterr().out


def fleet_table(path, ratio=1.5, pots=4, seed=0):
    """Write hourly fluxes of a control and a treatment over ten nights."""
    rng = np.random.default_rng(seed)
    rows = []
    for night in range(10):
        for hour in range(8):
            level = np.exp(0.3 * np.sin(night) + 0.1 * hour)
            for variant, factor in (("5.0", 1.0), ("5.10", ratio)):
                for pot in range(pots):
                    rows.append(
                        {
                            "time": pd.Timestamp("2023-07-03T20:00")
                            + pd.Timedelta(days=night, hours=hour),
                            "variant": variant,
                            "pot": f"{variant}.{'ABCD'[pot]}",
                            "flux": level * factor * np.exp(rng.normal(0, 0.1)),
                        }
                    )
    pd.DataFrame(rows).to_csv(path, index=False)


def test_paired_effects_find_the_ratio_and_keep_identifiers_as_text(tmp_path, capsys):
    fleet_table(tmp_path / "f.csv")
    out = tmp_path / "effects.csv"
    assert run("chambers", "effects", tmp_path / "f.csv", "--out", out) == 0
    table = pd.read_csv(out, dtype={"variant": str, "control": str})
    assert table["variant"].tolist() == ["5.10"]
    assert table["ratio"][0] == pytest.approx(1.5, rel=0.05)
    assert table["lower"][0] < 1.5 < table["upper"][0]
    assert "5.10" in capsys.readouterr().out


def test_columns_of_other_names_are_taken_beside_the_usual_ones(tmp_path, capsys):
    fleet_table(tmp_path / "f.csv")
    table = pd.read_csv(tmp_path / "f.csv", dtype=str)
    table = table.rename(columns={"variant": "arm"})
    table["flux_linear"], table["flux"] = table["flux"], "1.0"
    table.to_csv(tmp_path / "g.csv", index=False)
    out = tmp_path / "effects.csv"
    words = ("--value", "flux_linear", "--variant", "arm", "--out", out)
    assert run("chambers", "effects", tmp_path / "g.csv", *words) == 0
    assert pd.read_csv(out)["ratio"][0] == pytest.approx(1.5, rel=0.05)


@pytest.mark.parametrize("method", ["pots", "mixed"])
def test_the_other_methods_need_the_control_by_name(tmp_path, capsys, method):
    fleet_table(tmp_path / "f.csv")
    words = ("chambers", "effects", tmp_path / "f.csv", "--method", method)
    assert run(*words) == 2
    assert "--control" in capsys.readouterr().err
    assert run(*words, "--control", "5.0") == 0
    assert "5.10" in capsys.readouterr().out


def test_agreement_is_judged_in_words(tmp_path, capsys):
    rng = np.random.default_rng(0)
    reference = rng.uniform(0.5, 3.0, 200)
    good = reference * np.exp(rng.normal(0, 0.05, 200))
    pd.DataFrame(
        {"ours": good, "noise": rng.uniform(0.5, 3, 200), "ref": reference}
    ).to_csv(tmp_path / "pairs.csv", index=False)
    words = (
        "chambers",
        "compare",
        tmp_path / "pairs.csv",
        "--reference",
        "ref",
        "--ours",
    )
    assert run(*words, "ours") == 0
    assert "poor" not in capsys.readouterr().out
    assert run(*words, "noise") == 0
    assert "poor agreement" in capsys.readouterr().out
    assert run(*words, "absent") == 2


def test_the_checklist_names_what_is_missing(stored, capsys):
    assert run("chambers", "checklist", stored) == 0
    text = capsys.readouterr().out
    assert "missing" in text
    assert "pass" in text


@pytest.mark.realdata
def test_firmware_fluxes_come_out_of_a_real_file_at_the_command_line(dataset, tmp_path):
    out = tmp_path / "f.nc"
    code = run(
        "chambers", "flux", dataset("licor-examples") / "rowNumber.81x.gz",
        "--gas-constant", "8.314", "--out", out,
    )  # fmt: skip
    assert code == 0
    fluxes = xr.open_dataset(out, engine="h5netcdf")
    reference = pd.read_csv(
        dataset("licor-examples") / "licor_81x_footers_and_refit.csv"
    )
    worst = np.abs(fluxes["flux_linear"].values - reference["Lin_Flux"]).max()
    assert worst <= 0.0051
