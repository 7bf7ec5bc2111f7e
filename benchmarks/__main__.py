"""Run every benchmark (or those named) and print one table per benchmark."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from pathlib import Path

import benchmarks

RESULTS = Path(__file__).parent / "results"


def main(wanted: list[str]) -> int:
    """Run the benchmarks named, or all of them."""
    names = sorted(
        m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name[0] != "_"
    )
    names = [n for n in names if n not in ("measure", "peers", "peers_needed")]
    unknown = set(wanted) - set(names)
    if unknown:
        print(
            f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names)}"
        )
        return 2
    RESULTS.mkdir(exist_ok=True)
    for name in wanted or names:
        print(f"\n{name}: running", flush=True)
        rows = importlib.import_module(f"benchmarks.{name}").run()
        (RESULTS / f"{name}.json").write_text(
            json.dumps([row.as_dict() for row in rows], indent=1) + "\n"
        )
        for row in rows:
            print("  " + row.text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
