"""What is printed elsewhere: on the slides of Li et al., and by other open tools.

The slides show *Pinus sylvestris* in Finland (61.51 N, 24.17 E, June to August
2006-2008), whose data are not open: their numbers stand beside ours, and no bar hangs
on them. The reference on our leaves comes from scikit-learn with the same rows and
folds.
"""

from __future__ import annotations

import pandas as pd

#: Name of the world of measured leaves, of that without sensing, and of that with it.
REAL, NULL, SENSING = "measured", "null world", "sensing world"

#: Columns of the slides' table of errors, as text.
BINS = ("< -1", "-1 to -0.5", "-0.5 to 0", "0 to 0.5", "0.5 to 1", "1 to 1.5", "> 1.5")

#: Root-mean-square errors by temperature difference on the slides, mol m-2 s-1 (units
#: are not printed), by model and experiment: E1 VPD, An, CO2; E3 with leaf
#: temperature; E4 with the difference.
SLIDES_ERRORS = {
    ("Medlyn", "E1"): (0.13, 0.07, 0.037, 0.04, 0.032, 0.032, 0.039),
    ("conv net", "E1"): (0.14, 0.07, 0.039, 0.037, 0.029, 0.028, 0.036),
    ("conv net", "E3"): (0.1, 0.051, 0.034, 0.036, 0.027, 0.026, 0.03),
    ("conv net", "E4"): (0.035, 0.018, 0.014, 0.014, 0.009, 0.008, 0.006),
}

#: Gain of R2 from E2 to E4 on the slides, % of that of E2.
SLIDES_GAIN = {"forest": 15.8, "support vectors": 31.0, "conv net": 35.7}

#: Rank of the temperature difference on the slides, in all three learners.
SLIDES_RANK = 2

#: R2 on the measured leaves, shuffled five folds (seed 0), with scikit-learn: forest of
#: 300 trees, support vectors with C = 1 and a tube of 0.01.
REFERENCE = {
    "Medlyn": {"E1": 0.473},
    "forest": {
        "E1": 0.551,
        "E2": 0.601,
        "E3": 0.658,
        "E4": 0.754,
        "E5": 0.765,
        "E6": 0.689,
    },
    "support vectors": {
        "E1": 0.507,
        "E2": 0.586,
        "E3": 0.684,
        "E4": 0.759,
        "E5": 0.793,
        "E6": 0.725,
    },
}

#: Medlyn's parameters of the measured leaves, mol m-2 s-1 and kPa^0.5, by non-linear
#: least squares.
REFERENCE_FIT = {"g0": 0.09098, "g1": 2.1798}

#: Accumulated effect of the difference in a forest (E4) by PyALE: K, mol m-2 s-1.
REFERENCE_EFFECT = {
    -2.09: 0.141,
    -0.46: 0.030,
    -0.06: -0.017,
    0.03: -0.038,
    1.5: -0.086,
}


def slides_errors() -> pd.DataFrame:
    """Return the slides' errors in the shape of `tilth.stomata.errors_by_difference`.

    Returns
    -------
    pandas.DataFrame
        ``learner``, ``experiment``, ``low``, ``high``, ``n`` and ``rmse_se`` (not
        printed there: missing) and ``rmse``.
    """
    edges = [-float("inf"), -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, float("inf")]
    return pd.DataFrame(
        [
            {
                "learner": learner,
                "experiment": experiment,
                "low": edges[k],
                "high": edges[k + 1],
                "n": float("nan"),
                "rmse": value,
                "rmse_se": float("nan"),
            }
            for (learner, experiment), values in SLIDES_ERRORS.items()
            for k, value in enumerate(values)
        ]
    )
