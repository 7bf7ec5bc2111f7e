"""The firmware and its fake hardware, importable as on the chip."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIRMWARE = HERE.parents[1] / "firmware"

for folder in (str(HERE), str(FIRMWARE)):
    if folder not in sys.path:
        sys.path.insert(0, folder)

# Stand-ins under the names of pytest and hypothesis, for MicroPython only.
collect_ignore = ["chip"]
