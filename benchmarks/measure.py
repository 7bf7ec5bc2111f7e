"""How a benchmark measures: CPU time in this process, peak memory in a fresh one."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One measured number, with the peer's beside it where there is one."""

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None

    @property
    def ratio(self) -> float | None:
        """Return ours over the peer's."""
        if self.peer_value is None:
            return None
        return self.value / self.peer_value

    def as_dict(self) -> dict:
        """Return what goes into the results file."""
        return {**asdict(self), "ratio": self.ratio}

    def text(self) -> str:
        """Return one line for the screen."""
        line = f"{self.name:<58} {self.value:>12,.4g} {self.unit}"
        if self.peer_value is not None:
            line += f"   ({self.peer}: {self.peer_value:,.4g}, ratio {self.ratio:,.3g})"
        return line


def cpu_seconds(task: Callable[[], object], runs: int = 5) -> float:
    """Return the median CPU time of a task over several runs, after one warm-up."""
    task()
    times = []
    for _ in range(runs):
        start = time.process_time()
        task()
        times.append(time.process_time() - start)
    return statistics.median(times)


def in_fresh_process(code: str) -> dict:
    """Run Python code in a new process; return what it prints last, and its costs.

    The code prints one line of JSON last. Added are ``cpu_s``, ``wall_s`` and
    ``peak_mib`` (largest resident set) of the whole process.
    """
    wrapper = (
        "import resource, time, json, sys\n"
        "start = time.perf_counter()\n"
        f"{code}\n"
        "u = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(json.dumps({'cpu_s': u.ru_utime + u.ru_stime,"
        " 'wall_s': time.perf_counter() - start, 'peak_mib': u.ru_maxrss / 1024}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", wrapper], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    lines = done.stdout.strip().splitlines()
    own = json.loads(lines[-2]) if len(lines) > 1 else {}
    return {**own, **json.loads(lines[-1])}
