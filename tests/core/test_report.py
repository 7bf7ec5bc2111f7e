"""A report page is whole in one file, readable by all, and says what the data say."""

import base64
import dataclasses
import itertools
import re
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tilth.core.errors import InputError
from tilth.core.report import (
    ROWS_SHOWN,
    Figure,
    Section,
    Table,
    build_page,
    write_page,
)

VOID = {"meta", "link", "img", "br", "path"}


def tiny_png(width=4, height=2):
    """A white PNG of that size, made by hand."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\xff" * width) * height)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@dataclasses.dataclass
class Row:
    """A number for a page, without the rules of a study."""

    name: str = "mean flux"
    value: float = 0.78423
    se: float | None = 0.0123
    unit: str = "umol m-2 s-1"
    published: float | str | None = 0.78
    bar: str | None = "0.74..0.82"
    holds: bool | None = True


class Page(HTMLParser):
    """The elements of a page; fails on a tag that is not closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        if tag not in VOID:
            self.open.append((tag, len(self.texts) - 1))

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, index in self.open:
            self.texts[index] += data

    def all(self, tag, **attrs):
        return [
            (found, text.strip())
            for (name, found), text in zip(self.elements, self.texts, strict=True)
            if name == tag and all(found.get(k) == v for k, v in attrs.items())
        ]


def a_section(**changes):
    frame = pd.DataFrame({"variant": ["2.1", "5.10"], "effect": [46.13, np.nan]})
    parts = {
        "title": "Fifty chambers measure CO2",
        "anchor": "fifty",
        "summary": "First.\n\nSecond.",
        "facts": {"Seed": "0"},
        "metrics": [Row()],
        "figures": [
            Figure("season", tiny_png(), "What to see.", "A curve that rises.")
        ],
        "tables": [Table("effects", frame, "Effects.", units={"effect": "%"})],
        "notes": ["A limit."],
        "folder": "fifty",
    }
    return Section(**(parts | changes))


def alone(section):
    """The page of one section, as a study's own page."""
    return build_page(section.title, [section])


def test_a_page_asks_for_nothing_outside_itself():
    page = build_page("Report", [a_section(), a_section(anchor="other")])
    addresses = re.findall(r"""(?:src|href|action)\s*=\s*["']([^"']*)""", page)
    inside = ("data:", "#", "fifty/")
    assert addresses
    assert all(address.startswith(inside) for address in addresses)
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page
    assert "@import" not in page
    assert "url(" not in page


def test_a_browser_may_load_only_images_and_style_from_within_the_page():
    rules = Page(build_page("Report", [a_section()])).all(
        "meta", **{"http-equiv": "Content-Security-Policy"}
    )
    assert rules[0][0]["content"].startswith("default-src 'none'; img-src data:;")


def test_the_embedded_figure_is_the_image_byte_for_byte():
    png = tiny_png(30, 20)
    section = a_section(figures=[Figure("season", png, "See.", "A curve.")])
    ((image, _),) = Page(build_page("Report", [section])).all("img")
    kind, _, data = image["src"].partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == png
    assert (image["width"], image["height"]) == ("30", "20")
    assert image["alt"] == "A curve."


def test_every_address_within_the_page_leads_somewhere_and_only_to_one_place():
    page = Page(build_page("Report", [a_section(), a_section(anchor="other")]))
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [a["href"][1:] for a, _ in page.all("a") if a["href"].startswith("#")]
    labels = [a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a]
    assert {"fifty", "other"} <= set(links)
    assert set(links + labels) <= set(ids)


def test_headings_descend_without_a_gap():
    section = a_section()
    for sections in ([section], [section, a_section(anchor="other")]):
        page = Page(build_page(section.title, sections))
        levels = [
            int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)
        ]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


def test_a_metric_row_shows_ours_the_error_the_published_value_and_the_bar():
    page = Page(alone(a_section()))
    cells = {a["data-label"]: text for a, text in page.all("td") if "data-label" in a}
    assert cells == {
        "Ours": "0.784",
        "± s.e.": "± 0.012",
        "Unit": "µmol m⁻² s⁻¹",
        "Published": "0.78",
        "Bar": "0.74 … 0.82",
        "Verdict": "✓ holds",
    }


@pytest.mark.parametrize(
    ("holds", "words"),
    [(True, "✓ holds"), (False, "✗ does not hold"), (None, "no bar")],
)
def test_the_verdict_is_told_in_words_and_not_by_colour_alone(holds, words):
    page = Page(alone(a_section(metrics=[Row(holds=holds)])))
    cells = {a["data-label"]: text for a, text in page.all("td") if "data-label" in a}
    assert cells["Verdict"] == words


def test_numbers_stand_on_the_right_and_text_on_the_left():
    page = Page(alone(a_section(metrics=[])))
    assert [text for a, text in page.all("td") if a.get("class") == "number"] == [
        "46.1",
        "–",
    ]
    assert [text for _, text in page.all("td") if text == "5.10"] == ["5.10"]
    assert [text for a, text in page.all("th", scope="col") if "class" in a] == [
        "effect%"
    ]


def test_the_overview_counts_the_bars_of_every_part_and_names_the_failed_one():
    sections = [
        a_section(
            metrics=[Row(), Row(name="b", holds=False), Row(name="c", holds=None)]
        ),
        Section("Broken", "broken", error="ValueError: no sheet"),
    ]
    page = Page(build_page("Report", sections))
    counts = [text for _, text in page.all("td", **{"data-label": "Bars that hold"})]
    assert counts == ["1 of 2", "–"]
    assert [section.verdict for section in sections] == ["missed", "failed"]
    assert page.all("div", role="note")[0][1] == "ValueError: no sheet"


def test_a_report_of_one_study_names_it_and_a_page_of_a_study_does_not_twice():
    section = a_section(title="The study")
    of_many = Page(build_page("Report", [section]))
    assert [text for _, text in of_many.all("h2")] == ["The study"]
    own = Page(build_page("The study", [section]))
    assert [text for _, text in own.all("h1")] == ["The study"]
    assert "The study" not in [text for _, text in own.all("h2")]


def test_text_of_a_study_cannot_become_markup():
    nasty = '<img src=x onerror=alert(1)> & "q"'
    section = a_section(
        title=nasty,
        summary=nasty,
        notes=[nasty],
        metrics=[Row(name=nasty, published=nasty, unit=nasty)],
        facts={nasty: nasty},
        tables=[Table("t", pd.DataFrame({nasty: [nasty]}), nasty)],
        figures=[Figure("f", tiny_png(), nasty, nasty)],
    )
    page = Page(build_page(nasty, [section, a_section(error=nasty, anchor="b")]))
    assert {image["src"][:5] for image, _ in page.all("img")} == {"data:"}


def test_a_long_table_is_cut_on_the_page_and_whole_in_its_file():
    frame = pd.DataFrame({"hour": np.arange(ROWS_SHOWN + 60)})
    table = Table("hours", frame, "All hours.", units={"hour": "h"})
    page = alone(a_section(metrics=[], tables=[table]))
    assert f"First {ROWS_SHOWN} of {ROWS_SHOWN + 60} rows." in page
    assert len(Page(page).all("td")) == ROWS_SHOWN
    lines = table.to_csv().splitlines()
    assert lines[0] == "hour [h]"
    assert lines[1:] == [str(hour) for hour in frame["hour"]]


def test_an_empty_table_still_shows_its_columns():
    frame = pd.DataFrame({"flux": np.array([], float), "pot": np.array([], object)})
    page = Page(alone(a_section(metrics=[], tables=[Table("t", frame, "")])))
    assert [text for _, text in page.all("th", scope="col")] == ["flux", "pot"]


def test_without_a_folder_the_page_links_to_no_file():
    page = Page(alone(a_section(folder="")))
    assert [a["href"] for a, _ in page.all("a")] == ["#content"]


def test_a_figure_without_words_for_those_who_cannot_see_is_refused():
    with pytest.raises(InputError, match="needs an alt text"):
        Figure("season", tiny_png(), "See.", "  ")


def test_something_that_is_not_a_png_is_refused():
    with pytest.raises(InputError, match="is not a PNG"):
        Figure("season", b"GIF89a", "See.", "A curve.")


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "é", ".hidden"])
def test_a_name_that_cannot_be_a_file_is_refused(name):
    with pytest.raises(InputError, match="becomes a file name"):
        Figure(name, tiny_png(), "See.", "A curve.")


def test_units_of_a_column_that_is_not_there_are_refused():
    with pytest.raises(InputError, match=r"no column \['fluks'\]; it has flux"):
        Table("t", pd.DataFrame({"flux": [1.0]}), "", units={"fluks": "K"})


def test_the_same_figure_gives_the_same_bytes_whatever_the_day():
    from tilth.core.plotting import figure

    def draw():
        drawn, ax = figure()
        ax.plot([0, 1], [1, 0])
        return Figure.draw("line", drawn, "See.", "A falling line.")

    first, second = draw(), draw()
    assert first.png == second.png
    assert first.width > 1000  # sharp on paper
    assert b"Matplotlib" not in first.png


def test_a_page_that_cannot_be_written_leaves_the_old_one_and_no_rest(
    tmp_path, monkeypatch
):
    path = write_page(tmp_path / "deep" / "index.html", "old")

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_page(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["index.html"]


def luminance(colour):
    """Relative luminance of ``#rrggbb`` (WCAG 2.1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    ]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_every_text_stands_out_from_its_ground_as_wcag_aa_asks(mode):
    page = build_page("Report", [a_section()])
    colours = dict(
        re.findall(r"--([\w-]+): (#[0-9a-f]{6});", page.split(":root {")[mode + 1])
    )
    pairs = [
        (ink, paper)
        for ink in ("ink", "muted", "accent")
        for paper in ("paper", "card")
    ]
    pairs += [("held", "held-back"), ("missed", "missed-back"), ("muted", "open-back")]
    pairs += [("ink", "missed-back")]
    for ink, paper in pairs:
        light, dark = sorted((luminance(colours[ink]), luminance(colours[paper])))[::-1]
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)
