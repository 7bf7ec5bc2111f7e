"""The study of the fleet: its numbers follow from the simulated truth."""

import numpy as np

from tilth.studies.fluxmeter_army import closure, loop, sensors


def values(part):
    return {metric.name: metric for metric in part.metrics}


def test_a_short_run_of_the_firmware_loses_nothing_and_knows_where_all_is():
    found = values(loop.army(False, seed=3, devices=2, days=0.2))
    assert found["records the chambers generated"].value > 11_000
    for name in (
        "records lost",
        "completeness of this fleet",
        "boots of which the ledger has every record or knows where it is",
    ):
        assert found[name].holds, found[name]
    assert found["fluxes"].value >= 50


def test_the_links_are_down_as_often_as_those_of_the_published_fleet():
    plan = loop._outages(60, 40.0, seed=1)
    down = sum(e.t_to - e.t_from for e in plan.explicit) / (60 * 40 * 86_400_000)
    assert abs(down - (1 - loop.FLUXBOT)) < 0.02


def test_only_the_rule_on_medians_buys_what_the_longer_closure_promises():
    found = values(closure.dynamic_closure(False, seed=5))
    raw = found["standard error of those, fixed over raw rule"].value
    median = found["standard error of those, fixed over median rule"].value
    # Five minutes instead of three: (5/3)**1.5 = 2.15 at most.
    assert 1.0 < raw < 1.3
    assert 1.7 < median < 2.2
    assert all(metric.holds is not False for metric in found.values())


def test_two_numbers_explain_the_spread_of_calibrated_sensors():
    part = sensors.after_calibration(seed=2)
    found = values(part)
    near = found["sensors at 450 ppm after calibration, standard deviation"].value
    far = found["the same at 1800 ppm"].value
    # By hand: 15 ppm; sqrt(15**2 + (0.028 * 1380)**2) = 41 ppm; 85 sensors tell a
    # standard deviation to 8 %.
    np.testing.assert_allclose([near, far], [15.0, 41.5], rtol=0.25)
