"""Numbers, units and errors as people read them: on pages and in the terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tilth.core.errors import TilthError

if TYPE_CHECKING:
    import pandas as pd

#: What stands where there is no number.
NOTHING = "–"

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_GASES = re.compile(r"\b(?:CO2|H2O|N2O|CH4|O2|N2)\b")
_PLAIN_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_THIN_SPACE = "\u2009"
_MINUS = "\u2212"
_POWER = re.compile(r"(?<=[A-Za-zµΩ])([-+]?\d+)(?!\w)")
_WORDS = {"1": "", "degC": "°C", "degrees_C": "°C", "degree": "°", "percent": "%"}


def units_text(units: str) -> str:
    """Return a UDUNITS string as it is printed.

    Parameters
    ----------
    units : str
        For example ``"umol m-2 s-1"``.

    Returns
    -------
    str
        With raised powers and the micro sign; empty for a pure number (``"1"``).

    Examples
    --------
    >>> units_text("umol m-2 s-1")
    'µmol m⁻² s⁻¹'
    """
    words = [_WORDS.get(word, word) for word in units.split()]
    printed = " ".join(re.sub(r"^u(?=[A-Za-z])", "µ", word) for word in words)
    return _POWER.sub(lambda power: power[1].translate(_SUPERSCRIPT), printed)


def number_text(value: Any, decimals: int | None = None) -> str:
    """Return a number as it is printed.

    Parameters
    ----------
    value : float, int, str or None
        Text is returned unchanged; None and NaN give a dash.
    decimals : int, optional
        Digits after the point. By default four significant digits, all digits of
        an integer, and powers of ten outside 1e-4..1e6.

    Returns
    -------
    str
        With a true minus sign, and thin spaces between thousands from five digits
        on (SI brochure, 5.4.4).

    Examples
    --------
    >>> number_text(0.78123), number_text(-2.5e-7), number_text(7, 2)
    ('0.7812', '−2.5\u2009×\u200910⁻⁷', '7.00')
    """
    if value is None or isinstance(value, str):
        return NOTHING if value is None else value
    number = float(value)
    if not math.isfinite(number):
        infinity = "∞" if number > 0 else f"{_MINUS}∞"
        return NOTHING if math.isnan(number) else infinity
    if decimals is None:
        if float(value).is_integer() and abs(number) < 1e15 and _is_integer(value):
            decimals = 0
        elif number == 0:
            return "0"
        elif not 1e-4 <= abs(number) < 1e6:
            mantissa, exponent = f"{number:.3e}".split("e")
            mantissa = mantissa.rstrip("0").rstrip(".").replace("-", _MINUS)
            power = str(int(exponent)).translate(_SUPERSCRIPT)
            return f"{mantissa}{_THIN_SPACE}×{_THIN_SPACE}10{power}"
        else:
            decimals = max(0, 3 - math.floor(math.log10(abs(number))))
            number = float(f"{number:.4g}")
            decimals = min(decimals, len(repr(number).partition(".")[2].rstrip("0")))
    whole, _, fraction = f"{abs(number):,.{decimals}f}".partition(".")
    if len(whole) <= 5:  # four digits stay together
        whole = whole.replace(",", "")
    text = whole.replace(",", _THIN_SPACE) + (f".{fraction}" if fraction else "")
    is_zero = not text.strip("0.")
    return text if number >= 0 or is_zero else _MINUS + text


def measurement_text(value: Any, se: float | None) -> tuple[str, str]:
    """Return a value and its standard error, rounded to two digits of the error.

    Parameters
    ----------
    value : float or int
        The measured value.
    se : float or None
        Its standard error, in the same units; None where there is none.

    Returns
    -------
    tuple of str
        The value and the error; the error is empty where there is none.

    Examples
    --------
    >>> measurement_text(0.78123, 0.0123)
    ('0.781', '0.012')
    """
    if se is None or not math.isfinite(se):
        return number_text(value), ""
    if se == 0 or not 1e-4 <= se < 1e6 or not math.isfinite(value):
        return number_text(value), number_text(se)
    decimals = max(0, 1 - math.floor(math.log10(se)))
    return number_text(float(value), decimals), number_text(se, decimals)


def published_text(value: float | str | None) -> str:
    """Return a published number with the digits it was given, neither more nor less.

    Examples
    --------
    >>> published_text(0.78), published_text("20-40"), published_text(None)
    ('0.78', '20-40', '–')
    """
    if value is None or isinstance(value, str):
        return value or NOTHING
    digits = repr(value)
    if "e" in digits or "." not in digits:
        return number_text(value)
    return number_text(value, len(digits.partition(".")[2]))


def rule_text(rule: str) -> str:
    """Return a bar, or any rule with plain numbers in it, as it is printed.

    Examples
    --------
    >>> rule_text("<= 0.0051"), rule_text("0.74..0.82"), rule_text("< 1e-9")
    ('≤ 0.0051', '0.74 … 0.82', '< 1 × 10⁻⁹')
    """
    text = rule.replace("<=", "≤").replace(">=", "≥").replace("==", "=")
    parts = [
        _PLAIN_NUMBER.sub(lambda found: _given_text(found[0]), part.strip())
        for part in text.split("..")
    ]
    return " … ".join(parts)


def _given_text(digits: str) -> str:
    """Print a number that is given as text."""
    if digits.lstrip("+-").isdigit():
        return number_text(int(digits))
    return published_text(float(digits))


def prose_text(text: str) -> str:
    """Return a text with the gases in it written as chemists do.

    Examples
    --------
    >>> prose_text("CO2 and H2O in CO2e")
    'CO₂ and H₂O in CO2e'
    """
    return _GASES.sub(lambda gas: gas[0].translate(_SUBSCRIPT), text)


def column_text(values: pd.Series, decimals: int | None = None) -> tuple[str, ...]:
    """Return a table column as it is printed, with its decimal points aligned.

    Parameters
    ----------
    values : pandas.Series
        Numbers, times, truth values or text.
    decimals : int, optional
        Digits after the point of a float column; by default three significant
        digits of its median.

    Returns
    -------
    tuple of str
        One text per row; a dash where a value is missing.
    """
    import pandas as pd

    if pd.api.types.is_bool_dtype(values):
        return tuple("yes" if value else "no" for value in values)
    if pd.api.types.is_datetime64_any_dtype(values):
        known = values.dropna()
        days = bool((known == known.dt.normalize()).all())
        pattern = "%Y-%m-%d" if days else "%Y-%m-%d %H:%M"
        return tuple(
            NOTHING if pd.isna(value) else value.strftime(pattern) for value in values
        )
    if not pd.api.types.is_numeric_dtype(values):
        return tuple(NOTHING if pd.isna(value) else str(value) for value in values)
    if decimals is None and pd.api.types.is_float_dtype(values):
        decimals = _column_decimals([float(value) for value in values.dropna()])
    return tuple(_cell_text(value, decimals) for value in values)


def _cell_text(value: Any, decimals: int | None) -> str:
    """Print one number of a column; one too small for its digits keeps its power."""
    import pandas as pd

    if pd.isna(value):
        return NOTHING
    vanishes = decimals is not None and 0 < abs(value) < 0.5 * 10.0**-decimals
    return number_text(
        float(f"{value:.2g}") if vanishes else value, None if vanishes else decimals
    )


def _column_decimals(numbers: Sequence[float]) -> int | None:
    """Digits that show three significant ones of the median; None: per number."""
    sizes = sorted(abs(x) for x in numbers if x != 0 and math.isfinite(x))
    if not sizes:
        return 0
    median = sizes[len(sizes) // 2]
    if median < 1e-4 or sizes[-1] >= 1e7:
        return None
    return max(0, 2 - math.floor(math.log10(median)))


def _is_integer(value: Any) -> bool:
    """Tell an integer (Python's or NumPy's) from a float with an integral value."""
    return hasattr(value, "__index__")


def bytes_text(size: int) -> str:
    """Return a size in bytes as it is printed, in decimal units.

    Examples
    --------
    >>> bytes_text(812), bytes_text(1_234_567)
    ('812 B', '1.2 MB')
    """
    if size < 1000:
        return f"{size} B"
    power = min(int(math.log10(size)) // 3, 4)
    return f"{size / 1000**power:.1f} {'kMGT'[power - 1]}B"


def error_text(error: BaseException) -> str:
    """Return an error as one line: what went wrong, without a traceback.

    Tilth's own errors explain themselves; a system error names its file; any other
    is preceded by its kind.

    Examples
    --------
    >>> error_text(ZeroDivisionError("division by zero"))
    'ZeroDivisionError: division by zero'
    """
    if isinstance(error, OSError) and error.strerror:
        files = [str(x) for x in (error.filename, error.filename2) if x is not None]
        text = f"{error.strerror}: {' -> '.join(files)}" if files else error.strerror
    elif isinstance(error, TilthError):
        text = str(error) or type(error).__name__
    else:
        text = f"{type(error).__name__}: {error}" if str(error) else repr(error)
    return " ".join(text.split())
