"""Rules are data: the built-in list is sound, and a file of the user changes it."""

import pytest

from tilth.core.errors import InputError
from tilth.fleet.alarms.rules import (
    SEVERITIES,
    Rule,
    built_in_rules,
    describe,
    milliseconds,
    read_rules,
)


def test_every_built_in_rule_says_what_it_means_and_what_to_do():
    rules = built_in_rules()
    assert len(rules) >= 30
    for rule in rules.values():
        assert rule.about.endswith(".")
        assert rule.action.endswith(".")
        assert rule.severity in SEVERITIES


def test_the_built_in_limits_are_those_of_the_operators_list():
    rules = built_in_rules()
    assert rules["device_silent"].above == 120
    assert rules["device_lost"].above == 15 * 60
    assert rules["clock_offset"].above == 2
    assert rules["reboots"].above == 6
    assert (
        rules["temperature_difference"].below,
        rules["temperature_difference"].above,
    ) == (0.5, 4)
    assert rules["pressure_spread"].above == 1


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("15 min", 900_000),
        ("12h", 43_200_000),
        ("1.5 s", 1500),
        (0, 0),
        ("250 ms", 250),
    ],
)
def test_durations_have_units(text, ms):
    assert milliseconds(text) == ms


@pytest.mark.parametrize("text", ["15", 15, "soon", "-3 s", "3 weeks", None])
def test_a_duration_without_a_unit_is_refused(text):
    with pytest.raises(InputError, match="no duration"):
        milliseconds(text)


def written(tmp_path, text):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    return path


def test_a_file_changes_only_what_it_mentions(tmp_path):
    path = written(tmp_path, "- {name: device_silent, above: 300, for: 30 s}\n")
    changed, usual = (
        read_rules(path)["device_silent"],
        built_in_rules()["device_silent"],
    )
    assert (changed.above, changed.hold_ms) == (300, 30_000)
    assert changed.summary == usual.summary
    assert changed.inhibited_by == usual.inhibited_by


def test_a_new_limit_leaves_no_old_hysteresis_behind(tmp_path):
    path = written(tmp_path, "- {name: device_silent, above: 30}\n")
    assert read_rules(path)["device_silent"].clear_above is None


def test_a_rule_can_be_switched_off_and_another_added(tmp_path):
    path = written(
        tmp_path,
        """
- {name: calibration_old, enabled: false}
- name: hot
  fact: air_c
  summary: "{place} is at {value:.1f} degC"
  above: 40
  group: fleet
""",
    )
    rules = read_rules(path)
    assert "calibration_old" not in rules
    assert rules["hot"].exceeds(41)
    assert len(rules) == len(built_in_rules())


def test_a_rule_others_name_can_be_switched_off(tmp_path):
    path = written(tmp_path, "- {name: device_lost, enabled: false}\n")
    assert "device_lost" not in read_rules(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x", "are a list"),
        ("- 3", "no mapping with a name"),
        ("- {name: Hot}", "lower-case word"),
        ("- {name: hot, above: 3}", "needs fact, summary"),
        ("- {name: device_silent, abov: 3}", "no key abov"),
        ("- {name: device_silent, above: much}", "above is a number"),
        ("- {name: device_silent, above: true}", "above is a number"),
        ("- {name: device_silent, for: 3}", "no duration"),
        ("- {name: device_silent, above: 10, clear_above: 20}", "quiet side"),
        ("- {name: device_silent, severity: red}", "severity is"),
        ("- {name: device_silent, no_data: maybe}", "no_data is"),
        ("- {name: device_silent, group: pot}", "group is"),
        ("- {name: device_silent, summary: '{who}'}", "summary"),
        ("- {name: device_silent, inhibited_by: [nothing]}", "which is no rule"),
        ("- {name: reboots}\n- {name: reboots}", "twice"),
        ("- {name: hot, fact: x, summary: y}", "above or below"),
        ("- [", "no YAML"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_reason(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_rules(written(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_rules(tmp_path / "none.yaml")


def test_an_empty_file_changes_nothing(tmp_path):
    assert read_rules(written(tmp_path, "")) == built_in_rules()


def test_a_summary_bears_an_unknown_value():
    rule = Rule(
        "hot", "air", "{place} ({subject}): {value:.1f} > {threshold}", above=40
    )
    assert describe(rule, "dev", "5.10.A", 41.25, "") == "5.10.A (dev): 41.2 > 40"
    assert describe(rule, "dev", "", None, "") == "nowhere (dev): unknown > 40"
