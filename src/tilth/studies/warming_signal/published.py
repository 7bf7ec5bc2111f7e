"""What another program gets: changes by xsdba 0.7.0 with 50 nodes, linear, no jitter.

Means of both periods agree with it to 0.02 K and 1 % without groups, so changes do to
twice that; with months it interpolates between them differently.
"""

from __future__ import annotations

from tilth.studies.warming_signal.cases import CANADA, IBERIA

#: (case, variable, method, group) -> changes: at Vancouver and Amos between two periods
#: after training; over Iberia from the observations in training to the adjusted test
#: winters, mean of seven stations.
XSDBA: dict[tuple[str, str, str, str], tuple[float, ...]] = {
    (CANADA, "tasmax", "EQM", "none"): (4.323, 7.760),
    (CANADA, "tasmax", "QDM", "none"): (4.918, 4.918),
    (CANADA, "tasmax", "EQM", "month"): (3.838, 6.590),
    (CANADA, "tasmax", "QDM", "month"): (4.909, 4.912),
    (CANADA, "pr", "EQM", "none"): (1.026, 1.043),
    (CANADA, "pr", "QDM", "none"): (1.038, 1.045),
    (IBERIA, "tas", "EQM", "none"): (0.7880,),
    (IBERIA, "tas", "QDM", "none"): (0.7195,),
    (IBERIA, "pr", "EQM", "none"): (0.765,),
    (IBERIA, "pr", "QDM", "none"): (0.821,),
}

#: (variable is temperature, group) -> the rule a change must meet.
BARS = {
    (True, "none"): "within 0.02",
    (True, "month"): "within 0.05",
    (False, "none"): "within 1 %",
}
