"""tilth forcing downscale: training, transfer, refusals and the record of the split."""

import re

import numpy as np
import pytest
from typer.testing import CliRunner

from tilth.core.errors import InputError
from tilth.core.files import read_netcdf, write_netcdf
from tilth.forcing.patterns.downscaling import PatternDownscaling
from tilth.forcing.patterns.seasons import season_labels
from tilth.forcing.patterns.simulated import simulated_weather
from tilth.forcing.patterns.transfer import Transfer
from tilth.forcing.split import check_not_trained_on


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weather")
    coarse, local = simulated_weather(winters=8, places=4)
    gcm, _ = simulated_weather(winters=8, places=4, free_running=True)
    for name, field in (("coarse", coarse), ("local", local), ("gcm", gcm)):
        write_netcdf(field.to_dataset(name="pr"), folder / f"{name}.nc")
    return folder, coarse, local


def run(*words):
    from tilth.cli.forcing import app

    return CliRunner().invoke(app, ["downscale", *map(str, words)])


def words(folder, out="out.nc", coarse="coarse.nc"):
    return [
        folder / coarse, "--observed", folder / "local.nc", "--out", folder / out,
        "--train", "1983:1988",
    ]  # fmt: skip


def test_the_years_not_learnt_from_are_written_as_the_library_gives_them(files):
    folder, coarse, local = files
    done = run(*words(folder))
    assert done.exit_code == 0, done.output
    assert "180 times of 4 targets, learnt from up to 540 times" in done.output
    found = read_netcdf(folder / "out.nc")
    check_not_trained_on(found)
    assert found.attrs["split_years"] == "1983:1988"
    early = season_labels(local.time) <= 1988
    model = PatternDownscaling().fit(coarse[early], local[early])
    expected = model.predict(coarse[~early])
    for name in ("conditional", "corrected"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6)


def test_years_asked_for_are_written_and_say_that_they_were_learnt_from(files):
    folder, *_ = files
    done = run(*words(folder, "early.nc"), "--apply", "1985:1986", "--window", "1")
    assert done.exit_code == 0, done.output
    found = read_netcdf(folder / "early.nc")
    assert set(season_labels(found.time)) == {1985, 1986}
    with pytest.raises(InputError, match="180 of 180 times were learnt from"):
        check_not_trained_on(found)


def test_a_free_running_model_is_refused_and_its_transfer_is_not(files):
    folder, coarse, local = files
    done = run(*words(folder, "no.nc", "gcm.nc"))
    assert isinstance(done.exception, InputError)
    assert "does not follow the weather" in str(done.exception)
    assert not (folder / "no.nc").exists()
    done = run(*words(folder, "gcm_local.nc"), "--model", folder / "gcm.nc")
    assert done.exit_code == 0, done.output
    found = read_netcdf(folder / "gcm_local.nc")
    assert found.sizes["time"] == 720
    gcm = simulated_weather(winters=8, places=4, free_running=True).coarse
    early = season_labels(local.time) <= 1988
    bridge = Transfer.fit(gcm[early], coarse[early])
    model = PatternDownscaling().fit(coarse[early], local[early])
    expected = model.predict(bridge.apply(gcm))
    np.testing.assert_allclose(found["corrected"], expected["corrected"], atol=1e-6)


def test_what_was_learnt_is_saved_and_applied_later(files):
    folder, *_ = files
    saved = folder / "fitted.nc"
    assert run(*words(folder, "first.nc"), "--save", saved).exit_code == 0
    done = run(folder / "coarse.nc", "--fitted", saved, "--out", folder / "later.nc")
    assert done.exit_code == 0, done.output
    first, later = (read_netcdf(folder / name) for name in ("first.nc", "later.nc"))
    check_not_trained_on(later)
    assert later.attrs["split_training"] == first.attrs["split_training"]
    np.testing.assert_array_equal(later["corrected"], first["corrected"])
    np.testing.assert_array_equal(later.time, first.time)
    # A model is mapped over years that must be named; then it is as in one call.
    gcm = ("--model", folder / "gcm.nc", "--out", folder / "gcm_later.nc")
    done = run(folder / "coarse.nc", "--fitted", saved, *gcm)
    assert "--model is mapped over the years of --train" in str(done.exception)
    done = run(folder / "coarse.nc", "--fitted", saved, *gcm, "--train", "1983:1988")
    assert done.exit_code == 0, done.output
    one = run(*words(folder, "gcm_once.nc"), "--model", folder / "gcm.nc")
    assert one.exit_code == 0, one.output
    np.testing.assert_array_equal(
        read_netcdf(folder / "gcm_later.nc")["corrected"],
        read_netcdf(folder / "gcm_once.nc")["corrected"],
    )


def test_what_learning_and_applying_need_is_asked_for(files):
    folder, *_ = files
    base = (folder / "coarse.nc", "--out", folder / "bad.nc")
    done = run(*base, "--observed", folder / "local.nc")
    assert "learning needs --observed and --train" in str(done.exception)
    done = run(*words(folder, "bad.nc"), "--fitted", folder / "local.nc")
    assert "leave out --observed and --save" in str(done.exception)
    done = run(*base, "--fitted", folder / "local.nc")
    assert "holds no fitted pattern" in str(done.exception)
    done = run(*base, "--observed", folder / "local.nc", "--train", "1900:1910")
    assert "pr has no season or year of 1900:1910; it has 1983" in str(done.exception)
    assert not (folder / "bad.nc").exists()


@pytest.mark.realdata
def test_the_defective_climate_model_and_a_free_one_are_refused(dataset, tmp_path):
    folder, winters = dataset("ahccd-canesm2"), dataset("iberia-winters")
    out = tmp_path / "out.nc"
    for coarse, local, train, said in (
        (
            folder / "CanESM2_1950-2100.nc", folder / "ahccd_1950-2013.nc",
            "1950:1981", r"Vancouver = Amos.*the other convention",
        ),
        (
            winters / "CMIP5_Iberia_pr.nc", winters / "VALUE_Iberia_pr.nc",
            "1983:1988", "does not follow the weather.*free-running model",
        ),
    ):  # fmt: skip
        done = run(coarse, "--observed", local, "--train", train, "--out", out)
        assert isinstance(done.exception, InputError)
        assert re.search(said, str(done.exception))
        assert not out.exists()


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (["--learner", "magic"], "--learner is one of ridge, nystroem, svr, forest"),
        (["--window", "wide"], "--window is all or a number of cells"),
        (["--extra", "psl"], "0 of the files have psl"),
        (["--apply", "2001"], "pr has no season or year of 2001:2001"),
        (["--variable", "tas"], "0 of the files have tas"),
        (["--transform", "log"], "no transform 'log'"),
    ],
)
def test_options_that_do_not_fit_are_explained(files, extra, said):
    done = run(*words(files[0], "bad.nc"), *extra)
    assert isinstance(done.exception, InputError), done.output
    assert said in str(done.exception)
    assert not (files[0] / "bad.nc").exists()
