"""The 2023 study: the article's numbers where the data is, known truth where not."""

import numpy as np
import openpyxl
import pandas as pd
import pytest

from tilth.core.datasets import info
from tilth.studies.fluxmeters_2023 import published, run, sensor
from tilth.studies.registry import STUDIES


def values(part):
    return {metric.name: metric for metric in part.metrics}


def test_every_registered_study_can_be_loaded():
    for study in STUDIES.values():
        assert callable(study.load())


def test_without_the_data_the_study_runs_on_known_truth_and_says_so(
    monkeypatch, tmp_path
):
    monkeypatch.delenv("TILTH_DATA", raising=False)
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path))
    result = run()
    assert result.data_source == "simulated: known truth"
    assert "not at hand" in result.summary
    assert not [m for m in result.metrics if m.holds is False]
    found = values(result)
    assert not any(name.startswith("Fick") for name in found)
    truth = found["simulated: true flux inside the 95 % interval"]
    assert 0.9 < truth.value < 1.0
    assert abs(found["simulated: bias of the flux"].value) < 2.0
    # A straight line in the same closures is clearly too low.
    assert found["simulated: bias of a straight line"].value < -2.0


def test_the_sensor_budget_is_the_articles():
    found = values(sensor.noise_budget())
    limits = [m.value for name, m in found.items() if name.startswith("detection")]
    # By hand: 0.32, 0.147 at 10 ppm; 0.063, 0.029 at 2 ppm.
    np.testing.assert_allclose(limits, [0.32, 0.147, 0.063, 0.029], rtol=0.03)
    assert found["systematic error of a flux at 95 %"].holds


@pytest.fixture
def whole_workbook(tmp_path, monkeypatch):
    """A workbook in the published layout, with both defects and table 7 in it.

    Hand-made numbers: variant 7.1 has the mean 0.78 once repaired.
    """
    rng = np.random.default_rng(0)
    book = openpyxl.Workbook()
    sheet = book.active
    unit = "mmol/s/m2"
    sheet.append(
        [
            "expid",
            "time_expid_key",
            "first received (UTC)",
            "RH at start (%)",
            "T at start (°C)",
            "P at start (hPa)",
            "light (lux)",
            "CO2 at start (ppm)",
            f"CO2 efflux avg [{unit}]",
            f"stddev [{unit}]",
            f"min [{unit}]",
            f"max [{unit}]",
            "number of measurements",
        ]
    )
    for variant, level in (("7.0", 0.52), ("7.1", 0.78), ("7.10", 1.04)):
        noise = rng.permutation(np.linspace(-0.3, 0.3, 80))
        for i, extra in enumerate(noise):
            stamp = pd.Timestamp("2023-09-01T19:00") + pd.Timedelta(
                days=i // 8, hours=i % 8
            )
            flux = round(level + float(extra), 4)
            key = f"{variant}-{stamp.year}.{stamp.month}.{stamp.day}-{stamp.hour}:00"
            numbers = (flux, 0.1, 0.1, flux + 0.2)
            cells = [
                float(variant[:3]),
                key,
                stamp.to_pydatetime(),
                66,
                20,
                968,
                2,
                450,
            ]
            sheet.append([*cells, *(round(3 * x, 4) for x in numbers), 24])
    data = info("carbdown-greenhouse-workbook")
    folder = tmp_path / data.folder
    folder.mkdir(parents=True)
    book.save(folder / data.files[0].path)
    monkeypatch.setenv("TILTH_DATA", str(tmp_path))
    return folder


def test_the_whole_workbook_is_taken_and_gives_the_articles_mean(whole_workbook):
    fleet, _ = published.load()
    assert fleet.source.startswith("carbdown-greenhouse-workbook")
    found = values(published.reproduce(fleet))
    mean = found["mean efflux of variant 7.1, filtered"]
    assert mean.value == pytest.approx(0.78, abs=0.005)
    assert mean.published == 0.78
    assert mean.holds
    assert found["variants with their true code"].value == 3
    assert found["variants compared with their control"].value == 2


def test_a_workbook_under_another_name_is_taken_and_told(whole_workbook):
    (book,) = whole_workbook.iterdir()
    book.rename(whole_workbook / "CO2 efflux 2023, all tables.xlsx")
    fleet, _ = published.load()
    assert "not the registered copy" in fleet.source
    assert set(fleet.efflux["table"].values) == {"7"}


@pytest.mark.realdata
def test_the_published_part_gives_the_known_ratios_and_laws(dataset, monkeypatch):
    folder = dataset("carbdown-greenhouse")
    fleet, _ = published.load()
    part = published.reproduce(fleet)
    found = values(part)
    assert found["variants with their true code"].value == 62
    assert found["variants where the unpaired ratio flips the sign"].value == 5
    # Regressed once by hand, in published units: slopes are three times ours.
    for table, r, slope in ((5, 0.796, 4.65), (6, 0.792, 9.48), (8, 0.631, 6.09)):
        law = found[f"Fick's law, table {table}: correlation"]
        assert law.value == pytest.approx(r, abs=0.001)
        conductance = found[f"Fick's law, table {table}: flux per 1000 ppm"]
        assert 30 * conductance.value == pytest.approx(slope, rel=2e-3)
    for table, r in ((3, -0.10), (4, -0.21)):
        pooled = found[f"pooling the soils of table {table}: correlation"]
        assert pooled.value == pytest.approx(r, abs=0.006)
    effects = next(t for t in part.tables if t.name == "paired_effects").frame
    effects = effects.set_index("variant")
    reference = pd.read_csv(
        folder / "derived_paired_treatment_control_2023.csv", dtype={"expid": str}
    ).set_index("expid")
    np.testing.assert_allclose(
        effects.loc[reference.index, "ratio"], reference["ratio_geo"], rtol=5e-6
    )
    flips = effects.index[effects["naive_flips_sign"].fillna(False).astype(bool)]
    assert set(flips) == {"3.5", "4.2", "4.3", "6.1", "8.6"}
    assert not [m for m in part.metrics if m.holds is False]
