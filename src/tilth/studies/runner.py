"""Runs studies and leaves their numbers, tables, figures and pages on disk."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tilth import __version__
from tilth.core.errors import InputError
from tilth.core.progress import track
from tilth.core.report import Section, build_page, write_page
from tilth.core.typeset import error_text
from tilth.studies.registry import STUDIES, Study, find_study
from tilth.studies.result import Metric, StudyResult

METRICS_FILE = "metrics.json"


@dataclass(frozen=True)
class StudyRun:
    """What running one study left behind.

    Parameters
    ----------
    study : Study
        The study that was run.
    section : tilth.core.report.Section
        Its part of a report page; holds the error where it failed.
    metrics : tuple of Metric
        Its numbers.
    page : pathlib.Path, optional
        Its own page; none where it failed.
    """

    study: Study
    section: Section
    metrics: tuple[Metric, ...] = ()
    page: Path | None = None

    @property
    def error(self) -> str:
        """Why it failed; empty where it did not."""
        return self.section.error

    @property
    def missed(self) -> list[Metric]:
        """The metrics whose bar does not hold."""
        return [metric for metric in self.metrics if metric.holds is False]


def run_study(
    name: str, out: str | os.PathLike[str] = "reports", *, full: bool = False
) -> StudyRun:
    """Run one study and write its folder ``OUT/NAME``.

    The folder holds ``index.html``, ``metrics.json``, one CSV per table and one PNG
    per figure. It is built beside its place and moved there when complete: a study
    that fails leaves the folder as it was.

    Parameters
    ----------
    name : str
        A registered study.
    out : path, optional
        Folder of all studies' folders.
    full : bool, optional
        The real experiment instead of the quick one.

    Returns
    -------
    StudyRun
        Its numbers and its part of a report.

    Raises
    ------
    InputError
        If there is no such study, it returns no StudyResult, or ``OUT/NAME`` holds
        something that no study wrote.
    """
    study = find_study(name)
    target = (Path(out) / name).resolve()
    with _replaced_folder(target) as folder:
        started = time.monotonic()
        result = study.load()(full=full)
        if not isinstance(result, StudyResult):
            raise InputError(
                f"the study {name} must return a StudyResult, "
                f"got {type(result).__name__}"
            )
        section = _section(study, result, time.monotonic() - started)
        _write_result(result, folder)
        page = build_page(
            result.title,
            [replace(section, folder=".")],
            subtitle=f"Study {name}",
            facts=_page_facts(full),
        )
        (folder / "index.html").write_text(page, encoding="utf-8")
    return StudyRun(study, section, tuple(result.metrics), target / "index.html")


def run_report(
    out: str | os.PathLike[str] = "reports", *, full: bool = False
) -> tuple[Path, list[StudyRun]]:
    """Run every study and write one page with all of them, ``OUT/index.html``.

    A study that fails shows its error on the page and the others go on.

    Parameters
    ----------
    out : path, optional
        Folder of the page and of the studies' folders.
    full : bool, optional
        The real experiments instead of the quick ones.

    Returns
    -------
    tuple of pathlib.Path and list of StudyRun
        The page, and what each study left.
    """
    runs = []
    for study in track(list(STUDIES.values()), "Running the studies"):
        try:
            runs.append(run_study(study.name, out, full=full))
        except Exception as error:
            runs.append(_failed(study, error))
    page = build_page(
        "Study report",
        [run.section for run in runs],
        subtitle="Every study's figures and numbers, the published value beside each.",
        facts=_page_facts(full),
    )
    return write_page(Path(out) / "index.html", page), runs


def _section(study: Study, result: StudyResult, seconds: float) -> Section:
    """Lay out a result for a page that lies beside the study's folder."""
    facts = {
        "Data": result.data_source or "none named",
        "Seed": "none drawn" if result.seed is None else str(result.seed),
        "Time taken": f"{seconds:.1f} s",
    }
    return Section(
        title=result.title,
        anchor=study.name,
        summary=result.summary,
        facts=facts,
        metrics=result.metrics,
        figures=result.figures,
        tables=result.tables,
        notes=result.notes,
        folder=study.name,
    )


def _failed(study: Study, error: Exception) -> StudyRun:
    """Lay out a study that could not run."""
    text = (
        f"{error_text(error)} (for the traceback: tilth study run {study.name} --debug)"
    )
    return StudyRun(study, Section(study.title, study.name, error=text))


def _page_facts(full: bool) -> dict[str, str]:
    """Say when, with what and how thoroughly a page was made."""
    return {
        "Written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Mode": "full" if full else "quick",
        "Tilth": __version__,
        "Python": platform.python_version(),
    }


def _write_result(result: StudyResult, folder: Path) -> None:
    """Write the numbers, tables and figures of a result into a folder."""
    records = [metric.record() for metric in result.metrics]
    text = json.dumps(records, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / METRICS_FILE).write_text(text + "\n", encoding="utf-8")
    for table in result.tables:
        (folder / f"{table.name}.csv").write_text(table.to_csv(), encoding="utf-8")
    for figure in result.figures:
        (folder / f"{figure.name}.png").write_bytes(figure.png)


@contextlib.contextmanager
def _replaced_folder(target: Path) -> Iterator[Path]:
    """Give a new folder that takes the place of the target when all went well."""
    if target.exists() and not (target / METRICS_FILE).is_file():
        raise InputError(
            f"{target} exists and is not a study's folder (no {METRICS_FILE} in it): "
            "choose another --out, or remove it"
        )
    token = secrets.token_hex(4)
    new = target.with_name(f".{target.name}.{token}.new")
    old = target.with_name(f".{target.name}.{token}.old")
    new.mkdir(parents=True)
    try:
        yield new
        if target.exists():
            target.rename(old)
        new.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
