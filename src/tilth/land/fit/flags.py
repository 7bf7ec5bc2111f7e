"""Why a cell was fitted in part or not at all."""

from tilth.core.flags import FlagTable

#: Bits of ``fit_flag``; zero where everything was fitted.
FIT_FLAGS = FlagTable(
    {
        "missing_weather": "a day of the training years has no weather: not fitted",
        "missing_target": "snow, soil or runoff is unknown on every training day: "
        "not fitted",
        "no_start": "some calendar month never has a known state on its eve: "
        "not fitted",
        "desert": "neither snow nor soil water nor runoff varies: not fitted",
        "snow_constant": "snow does not vary: it is not part of the fit",
        "soil_constant": "soil water does not vary: it is not part of the fit",
        "runoff_constant": "runoff does not vary: it is not part of the fit",
        "months_only": "the joint fit failed: the parameters are those of the months",
    }
)

#: The flags of cells that have no parameters.
SKIPPED = ("missing_weather", "missing_target", "no_start", "desert")
