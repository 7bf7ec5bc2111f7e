"""`tilth stomata experiment` as a user calls it: a table of leaves in, evidence out."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.cli import main
from tilth.stomata.evidence import excess_over_null
from tilth.stomata.learners import support_vectors
from tilth.stomata.made_up import made_up_leaves
from tilth.stomata.readers import read_gas_exchange

#: Our name -> that of an LI-6400.
NAMES = {
    "conductance": "Cond",
    "assimilation": "Photo",
    "deficit": "VpdL",
    "surface_co2": "CO2S",
    "light": "PARi",
    "leaf_temperature": "Tleaf",
    "air_temperature": "Tair",
    "boundary_conductance": "BLCond",
    "pressure": "Press",
    "day": "Date",
    "plant": "Tree",
}

#: What takes no time: support vectors, few shuffles.
FAST = ("--learner", "support-vectors", "--repeats", "3")


def run(*words):
    return main([str(word) for word in ("stomata", "experiment", *words)])


@pytest.fixture(scope="module")
def table():
    leaves = made_up_leaves(plants=4, days=6, per_day=16, seed=1)
    return leaves[[n for n in NAMES if n in leaves]].to_dataframe()[list(NAMES)]


@pytest.fixture
def write(table, tmp_path, monkeypatch):
    """Return a function that writes leaves with some changes into the folder."""
    monkeypatch.chdir(tmp_path)

    def to_csv(changes=None, without=()):
        changed = table.assign(**(changes or {})).drop(columns=list(without))
        changed.rename(columns=NAMES).to_csv("leaves.csv", index=False)
        return "leaves.csv"

    return to_csv


def test_an_experiment_leaves_scores_errors_ranks_effects_and_the_null(write, capsys):
    words = ("--draws", 3, "--refits", 3, "--seed", 2)
    assert run(write(), "--out", "found", *FAST, *words) == 0
    told = capsys.readouterr().out
    assert "R² out of fold, shuffled; 100 % of tested rows have their day" in told
    assert "R² out of fold, by day; 0 % of tested rows" in told
    assert "warning: tested rows have rows of their own day in training" in told
    assert "not measured: soil_water_potential" in told
    assert "3 null worlds" in told
    assert "Neither scores nor importance are evidence" in told
    scores = pd.read_csv("found/scores.csv")
    asked = scores.groupby(["split", "learner"])["experiment"].apply("".join)
    for split in ("shuffled", "by day", "by plant"):
        assert asked[split, "support vectors"] == "E1E2E3E4E5E6"
        assert asked[split, "Medlyn"] == "E1"
    errors = pd.read_csv("found/errors.csv")
    assert (errors.groupby(["learner", "experiment"])["n"].sum() == 96).all()
    ranks = pd.read_csv("found/importance.csv")
    assert set(ranks["of"]) == {"train", "held out", "groups"}
    effect = pd.read_csv("found/effect.csv")
    assert (effect["low"] <= effect["high"]).all()
    assert effect["temperature_difference"].is_monotonic_increasing
    leaves = read_gas_exchange("leaves.csv")
    expected = excess_over_null(
        leaves, {"support vectors": support_vectors()}, draws=3, split="by day", seed=2
    )
    null = pd.read_csv("found/null.csv")
    all_that_is_left, half = null["noise"]
    assert half == pytest.approx(all_that_is_left / 2)
    pd.testing.assert_frame_equal(null.drop(columns="noise")[:1], expected)
    assert null["null_mean"][1] > null["null_mean"][0]
    sensing = pd.read_csv("found/sensing.csv", keep_default_na=False)
    assert sensing["beside"].tolist() == ["", "light"]
    assert sensing["sensitivity"].between(sensing["low"], sensing["high"]).all()
    assert "with light beside" in told
    with xr.open_dataset("found/predictions.nc", engine="h5netcdf") as kept:
        one = kept["predicted"].sel(
            split="by day", learner="support vectors", experiment="E4"
        )
        error = one.values - kept["conductance"].values
        # Scores in the table are those of the predictions beside it.
        at = scores.set_index(["split", "learner", "experiment"])["rmse"].to_dict()
        assert np.sqrt(np.mean(error**2)) == pytest.approx(
            at["by day", "support vectors", "E4"], rel=1e-12
        )


def test_leaves_of_one_plant_are_told_and_judged_by_days(write, capsys):
    name = write({"plant": "5.10"})
    assert run(name, "--out", "found", *FAST, "--draws", 0) == 0
    told = capsys.readouterr().out
    assert (
        "all rows are of one plant (5.10): how well a new plant is predicted cannot be "
        "said" in told
    )
    assert "no null experiment: not asked for" in told
    assert set(pd.read_csv("found/scores.csv")["split"]) == {"shuffled", "by day"}


def test_rows_that_lack_a_feature_are_left_out_of_every_experiment(
    write, capsys, table
):
    light, warm = table["light"].copy(), table["leaf_temperature"].copy()
    light.iloc[:3] = -9999
    warm.iloc[2:7] = np.nan
    name = write({"light": light, "leaf_temperature": warm})
    assert run(name, "--out", "found", *FAST, "--draws", 0) == 0
    told = capsys.readouterr().out
    assert "7  left out, since a feature is missing: leaf_temperature in 5" in told
    assert "light in 3" in told
    with xr.open_dataset("found/predictions.nc", engine="h5netcdf") as kept:
        assert kept["observation"].values.tolist() == list(range(7, 96))


def test_without_a_boundary_layer_there_is_no_null_and_it_is_said(write, capsys):
    name = write(without=["boundary_conductance", "pressure"])
    assert run(name, "--out", "found", *FAST) == 0
    told = capsys.readouterr().out
    assert "no null experiment: the observations lack boundary_conductance" in told
    assert "Neither scores nor importance are evidence" in told


def test_the_noise_of_thermometers_can_be_said(write, capsys):
    words = ("--draws", 2, "--noise", 0.1, "--noise", 0)
    assert run(write(), "--out", "found", *FAST, *words) == 0
    assert "What of this is noise of thermometers is not known" in (
        capsys.readouterr().out
    )
    assert pd.read_csv("found/null.csv")["noise"].tolist() == [0.1, 0.0]


def test_errors_can_be_those_of_shuffled_rows(write, capsys):
    words = ("--split", "shuffled", "--draws", 0)
    assert run(write(), "--out", "found", *FAST, *words) == 0
    assert "K; out of fold, shuffled" in capsys.readouterr().out


def test_a_network_s_columns_are_tried_in_other_orders(write, capsys, monkeypatch):
    from tilth.stomata import learners

    monkeypatch.setattr(learners, "conv_net", lambda seed: support_vectors())
    words = ("--learner", "conv-net", "--repeats", 2, "--draws", 0)
    assert run(write(), "--out", "found", *words) == 0
    assert "in 5 orders" in capsys.readouterr().out
    scores = pd.read_csv("found/orders.csv")["r_squared"]
    # Support vectors do not see the order of columns.
    assert scores.to_numpy() == pytest.approx(scores[0], abs=1e-9)


@pytest.mark.parametrize(
    ("changes", "without", "words", "message"),
    [
        ({"plant": "a", "day": "x"}, (), (), "neither days nor plants, or one only"),
        ({}, ("day", "plant"), (), "neither days nor plants"),
        ({}, ("light",), (), "the observations lack light"),
        ({}, ("air_temperature",), (), "the observations lack temperature_difference"),
        ({"assimilation": 0.0}, (), (), "no observation is left"),
        ({}, (), ("--learner", "oracle"), "no learner oracle; there are forest"),
        ({}, (), ("--split", "by-species"), "no split 'by-species' of these rows"),
        ({}, (), ("--draws", 1), "--draws 1 says nothing of the spread"),
        ({}, (), ("--out", "no/such"), "the folder no does not exist"),
        ({}, (), ("--out", "leaves.csv"), "leaves.csv is a file: name a folder"),
    ],
)
def test_what_cannot_be_asked_is_one_clear_line_and_nothing_is_written(
    write, changes, without, words, message, capsys, tmp_path
):
    words = (*FAST, "--draws", 0, "--out", "found", *words)
    if "oracle" in words:
        words = words[2:]
    assert run(write(changes, without), *words) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["leaves.csv"]


def test_temperatures_that_are_the_same_column_are_refused(write, table, capsys):
    name = write({"leaf_temperature": table["air_temperature"]})
    assert run(name, "--out", "found", *FAST) == 2
    assert "are the same numbers in every row" in capsys.readouterr().err


@pytest.mark.realdata
def test_the_given_leaves_show_the_gain_and_how_days_leak(dataset, tmp_path):
    file = dataset("tumbarumba-spot") / "tumbarumba_spot.csv"
    words = (*FAST, "--draws", 0, "--split", "shuffled", "--out", tmp_path / "found")
    every = ("--ignore", "instrument", "--ignore", "no_uptake")
    assert run(file, *words, *every) == 0
    scores = pd.read_csv(tmp_path / "found" / "scores.csv")
    ours = scores[scores["learner"] == "support vectors"]
    ours = ours.pivot(index="split", columns="experiment", values="r_squared")
    reference = {"E1": 0.507, "E2": 0.586, "E3": 0.684, "E4": 0.759, "E5": 0.793}
    shuffled, by_day = ours.loc["shuffled"], ours.loc["by day"]
    for name, value in reference.items():
        assert shuffled[name] == pytest.approx(value, abs=0.02), name
    assert by_day["E4"] < shuffled["E4"] - 0.1
    assert by_day["E4"] - by_day["E2"] > 0.1
    errors = pd.read_csv(tmp_path / "found" / "errors.csv")
    coldest = errors[errors["high"] == -1.0].set_index(["learner", "experiment"])
    rmse = coldest["rmse"].to_dict()
    assert rmse["support vectors", "E4"] <= 0.5 * rmse["Medlyn", "E1"]
