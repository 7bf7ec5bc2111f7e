import io
import logging

import pytest

from tilth.core import progress as module
from tilth.core.progress import progress, track


class Terminal(io.StringIO):
    """A standard error stream that is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def lines():
    """What the progress logger writes."""
    written = []
    handler = logging.Handler()
    handler.emit = lambda record: written.append(record.getMessage())
    logger = logging.getLogger("tilth.core.progress")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield written
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def at_once(monkeypatch):
    """Show progress as if two seconds had passed: without a clock in the test."""

    class Elapsed:
        def __init__(self, seconds, show):
            assert seconds == 2.0
            self.show = show

        def start(self):
            self.show()

        def cancel(self):
            pass

    monkeypatch.setattr(module.threading, "Timer", Elapsed)


def test_short_work_says_nothing(lines, capsys):
    assert list(track(range(5), "counting")) == [0, 1, 2, 3, 4]
    assert lines == []
    assert capsys.readouterr() == ("", "")


def test_long_work_logs_about_every_tenth(at_once, lines):
    assert sum(track(range(1000), "fitting closures")) == 499500
    assert len(lines) == 12
    assert lines[0] == "fitting closures: 0 of 1000 (0 %)"
    assert lines[3] == "fitting closures: 300 of 1000 (30 %)"
    assert lines[-2:] == [
        "fitting closures: 1000 of 1000 (100 %)",
        "fitting closures: 1000 done",
    ]


def test_few_long_steps_get_a_line_each(at_once, lines):
    list(track("abc", "reading files"))
    assert [line.rpartition("(")[2] for line in lines[:-1]] == [
        "0 %)",
        "33 %)",
        "67 %)",
        "100 %)",
    ]


def test_work_of_unknown_length_logs_at_every_doubling(at_once, lines):
    list(track(iter(range(100)), "reading"))
    numbers = [int(line.split()[1]) for line in lines[:-1]]
    assert numbers == [0, 1, 2, 4, 8, 16, 32, 64]
    assert lines[-1] == "reading: 100 done"


def test_steps_can_be_counted_by_hand_and_unevenly(at_once, lines):
    with progress("downloading", total=50) as work:
        work.advance(45)
        work.advance(5)
    assert lines == [
        "downloading: 0 of 50 (0 %)",
        "downloading: 45 of 50 (90 %)",
        "downloading: 50 of 50 (100 %)",
        "downloading: 50 done",
    ]


def test_a_terminal_gets_a_bar_and_the_log_nothing(at_once, lines, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    for done in track(range(20), "fitting closures"):
        (task,) = module._Bar.screen.tasks
        assert (task.completed, task.total) == (done, 20)
    assert "fitting closures" in screen.getvalue()
    assert lines == []


def test_one_bar_inside_another_shares_the_terminal(at_once, monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    seen = []
    for _ in track(range(2), "files"):
        for _ in track(range(3), "closures"):
            seen.append(len(module._Bar.screen.tasks))
    assert seen == [2] * 6
    assert module._Bar.screen is None


def test_an_error_in_the_work_closes_the_display(at_once, monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    with pytest.raises(ZeroDivisionError), progress("dividing"):
        1 / 0  # noqa: B018
    assert module._Bar.screen is None


def test_a_display_that_comes_too_late_is_not_opened(lines):
    with progress("over at once") as work:
        work.advance()
    work.show()
    assert lines == []
