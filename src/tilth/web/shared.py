"""Answers that all browsers share: read once, kept for a moment."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

#: Answers kept; the oldest are forgotten first.
_KEPT = 64


class Shared:
    """Keeps what was read for a while; while one reads, others who ask wait for it.

    So the load on the stores does not grow with the number of open pages.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._reading: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, seconds: float, read: Callable[[], Any]) -> Any:
        """Return what was read under a key, anew if that is too long ago.

        Parameters
        ----------
        key : hashable
            What is asked for.
        seconds : float
            How old the answer may be.
        read : callable
            Reads it.
        """
        with self._lock:
            own = self._reading.setdefault(key, threading.Lock())
        with own:
            with self._lock:
                at, value = self._kept.get(key, (float("-inf"), None))
            if time.monotonic() - at <= seconds:
                return value
            value = read()
            with self._lock:
                self._kept[key] = time.monotonic(), value
                self._kept.move_to_end(key)
                while len(self._kept) > _KEPT:
                    old, _ = self._kept.popitem(last=False)
                    self._reading.pop(old, None)
            return value
