"""Reference scores on ten Iberian winters, five folds, after the rank step.

Computed from the same data with scikit-learn, before this package had the method; mean
over targets, then over folds: correlation, rank correlation, RMSE in mm day-1, Heidke
score of 1 mm.
"""

#: Target set -> method -> scores.
REFERENCE = {
    "stations": {
        "bilinear + mapping": (0.582, 0.672, 6.138, 0.563),
        "ridge": (0.642, 0.694, 5.666, 0.597),
        "ridge, 3 x 3": (0.625, 0.693, 5.855, 0.585),
        "ridge, with dynamics": (0.664, 0.706, 5.599, 0.613),
        "Nystroem": (0.618, 0.698, 6.229, 0.603),
        "support vectors": (0.619, 0.697, 6.255, 0.591),
        "support vectors, default width": (0.580, 0.688, 6.623, 0.583),
        "support vectors, 3 x 3": (0.593, 0.690, 6.105, 0.592),
        "support vectors, with dynamics": (0.626, 0.709, 6.173, 0.600),
    },
    "cells": {
        "bilinear + mapping": (0.656, 0.681, 3.357, 0.594),
        "ridge": (0.724, 0.745, 3.060, 0.658),
        "ridge, 3 x 3": (0.715, 0.738, 3.127, 0.651),
        "ridge, with dynamics": (0.733, 0.756, 2.980, 0.669),
        "Nystroem": (0.722, 0.754, 3.191, 0.665),
        "support vectors": (0.721, 0.753, 3.192, 0.662),
        "support vectors, default width": (0.677, 0.745, 3.497, 0.657),
        "support vectors, 3 x 3": (0.701, 0.740, 3.254, 0.655),
        "support vectors, with dynamics": (0.713, 0.754, 3.234, 0.661),
    },
}

#: Bars of the default, after the rank step: set -> score -> rule.
BARS = {
    "stations": {
        "rank correlation": ">= 0.68",
        "Heidke score": ">= 0.575",
        "correlation": ">= 0.60",
        "RMSE": "<= 6.4",
    },
    "cells": {
        "rank correlation": ">= 0.73",
        "Heidke score": ">= 0.64",
        "correlation": ">= 0.70",
    },
}

#: Learnt 1983-88, tested 1989-92, 21 cells: correlation in time, and map correlations
#: of the mean and of the share of wet days.
MAPS = {
    "bilinear": (0.661, 0.65, 0.74),
    "bilinear + mapping": (0.645, 0.91, 0.77),
    "ridge": (0.724, 0.94, 0.94),
}
