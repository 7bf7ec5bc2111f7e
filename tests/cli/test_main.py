"""One line per error, an exit code per outcome, and no import before its time."""

import os
import subprocess
import sys

import pytest

from tilth.cli import main
from tilth.core.errors import InputError
from tilth.studies.registry import STUDIES

#: What a list of commands has no use for.
HEAVY = {
    *("dask", "distributed", "jinja2", "matplotlib", "numba", "numpy", "pandas"),
    *("pint", "pooch", "rich", "scipy", "statsmodels", "xarray", "yaml"),
}
#: What typer brings by itself once a sub-command parses its words.
PARSING = {"pydantic"}


def python(code, **options):
    """Run code in a Python of its own."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, **options
    )


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        (["--help"], HEAVY | PARSING),
        (["--version"], HEAVY),
        (["data", "--help"], HEAVY),
        (["report", "--help"], HEAVY),
        (["study", "run", "--help"], HEAVY),
    ],
)
def test_no_heavy_library_is_imported_for_help_or_for_the_version(command, unwanted):
    done = python(
        "import sys; from tilth.cli import main; "
        f"main({command!r}); "
        f"print('LOADED', *({unwanted!r} & set(sys.modules)))"
    )
    assert len(done.stdout.splitlines()) > 1
    assert done.stdout.splitlines()[-1] == "LOADED"


def test_importing_the_package_loads_no_library_beyond_the_standard_one():
    done = python(
        "import sys; import tilth; "
        f"print({HEAVY | {'typer'}!r} & set(sys.modules) or 'none')"
    )
    assert done.stdout.strip() == "none"


def test_help_names_every_command_without_importing_any(capsys):
    for name in ("tilth.cli.data", "tilth.cli.study", "tilth.cli.report"):
        sys.modules.pop(name, None)
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("chambers", "data", "report", "study"))
    assert "--install-completion" in text
    assert not {"tilth.cli.data", "tilth.cli.study"} & set(sys.modules)


def test_the_version_is_the_package_s(capsys):
    import tilth

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"tilth {tilth.__version__}\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["stdy"], "No such command 'stdy'. Did you mean 'study'? (see: tilth --help)"),
        (["study", "run"], "Missing argument 'name'. (see: tilth study run --help)"),
        (["data", "list", "--x"], "No such option: --x (see: tilth data list --help)"),
        (
            ["study", "run", "nope"],
            f"no study 'nope'; there are: {', '.join(STUDIES)}",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line_with_exit_code_2(words, line, capsys):
    assert main(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"tilth: {line}\n"


@pytest.mark.parametrize("words", [[], ["data"], ["study"]])
def test_a_command_without_words_shows_its_help(words, capsys):
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("Usage: tilth")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            InputError("pressure is 3 Pa:\n  give it in Pa"),
            "pressure is 3 Pa: give it in Pa",
        ),
        (
            FileNotFoundError(2, "No such file or directory", "g.yaml"),
            "No such file or directory: g.yaml",
        ),
        (
            ZeroDivisionError("division by zero"),
            "ZeroDivisionError: division by zero (add --debug for the traceback)",
        ),
        (
            ModuleNotFoundError("No module named 'numba'", name="numba"),
            "this needs numba, not installed: pip install 'tilth[all]'",
        ),
    ],
)
def test_an_error_of_a_study_is_one_line_with_exit_code_2(
    error, line, register, tmp_path, capsys
):
    def fail(full):
        raise error

    register("toy", fail)
    words = ["study", "run", "toy", "--out", str(tmp_path)]
    assert main(words) == 2
    assert capsys.readouterr().err == f"tilth: {line}\n"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(type(error)):
        main([*words, "--debug"])


TOY = """
import os, signal, sys, types
from tilth.cli import main
from tilth.studies.registry import STUDIES, Study
toy = types.ModuleType("toy")
def run(full):
    os.kill(os.getpid(), signal.SIGINT)
toy.run = run
sys.modules["toy"] = toy
STUDIES["toy"] = Study("toy", "Toy", "toy:run")
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_ends_with_130_one_line_and_nothing_left(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", TOY, "study", "run", "toy", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "tilth: interrupted\n"
    assert list(tmp_path.iterdir()) == []


HELLO = """
import sys, types, typer
from tilth.cli import app, main
hello = types.ModuleType("hello")
hello.app = typer.Typer(rich_markup_mode=None)
@hello.app.command()
def say():
    print("5 µmol m⁻² s⁻¹")
sys.modules["hello"] = hello
app.COMMANDS["hello"] = ("hello:app", "Say it.")
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", ["--help", "study list", "hello"])
def test_a_reader_that_went_away_is_met_with_silence(command):
    reading, writing = os.pipe()
    os.close(reading)
    # With buffers, as people run it: the pipe breaks at the last moment.
    buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", HELLO, *command.split()],
        env=buffered,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 1


def test_a_terminal_without_the_signs_gets_an_answer_all_the_same():
    done = subprocess.run(
        [sys.executable, "-c", HELLO, "hello"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert done.stdout == "5 ?mol m?? s??\n"
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("tilth stu", "study"),
        ("tilth study run fluxmeters", "fluxmeters_2023"),
        ("tilth data info carbdown-x", "carbdown-xxl"),
    ],
)
def test_the_shell_is_offered_the_names_there_are(line, offered):
    done = python(
        "from tilth.cli import main; main([])",
        env={
            **os.environ,
            "_TILTH_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - 1),
        },
    )
    assert done.stdout.split() == [offered]
