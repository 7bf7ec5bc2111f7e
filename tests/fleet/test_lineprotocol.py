"""Line protocol: what a receiver reads is what was measured, and no point is lost."""

import gzip
import http.server
import re
import threading
import urllib.parse

import numpy as np
import pytest
from archive_world import DAY, T0, World
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.fleet.archive.query import Archive
from tilth.fleet.lineprotocol import (
    SinkError,
    line,
    post,
    sample_lines,
    write_file,
)

A, B = "0123456789ab", "ba9876543210"


def split(text, at):
    """Split at a character that is neither escaped nor quoted."""
    parts, quoted, escaped = [""], False, False
    for c in text:
        if c == at and not quoted and not escaped:
            parts.append("")
            continue
        if c == '"' and not escaped:
            quoted = not quoted
        escaped = c == "\\" and not escaped
        parts[-1] += c
    return parts


def read(text):
    """Read a point as a receiver does (after the format's description)."""
    head, fields, t = split(text, " ")
    measurement, *tags = split(head, ",")

    def plain(word):
        return re.sub(r"\\([,= ])", r"\1", word)

    def value(word):
        if word.startswith('"'):
            return re.sub(r'\\(["\\])', r"\1", word[1:-1])
        if word in ("true", "false"):
            return word == "true"
        return int(word[:-1]) if word.endswith("i") else float(word)

    pairs = [split(tag, "=") for tag in tags]
    cells = [split(field, "=") for field in split(fields, ",")]
    return (
        plain(measurement),
        {plain(k): plain(v) for k, v in pairs},
        {plain(k): value(v) for k, v in cells},
        int(t),
    )


words = st.text(
    st.characters(
        blacklist_characters="\n\r\\", blacklist_categories=("Cs", "Cc", "Z")
    ),
    min_size=1,
    max_size=8,
) | st.sampled_from(["a b", "a,b", "a=b", "5.10.A", "ä,= ö", '"'])
texts = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Z")), max_size=12
) | st.sampled_from(['say "no"', "back\\slash\\", "a, b = c"])
values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    texts,
)


@settings(max_examples=200, deadline=None)
@given(
    words.filter(lambda w: not w.startswith("#")),
    st.dictionaries(words, words, max_size=3),
    st.dictionaries(words, values, min_size=1, max_size=3),
    st.integers(0, 2**62),
)
def test_a_point_is_read_back_as_it_was_written(measurement, tags, fields, t):
    text = line(measurement.replace("=", "").replace('"', "") or "m", tags, fields, t)
    if '"' in "".join([*tags, *tags.values(), *fields]):
        return  # quotes in names are legal, but our reader takes them for strings
    found = read(text)
    assert found[1:] == (tags, fields, t)


def test_missing_values_are_left_out():
    assert (
        line("m", {"a": ""}, {"x": None, "y": float("nan"), "z": 1.5}, 3) == "m z=1.5 3"
    )
    assert line("m", {}, {"x": None, "y": float("inf")}, 3) == ""


def test_a_newline_cannot_begin_another_point():
    text = line("m\nevil", {"a": "b\nevil c=1 1"}, {"x": 1, "y": "a\nb"}, 3)
    assert "\n" not in text
    assert read(text)[2] == {"x": 1, "y": "a b"}
    assert read(text)[1] == {"a": "b evil c=1 1"}


def test_a_backslash_at_the_end_of_a_tag_does_not_swallow_what_follows():
    assert line("m", {"a": "b\\", "c": "d"}, {"x": 1}, 3) == "m,a=b,c=d x=1i 3"


@pytest.fixture
def frame(tmp_path):
    world = World(tmp_path)
    world.add(A, "1-0000000a", 1, range(T0, T0 + 30_000, 1000), "5.10.A")
    # The clock was set back: another boot has the same milliseconds and numbers.
    world.add(A, "2-0000000a", 1, range(T0, T0 + 30_000, 1000), "5.10.A")
    world.add(B, "1-0000000b", 1, range(T0, T0 + 30_000, 1000), "5.1.A")
    with Archive(tmp_path) as archive:
        yield archive.frame(None, T0, T0 + DAY)
    world.close()


def test_no_two_samples_collide(frame):
    points = [read(text) for text in sample_lines(frame)]
    keys = {(m, tuple(sorted(tags.items())), t) for m, tags, _, t in points}
    assert len(points) == len(keys) == len(frame) == 90
    assert {t // 1_000_000 for *_, t in points} == set(frame["t"])


def test_the_same_sample_is_the_same_point_in_every_export(frame):
    whole = set(sample_lines(frame))
    half = set(sample_lines(frame.iloc[::2].reset_index(drop=True)))
    assert half < whole


def test_boots_that_meet_at_one_nanosecond_are_moved_apart(frame):
    twice = frame.iloc[[0, 0]].reset_index(drop=True)
    first, second = (read(text)[3] for text in sample_lines(twice))
    assert second == first + 1


def test_points_carry_units_places_and_codes_as_text(frame):
    points = [read(text) for text in sample_lines(frame)]
    row = frame.iloc[0]
    _, tags, fields, _ = points[0]
    assert tags["location"] == "5.10.A"
    assert tags["variant"] == "5.10"
    assert fields["co2"] == row["co2"]
    assert fields["seq"] == int(row["seq"])
    assert {tags["variant"] for _, tags, _, _ in points} == {"5.10", "5.1"}


def test_a_sample_without_any_value_is_no_point(frame):
    channels = ["co2", "st", "rh", "at", "p", "lux", "mv"]
    assert list(sample_lines(frame.assign(**dict.fromkeys(channels, np.nan)))) == []


@pytest.mark.parametrize("name", ["points.lp", "points.lp.gz"])
def test_a_file_is_complete_or_absent(frame, tmp_path, name):
    path = tmp_path / name
    assert write_file(path, sample_lines(frame)) == 90
    opener = gzip.open if name.endswith("gz") else open
    with opener(path, "rt", encoding="utf-8") as stream:
        assert len([read(text.rstrip("\n")) for text in stream]) == 90

    def broken():
        yield "m x=1 1"
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_file(tmp_path / "other", broken())
    assert not (tmp_path / "other").exists()


@pytest.fixture
def receiver():
    """A receiver that answers with the codes in `answers`, then 204."""
    requests, answers = [], []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            code = answers.pop(0) if answers else 204
            if code == 204:
                requests.append((self.path, dict(self.headers), body.decode()))
            self.send_response(code)
            self.send_header("Content-Length", "7" if code != 204 else "0")
            self.end_headers()
            if code != 204:
                self.wfile.write(b"because")

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/write?db=x", requests, answers
    server.shutdown()
    server.server_close()
    thread.join()


def test_points_reach_a_receiver_in_batches(frame, receiver):
    url, requests, _ = receiver
    assert post(url, sample_lines(frame), token="s3cret", batch=40) == 90
    assert [len(body.splitlines()) for _, _, body in requests] == [40, 40, 10]
    path, headers, _ = requests[0]
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
    assert query == {"db": ["x"], "precision": ["ns"]}
    assert headers["Authorization"] == "Token s3cret"


def test_a_receiver_that_is_away_for_a_while_gets_everything(frame, receiver):
    url, requests, answers = receiver
    answers += [503, 429, 500]
    rests = []
    assert post(url, sample_lines(frame), sleep=rests.append) == 90
    assert rests == [1.0, 2.0, 4.0]
    assert sum(len(body.splitlines()) for _, _, body in requests) == 90


def test_a_receiver_that_refuses_is_quoted_without_the_token(frame, receiver):
    url, _, answers = receiver
    answers += [400]
    with pytest.raises(SinkError, match="400: because") as caught:
        post(url, sample_lines(frame), token="s3cret")
    assert "s3cret" not in str(caught.value)
    with pytest.raises(SinkError, match="took 0 points"):
        post("http://127.0.0.1:9/write", ["m x=1 1"], tries=2, sleep=lambda s: None)
    with pytest.raises(InputError, match="no address"):
        post("ftp://user:pw@host/", [])
