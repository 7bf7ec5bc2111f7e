"""Real hindcasts of the Madden-Julian index, with the numbers of other programs.

GEOS-V2p1, 510 starts of 1999-2015, four members, against the observed index. The
reference numbers were computed with properscoring and scoringrules, which agree to five
digits, by the same steps: valid day = start + (L - 0.5) days, bias of the ensemble mean
removed per lead time leaving the year out, climatology of the starts of other years.
"""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.stats.scores import crps_both, rank_flatness, rank_histogram, skill_score

pytestmark = pytest.mark.realdata

#: Day of lead -> CRPS, fair CRPS, that of the climatology, CRPSS, fair CRPSS, and the
#: correlation of the ensemble mean with its bias left in.
REFERENCE = {
    1: (0.17389, 0.16980, 0.62087, 0.7199, 0.7265, 0.9782),
    7: (0.36204, 0.34586, 0.61472, 0.4111, 0.4374, 0.9152),
    14: (0.46933, 0.42114, 0.62419, 0.2481, 0.3253, 0.8110),
    21: (0.58484, 0.50636, 0.61642, 0.0512, 0.1785, 0.6461),
    28: (0.66560, 0.57355, 0.61998, -0.0736, 0.0749, 0.4791),
    35: (0.70896, 0.59778, 0.62508, -0.1342, 0.0437, 0.3931),
    42: (0.75848, 0.63651, 0.62045, -0.2225, -0.0259, 0.3115),
}

HISTOGRAMS = {
    1: [224, 24, 13, 19, 230],
    7: [202, 22, 32, 32, 222],
    14: [158, 67, 54, 69, 162],
    21: [134, 85, 74, 81, 136],
    28: [140, 77, 79, 80, 134],
    42: [126, 92, 80, 94, 118],
}


@pytest.fixture
def hindcasts(dataset):
    """Return hindcasts and observations along start, lead and member."""
    folder = dataset("rmm1-hindcasts")
    model = xr.open_dataset(folder / "GMAO-GEOS-V2p1.RMM1.nc", decode_times=False)
    name = "RMM1.observed.interannual.1974-06.2017-07.nc"
    seen = xr.open_dataset(folder / name, decode_times=False)
    days = pd.to_timedelta(model["S"].values.astype(float), unit="D")
    start = pd.Timestamp("1960-01-01") + days
    day = pd.Timestamp("1974-06-03") + pd.to_timedelta(seen["time"].values, unit="D")
    # The days of the satellites' gap in 1978 have no date and no value.
    series = pd.Series(seen["rmm1"].values, day)[day.notna()]
    leads = (model["L"].values + 0.5).astype(int)
    valid = [series.reindex(start + pd.Timedelta(days=k - 1)).values for k in leads]
    ensemble = model["RMM1"].astype(float).rename(S="start", L="lead", M="member")
    ensemble = ensemble.assign_coords(start=start, lead=leads)
    observed = xr.DataArray(
        np.stack(valid, axis=1),
        dims=("start", "lead"),
        coords={"start": start, "lead": leads},
    )
    assert np.isfinite(observed).all()
    return ensemble, observed


def without_bias(ensemble, observed):
    """Take from each year the bias of the others, per lead."""
    error = ensemble.mean("member") - observed
    year = error["start"].dt.year
    biases = [error.where(year != y, drop=True).mean("start") for y in np.unique(year)]
    each = xr.concat(biases, dim=xr.IndexVariable("year", np.unique(year)))
    return ensemble - each.sel(year=year).drop_vars("year")


def of_the_climate(observed):
    """Return the CRPS of the starts of the other years as members."""
    parts = []
    for year, here in observed.groupby("start.year"):
        others = observed.where(observed["start"].dt.year != year, drop=True)
        members = others.rename(start="member").drop_vars("member")
        parts.append(crps_both(members.expand_dims(start=here["start"]), here)["crps"])
    return xr.concat(parts, dim="start")


def test_crps_and_its_skill_at_every_lead_are_those_of_other_programs(hindcasts):
    ensemble, observed = hindcasts
    corrected = without_bias(ensemble, observed)
    found, climate = crps_both(corrected, observed), of_the_climate(observed)
    mean = ensemble.mean("member")
    for lead, expected in REFERENCE.items():
        at, base = found.sel(lead=lead), climate.sel(lead=lead)
        values = [
            *(float(x.mean()) for x in (at["crps"], at["crps_fair"], base)),
            *(float(skill_score(at[x], base)) for x in ("crps", "crps_fair")),
            np.corrcoef(mean.sel(lead=lead), observed.sel(lead=lead))[0, 1],
        ]
        np.testing.assert_allclose(values[:3], expected[:3], atol=6e-6)
        np.testing.assert_allclose(values[3:], expected[3:], atol=6e-5)


def test_four_members_hide_the_skill_that_is_there_at_day_28(hindcasts):
    ensemble, observed = hindcasts
    found = crps_both(without_bias(ensemble, observed), observed).sel(lead=28)
    climate = of_the_climate(observed).sel(lead=28)
    assert float(skill_score(found["crps"], climate)) < 0
    assert float(skill_score(found["crps_fair"], climate)) > 0.07
    assert (found["members"] == 4).all()


def test_rank_histograms_are_those_of_the_reference(hindcasts):
    ensemble, observed = hindcasts
    corrected = without_bias(ensemble, observed)
    found = rank_histogram(corrected, observed, dim="start")["count"]
    for lead, expected in HISTOGRAMS.items():
        assert found.sel(lead=lead).values.tolist() == expected
    # Too sure of itself at every lead, most at the first.
    flat = rank_flatness(found)
    assert (flat["p_value"] < 0.05).all()
    assert int(flat["delta"].argmax("lead")) == 0


def test_with_its_bias_left_in_the_first_day_scores_as_the_seventh_without(hindcasts):
    ensemble, observed = hindcasts
    first = {"lead": 1}
    found = crps_both(ensemble.sel(first), observed.sel(first))
    assert float(found["crps"].mean()) == pytest.approx(0.35578, abs=6e-6)
    assert float(found["crps_fair"].mean()) == pytest.approx(0.35169, abs=6e-6)
    counts = rank_histogram(ensemble.sel(first), observed.sel(first))["count"]
    assert counts.values.tolist() == [27, 7, 4, 6, 466]
    bias = float((ensemble.sel(first).mean("member") - observed.sel(first)).mean())
    assert bias == pytest.approx(-0.353, abs=5e-4)
