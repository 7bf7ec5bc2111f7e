"""What a fit of the emulator can be told, and what it does by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tilth.core.errors import InputError

#: The targets, in the order of `tilth.land.fit.record.Record`.
TARGETS = ("snow", "soil", "wetland", "runoff")

#: Ways to search a month.
METHODS = ("gradient", "evolution")


@dataclass(frozen=True)
class FitSettings:
    """How the emulator is fitted; one set of settings serves all cells.

    Parameters
    ----------
    method : {"gradient", "evolution"}
        How a month is searched: Levenberg-Marquardt from several places, or
        differential evolution and Levenberg-Marquardt from its best.
    starts : int
        Places from which a month is refined, the neutral one among them.
    candidates : int
        Points of a Sobol sequence, the best of which become starts.
    generations : int
        Largest number of generations of the evolution.
    month_iterations, joint_iterations : int
        Largest number of evaluations.
    month_tolerance, joint_tolerance : float
        A search ends after two steps that gain less than this share of the loss; of the
        joint loss, which is a logarithm, less than this.
    month_pull : float
        Strength of the pull of a month's values to the neutral ones, relative to the
        published objective: it settles what the data leave open, and no more.
    joint : bool
        Whether all months are refined together in free runs.
    joint_pull : float
        Strength of the pull of the joint values to those of the months, for one
        training year; it weighs less the more years there are.
    smoothness : float
        Strength of the penalty on differences of neighbouring months.
    window_years, window_step : int
        Length of a free run, and years from the start of one to that of the next.
    unscored : int
        Days at the start of a free run that are not scored.
    volume_weight : float
        Weight of the squared relative error of a window's runoff.
    weights : mapping of str to float
        By which the weights of the targets ``snow``, ``soil``, ``wetland`` and
        ``runoff`` are multiplied, where not by one.
    runoff_share : float
        Share of refused water that runs off at once, where the joint fit starts.
    members : int
        Members of the joint fit, see `tilth.land.fit.ensemble`.
    seed : int
        Of every random draw. All cells share the draws, so that a cell's fit does not
        depend on which others are fitted.

    Raises
    ------
    InputError
        If a value cannot be.

    Notes
    -----
    The defaults of the joint fit were chosen on nine mountain cells of VIC 5, fitted to
    the years from 1961 to 1980 and to 1990 and run freely through the ten years that
    follow, which are all training years of the test in 2001-2005. Mean Nash-Sutcliffe
    efficiencies of snow, soil and runoff there: months alone .971, .805, .733; windows
    of five years .978, .889, .854; with smoothness .978, .903, .853; and without the
    first 200 days .980, .902, .853. Long windows and late scores hold snow that the
    emulator piled up itself, not snow that it was given.
    """

    method: str = "gradient"
    starts: int = 4
    candidates: int = 32
    generations: int = 150
    month_iterations: int = 60
    month_tolerance: float = 1e-4
    month_pull: float = 1e-3
    joint: bool = True
    joint_iterations: int = 60
    joint_tolerance: float = 1e-3
    joint_pull: float = 0.1
    smoothness: float = 0.05
    window_years: int = 5
    window_step: int = 5
    unscored: int = 200
    volume_weight: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict)
    runoff_share: float = 0.3
    members: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(
                f"no method {self.method!r}: choose one of {', '.join(METHODS)}"
            )
        for name in ("starts", "window_years", "window_step"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        for name in (
            "candidates",
            "generations",
            "month_iterations",
            "joint_iterations",
            "month_pull",
            "joint_pull",
            "smoothness",
            "unscored",
            "volume_weight",
            "members",
        ):
            if not getattr(self, name) >= 0:
                raise InputError(
                    f"{name} must not be negative, got {getattr(self, name)}"
                )
        if self.unscored >= 365 * self.window_years:
            raise InputError(
                f"windows of {self.window_years} years are over before day "
                f"{self.unscored}: score earlier (unscored) or run longer "
                "(window_years)"
            )
        unknown = set(self.weights) - set(TARGETS)
        if unknown or not all(weight >= 0 for weight in self.weights.values()):
            raise InputError(
                "weights are factors of at least zero for "
                f"{', '.join(TARGETS)}; got {dict(self.weights)}"
            )
