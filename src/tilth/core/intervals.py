"""Steps of time and the intervals of output that are made of them."""

from __future__ import annotations

import pandas as pd

from tilth.core.errors import InputError

__all__ = ["interval_seconds", "steps_of_interval"]


def interval_seconds(text: str, name: str = "output") -> float:
    """Return the length of an interval of pandas, such as ``"1D"`` or ``"3h"``.

    Parameters
    ----------
    text : str
        The interval.
    name : str
        What it is called where it was given, for the message.

    Returns
    -------
    float
        In s.

    Raises
    ------
    InputError
        If it is none.

    Examples
    --------
    >>> interval_seconds("3h")
    10800.0
    """
    try:
        return pd.Timedelta(text).total_seconds()
    except ValueError as error:
        raise InputError(
            f"{name}={text!r} is no interval: write '1D', '3h' or the like"
            + (", or 'step'" if name == "output" else "")
        ) from error


def steps_of_interval(step: float, output: str) -> int:
    """Return how many steps an output interval has.

    Parameters
    ----------
    step : float
        In s.
    output : str
        ``"step"`` or an interval of pandas, such as ``"1D"`` or ``"3h"``.

    Returns
    -------
    int
        At least one.

    Raises
    ------
    InputError
        If the interval is not one, or not a multiple of the step.

    Examples
    --------
    >>> steps_of_interval(1800.0, "1D"), steps_of_interval(1800.0, "step")
    (48, 1)
    """
    if output == "step":
        return 1
    seconds = interval_seconds(output)
    count = round(seconds / step)
    if count < 1 or abs(count * step - seconds) > 1e-6:
        raise InputError(
            f"output={output!r} is {seconds:g} s, which is no multiple of the step of "
            f"{step:g} s: choose one, or output='step'"
        )
    return count
