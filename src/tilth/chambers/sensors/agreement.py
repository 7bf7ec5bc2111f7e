"""Comparison of chambers with a reference chamber, with a verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy.typing as npt
import pandas as pd
import xarray as xr

from tilth.chambers.hourly import hourly_fluxes
from tilth.core.errors import InputError
from tilth.stats.agreement import (
    BlandAltman,
    Concordance,
    Fraction,
    MedianRatio,
    bland_altman,
    concordance,
    median_ratio,
    within_fraction,
)
from tilth.stats.lines import LineFit
from tilth.stats.regression import bisector, deming, ols

#: Lower ends of the classes of Lin's concordance (McBride 2005, NIWA HAM2005-062).
CONCORDANCE_CLASSES = (
    (0.99, "almost perfect"),
    (0.95, "substantial"),
    (0.90, "moderate"),
    (-1.0, "poor"),
)

#: Half-width of the band around the reference (Carbdown fluxmeter article).
WITHIN_BAND = 0.15

#: Share of pairs that must lie within the band. Two of three is about what a band of
#: one standard deviation holds; a rule of this house, not of a guideline.
WITHIN_NEEDED = 2.0 / 3.0


@dataclass(frozen=True)
class AgreementReport:
    """How two measurements of the same fluxes agree.

    Parameters
    ----------
    grade : str
        "almost perfect", "substantial", "moderate" or "poor".
    verdict : str
        The grade with its reasons, as a sentence.
    concordance, within, bland_altman, median_ratio
        See `tilth.stats.agreement`.
    ols, deming, bisector : LineFit
        Lines of the values over the reference.
    units : str
        Units of both measurements.
    n : int
        Pairs compared.
    """

    grade: str
    verdict: str
    concordance: Concordance
    within: Fraction
    bland_altman: BlandAltman
    median_ratio: MedianRatio
    ols: LineFit
    deming: LineFit
    bisector: LineFit
    units: str
    n: int

    def table(self) -> pd.DataFrame:
        """Return the figures: ``value``, ``lower``, ``upper``, ``units`` by name."""
        ba, units = self.bland_altman, self.units
        ratio, within, lin = self.median_ratio, self.within, self.concordance
        rows: dict[str, Sequence[object]] = {
            "concordance": (lin.coefficient, lin.lower, lin.upper, "1"),
            f"within {100 * within.tolerance:.0f} %": (
                within.fraction,
                within.lower,
                within.upper,
                "1",
            ),
            "median ratio": (ratio.ratio, ratio.lower, ratio.upper, "1"),
            "bias": (ba.bias, ba.bias_lower, ba.bias_upper, units),
            "lower limit of agreement": (
                ba.lower_limit,
                *ba.lower_limit_interval,
                units,
            ),
            "upper limit of agreement": (
                ba.upper_limit,
                *ba.upper_limit_interval,
                units,
            ),
        }
        for line in (self.ols, self.deming, self.bisector):
            rows[f"slope, {line.method}"] = (
                line.slope,
                line.slope_lower,
                line.slope_upper,
                "1",
            )
        columns = ["value", "lower", "upper", "units"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def compare_with_reference(
    values: npt.ArrayLike,
    reference: npt.ArrayLike,
    *,
    tolerance: float = WITHIN_BAND,
    error_ratio: float = 1.0,
    units: str = "umol m-2 s-1",
    level: float = 0.95,
) -> AgreementReport:
    """Compare paired fluxes with those of a reference, and judge.

    The grade is the class (McBride 2005) of the lower one-sided 95 % limit of Lin's
    concordance: what the data *show*, not what they allow. Fewer than two of three
    pairs within `tolerance` make it "poor" in any case, since a wide range of fluxes
    flatters every correlation.

    Parameters
    ----------
    values, reference : array_like
        Paired fluxes, same shape and units; incomplete pairs are left out.
    tolerance : float, optional
        Half-width of the band around the reference, relative.
    error_ratio : float, optional
        Variance of the errors of the values over those of the reference, for the
        Deming line.
    units : str, optional
        Units of both.
    level : float, optional
        Probability of the intervals of the report.

    Returns
    -------
    AgreementReport
        Figures with intervals, grade and verdict.

    Raises
    ------
    InputError
        If the pairs do not suffice; see `tilth.stats.agreement`.

    References
    ----------
    McBride (2005), A proposal for strength-of-agreement criteria for Lin's concordance
    correlation coefficient, NIWA client report HAM2005-062.

    Examples
    --------
    >>> truth = [0.5, 0.9, 1.4, 2.2, 3.1, 4.0]
    >>> compare_with_reference([0.9, 0.4, 2.9, 1.0, 2.0, 6.1], truth).grade
    'poor'
    """
    lin = concordance(values, reference, level=level)
    within = within_fraction(values, reference, tolerance, level=level)
    ratio = median_ratio(values, reference, level=level)
    shown = concordance(values, reference, level=0.90).lower
    grade = _concordance_class(shown)
    if within.fraction < WITHIN_NEEDED:
        grade = "poor"
    return AgreementReport(
        grade=grade,
        verdict=_verdict(grade, lin, within, ratio),
        concordance=lin,
        within=within,
        bland_altman=bland_altman(values, reference, level=level),
        median_ratio=ratio,
        ols=ols(reference, values, level=level),
        deming=deming(reference, values, error_ratio, level=level),
        bisector=bisector(reference, values, level=level),
        units=units,
        n=lin.n,
    )


def _concordance_class(coefficient: float) -> str:
    return next(name for low, name in CONCORDANCE_CLASSES if coefficient >= low)


def _verdict(grade: str, lin: Concordance, within: Fraction, ratio: MedianRatio) -> str:
    """Return grade and reasons as a sentence."""
    band = f"{100 * within.tolerance:.0f} %"
    sentence = (
        f"{grade} agreement: concordance {lin.coefficient:.2f} "
        f"[{lin.lower:.2f}, {lin.upper:.2f}]; {100 * within.fraction:.1f} % of "
        f"{lin.n} pairs within {band} [{100 * within.lower:.1f}, "
        f"{100 * within.upper:.1f}], needed {100 * WITHIN_NEEDED:.0f} %; median ratio "
        f"{ratio.ratio:.2f} [{ratio.lower:.2f}, {ratio.upper:.2f}]"
    )
    estimated = _concordance_class(lin.coefficient)
    if estimated != grade and within.fraction >= WITHIN_NEEDED:
        sentence += f"; the estimate alone would be {estimated}: more pairs needed"
    return sentence


def replica_means(fluxes: xr.Dataset | pd.DataFrame) -> pd.DataFrame:
    """Average the pots of each variant over each hour, as one measurement.

    Parameters
    ----------
    fluxes : xarray.Dataset or pandas.DataFrame
        As for `tilth.chambers.hourly.hourly_fluxes`.

    Returns
    -------
    pandas.DataFrame
        ``variant``, ``hour`` (UTC), ``flux`` (mean over pots), ``flux_se`` (from the
        spread of the pots; NaN for one), ``replicas`` and ``n`` (cycles).

    Raises
    ------
    InputError
        As in `tilth.chambers.hourly.hourly_fluxes`.
    """
    groups = hourly_fluxes(fluxes).groupby(["variant", "hour"])
    means = groups.agg(
        flux=("flux", "mean"),
        flux_se=("flux", "sem"),
        replicas=("pot", "nunique"),
        n=("n", "sum"),
    )
    return means.reset_index()


def pair_with_reference(
    fluxes: xr.Dataset | pd.DataFrame, reference: xr.Dataset | pd.DataFrame
) -> pd.DataFrame:
    """Put hourly means of replicas beside the hourly means of a reference.

    Parameters
    ----------
    fluxes, reference : xarray.Dataset or pandas.DataFrame
        As for `tilth.chambers.hourly.hourly_fluxes`, the same variants and hours.

    Returns
    -------
    pandas.DataFrame
        ``variant``, ``hour``, ``flux``, ``flux_se``, ``replicas``, ``reference``,
        ``reference_se``; ``attrs["unpaired"]`` counts hours that either side has
        alone.

    Raises
    ------
    InputError
        If no variant and hour is common to both.
    """
    ours, theirs = replica_means(fluxes), replica_means(reference)
    theirs = theirs.rename(columns={"flux": "reference", "flux_se": "reference_se"})
    keys = ["variant", "hour"]
    pairs = ours.merge(theirs[[*keys, "reference", "reference_se"]], on=keys)
    if pairs.empty:
        raise InputError(
            "fluxes and reference have no variant and UTC hour in common: variants "
            f"{sorted(ours['variant'].unique())[:5]} and "
            f"{sorted(theirs['variant'].unique())[:5]}, from {ours['hour'].min()} and "
            f"{theirs['hour'].min()}"
        )
    pairs = pairs.drop(columns="n")
    pairs.attrs["unpaired"] = len(ours) + len(theirs) - 2 * len(pairs)
    return pairs
