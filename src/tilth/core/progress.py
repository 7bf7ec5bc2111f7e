"""Progress of long work: a bar on a terminal, log lines elsewhere, silence if short."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

#: Seconds of silence: shorter work shows nothing (house rule).
QUIET_SECONDS = 2.0

_log = logging.getLogger(__name__)


def track(
    iterable: Iterable[T], description: str, total: float | None = None
) -> Iterator[T]:
    """Iterate and show how far it has come, as `progress` does.

    Parameters
    ----------
    iterable : iterable
        What to go through.
    description : str
        What is being done, such as ``"reading files"``.
    total : float, optional
        Number of items; by default the length of `iterable`, where it has one.

    Yields
    ------
    item
        The items of `iterable`, unchanged.

    Examples
    --------
    >>> [n * n for n in track([1, 2, 3], "squaring")]
    [1, 4, 9]
    """
    if total is None:
        with contextlib.suppress(TypeError):
            total = len(iterable)  # type: ignore[arg-type]
    with progress(description, total) as work:
        for item in iterable:
            yield item
            work.advance()


@contextlib.contextmanager
def progress(description: str, total: float | None = None) -> Iterator[Work]:
    """Show the progress of the work done inside this context.

    Nothing is shown in the first two seconds. Then a bar is drawn on the standard
    error stream if that is a terminal; if not, lines go to the logger
    ``tilth.core.progress`` (level INFO), about one for every tenth of the total.

    Parameters
    ----------
    description : str
        What is being done, such as ``"fitting closures"``.
    total : float, optional
        Number of steps; unknown by default.

    Yields
    ------
    Work
        To be told of every step: ``work.advance()``.

    Examples
    --------
    >>> with progress("fitting closures", total=3) as work:
    ...     for _ in range(3):
    ...         work.advance()
    """
    work = Work(description, total)
    # A timer, because one step alone may be long.
    timer = threading.Timer(QUIET_SECONDS, work.show)
    timer.daemon = True
    timer.start()
    try:
        yield work
    finally:
        timer.cancel()
        work.close()


class Work:
    """A piece of work under way: counts its steps and shows them once it is long."""

    def __init__(self, description: str, total: float | None) -> None:
        self.description = description
        self.total = total
        self.done = 0.0
        self._lock = threading.Lock()
        self._closed = False
        self._display: _Display | None = None

    def advance(self, steps: float = 1.0) -> None:
        """Count `steps` more as done."""
        with self._lock:
            self.done += steps
            if self._display:
                self._display.update(self.done)

    def show(self) -> None:
        """Start to show it, unless it is over."""
        with self._lock:
            if self._closed or self._display:
                return
            kind = _Bar if sys.stderr.isatty() else _Lines
            self._display = kind(self.description, self.total)
            self._display.update(self.done)

    def close(self) -> None:
        """Take it off the screen."""
        with self._lock:
            self._closed = True
            if self._display:
                self._display.close()


class _Display(Protocol):
    def update(self, done: float) -> None:
        """Show that this much is done."""

    def close(self) -> None:
        """Show it no longer."""


class _Lines:
    """Log lines: one for each tenth, or for each doubling of an unknown total."""

    def __init__(self, description: str, total: float | None) -> None:
        self.description = description
        self.total = total
        self.done = 0.0
        self.next = 0.0

    def update(self, done: float) -> None:
        self.done = done
        if done < self.next:
            return
        if self.total:
            share = done / self.total
            self.next = (int(share * 10 + 1e-9) + 1) * self.total / 10
            _log.info(
                "%s: %g of %g (%.0f %%)",
                self.description,
                done,
                self.total,
                100 * share,
            )
        else:
            self.next = max(2 * done, 1.0)
            _log.info("%s: %g so far", self.description, done)

    def close(self) -> None:
        _log.info("%s: %g done", self.description, self.done)


class _Bar:
    """A line of the one bar display that a terminal can hold."""

    lock = threading.Lock()
    screen: Any = None
    users = 0

    def __init__(self, description: str, total: float | None) -> None:
        with self.lock:
            if _Bar.screen is None:
                _Bar.screen = _open_screen()
            _Bar.users += 1
            self.task = _Bar.screen.add_task(description, total=total)

    def update(self, done: float) -> None:
        _Bar.screen.update(self.task, completed=done)

    def close(self) -> None:
        with self.lock:
            _Bar.screen.remove_task(self.task)
            _Bar.users -= 1
            if not _Bar.users:
                _Bar.screen.stop()
                _Bar.screen = None


def _open_screen() -> Any:
    """Start a rich display on the standard error stream, gone when it ends."""
    from rich import progress as bars
    from rich.console import Console

    screen = bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(stderr=True),
        transient=True,
    )
    screen.start()
    return screen
