import pytest

from tilth.chambers.budget import add_budget
from tilth.chambers.fits.flux import FluxSettings, fluxes
from tilth.chambers.quality.checklist import check_guidelines, read_checklist
from tilth.chambers.quality.filters import flag_closures
from tilth.chambers.simulate.fleet import Layout, simulate_fleet
from tilth.core.errors import InputError


@pytest.fixture(scope="module")
def night():
    fleet = simulate_fleet(Layout(days=0.1, start="2023-07-03 22:00"), seed=1)
    return flag_closures(fleet)


@pytest.fixture(scope="module")
def table(night):
    measured = add_budget(fluxes(night, settings=FluxSettings(dead_band=30)))
    return check_guidelines(
        night, measured, answers={"chamber_type": "closed dynamic", "vent": "none"}
    )


def test_what_the_data_tell_is_filled_in(table):
    value = table["value"]
    assert value["height"] == pytest.approx(0.165)
    assert value["closure_time"] == 180.0
    assert value["sampling_interval"] == 3.0
    assert value["points"] == 51
    assert value["dead_band"] == 30.0
    assert value["night"] == 1.0
    assert value["replicates"] == 4
    assert value["water_correction"] == "corrected point by point"
    assert "linear" in value["model"]
    assert 0 < value["temperature_rise"] < 1
    assert 0 < value["detection_limit"] < 0.5
    assert value["uncertainty"] == 1.0
    told = ["height", "closure_time", "points", "dead_band", "pressure", "replicates"]
    assert (table.loc[told, "status"] == "pass").all()
    assert (table.loc[told, "origin"] == "data").all()


def test_what_only_people_know_is_theirs_or_missing(table):
    assert table.loc["chamber_type", ["status", "origin"]].tolist() == ["pass", "user"]
    assert table.loc["vent", "value"] == "none"
    missing = table[table["status"] == "missing"]
    assert {"collar_depth", "calibration_date", "seal"} <= set(missing.index)
    assert (missing["origin"] == "").all()
    assert missing["value"].isna().all()


def test_values_beyond_their_limits_warn(night):
    day = simulate_fleet(Layout(days=0.1, start="2023-07-03 11:00", replicas=("A",)))
    table = check_guidelines(
        flag_closures(day), answers={"closure_time": 900, "transparency": "yes"}
    )
    for item in ("night", "replicates", "closure_time", "transparency"):
        assert table.loc[item, "status"] == "warn", item


def test_limits_themselves_pass(night):
    for seconds, status in ((120, "pass"), (300, "pass"), (119, "warn"), (301, "warn")):
        table = check_guidelines(answers={"closure_time": seconds})
        assert table.loc["closure_time", "status"] == status


def test_a_number_is_asked_for_where_there_are_limits():
    table = check_guidelines(answers={"closure_time": "three minutes"})
    assert table.loc["closure_time", "status"] == "warn"


def test_without_anything_everything_is_missing():
    table = check_guidelines()
    assert (table["status"] == "missing").all()
    assert len(table) > 20


def test_users_edit_limits_add_items_and_answer_in_their_own_file(tmp_path, night):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "- {item: closure_time, lowest: 60, highest: 170, source: our protocol}\n"
        "- {item: irrigation, what: watering in the 24 hours before, value: none}\n"
        "- {item: fan, value: 500 ms pulses}\n"
    )
    table = check_guidelines(night, limits=path)
    row = table.loc["closure_time"]
    assert (row["status"], row["source"], row["highest"]) == (
        "warn",
        "our protocol",
        170,
    )
    assert row["what"] == "time closed (median)"
    assert table.loc["irrigation", "status"] == "pass"
    assert table.loc["fan", ["value", "origin"]].tolist() == ["500 ms pulses", "user"]
    assert len(table) == len(check_guidelines(night)) + 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("closure_time: 3", "must be a list of items"),
        ("- [1, 2]", "must be a list of items"),
        ("- {item: x, what: y, limit: 3}", "x has limit; known are"),
        ("- {item: fan}\n- {item: fan}", "appears twice"),
        ("- {item: new}", "needs 'what'"),
        ("- {item: [", "not a YAML file"),
    ],
)
def test_a_file_that_is_no_checklist_is_refused(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        check_guidelines(limits=path)


def test_an_answer_to_no_question_is_refused():
    with pytest.raises(InputError, match="no item ventt on the checklist"):
        check_guidelines(answers={"ventt": "none"})


def test_every_limit_names_its_source_and_none_is_passed_off_as_a_guidelines():
    for name, item in read_checklist().items():
        if {"lowest", "highest", "allowed"} & set(item):
            if name == "water_correction":
                assert "LI-COR" in item["source"]
            assert item.get("source"), name
        assert "Maier" not in item.get("source", "")
        assert "Pavelka" not in item.get("source", "")
