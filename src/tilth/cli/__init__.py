"""The command line: errors become one line, outcomes become exit codes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

#: Exit codes: all well; a bar does not hold; an error; interrupted (128 + SIGINT).
HELD, MISSED, ERROR, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``tilth`` and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after ``tilth``; those of the process by default.

    Returns
    -------
    int
        0 where all went well, 1 where a bar does not hold or a study failed in a
        report, 2 on an error, which is told in one line, 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Anywhere on the line, because one adds it to the end of what just failed.
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    # A terminal that lacks a sign gets "?" instead of no answer.
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure:
        reconfigure(errors="replace")
    _log_progress()
    plain = warnings.formatwarning
    warnings.formatwarning = _one_line
    try:
        from tilth.cli.app import build

        code = build().main(words, prog_name="tilth", standalone_mode=False)
        sys.stdout.flush()  # a closed pipe shows here, not when Python shuts down
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        code = MISSED
    except Exception as error:
        if debug:
            raise
        return _explain(error)
    finally:
        warnings.formatwarning = plain
    if code == INTERRUPTED:
        print("tilth: interrupted", file=sys.stderr)
    return code if isinstance(code, int) else HELD


def _log_progress() -> None:
    """Send log lines, such as the progress of a long step in a pipe, to stderr."""
    import logging

    log = logging.getLogger("tilth")
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)


def _one_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Return a warning as one line; one of a library with its place in the code."""
    if issubclass(category, UserWarning):
        return f"tilth: warning: {message}\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"


def _explain(error: Exception) -> int:
    """Print an error as one line and return the exit code."""
    from tilth.core.errors import TilthError
    from tilth.core.typeset import error_text

    if type(error).__name__ == "NoArgsIsHelpError":
        print(str(error), file=sys.stderr)  # its text is the help of the command
        return ERROR
    usage = getattr(error, "format_message", None)
    if usage is not None:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "tilth"
        line = f"{' '.join(usage().split())} (see: {command} --help)"
    elif isinstance(error, TilthError | OSError):
        line = error_text(error)
    elif isinstance(error, ModuleNotFoundError) and _is_foreign(error.name):
        line = f"this needs {error.name}, not installed: pip install 'tilth[all]'"
    else:
        line = f"{error_text(error)} (add --debug for the traceback)"
    print(f"tilth: {line}", file=sys.stderr)
    return ERROR


def _is_foreign(module: str | None) -> bool:
    """Tell another project's module from one of ours that is broken."""
    return bool(module) and not str(module).startswith("tilth")


def _silence_stdout() -> None:
    """Point standard output at nothing, so that no later flush complains."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
