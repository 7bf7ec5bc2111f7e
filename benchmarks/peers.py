"""Peers of a benchmark, each set in an environment of its own, never a dependency.

What a set needs is in ``benchmarks/peers_needed/NAME.txt``. The environment is made
when it is first asked for, in the folder ``TILTH_PEERS`` or the user's cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

NEEDED = Path(__file__).parent / "peers_needed"


def run_in_peer(name: str, code: str) -> dict | None:
    """Run Python code among the peers; return what it prints last, one line of JSON.

    None, with the reason on the screen, where the environment cannot be made (no
    network) or the code fails: a benchmark then has its own numbers alone.
    """
    try:
        python = _environment(name)
        done = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:] or ["no message"]
        print(f"  the peers of {name} could not be run: {last[0]}", flush=True)
        return None


def _environment(name: str) -> Path:
    """Return the Python of a set of peers, made anew where what it needs changed."""
    needed = (NEEDED / f"{name}.txt").read_text()
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = Path(os.environ.get("TILTH_PEERS", cache / "tilth" / "peers")) / name
    python = folder / "bin" / "python"
    made = folder / "made_for.txt"
    if not made.exists() or made.read_text() != needed:
        print(f"  making the environment of the peers of {name}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "-r", NEEDED / f"{name}.txt"],
            capture_output=True,
            text=True,
            check=True,
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        )
        made.write_text(needed)
    return python


if __name__ == "__main__":
    print(run_in_peer(sys.argv[1], "import sys, json; print(json.dumps(sys.version))"))
