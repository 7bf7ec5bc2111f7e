"""The land surface: a process model with gradients, and a fast emulator of any.

``model`` is the process model, ``emulator`` runs what ``fit`` has fitted to a land
model's output as ``readers`` read it; here is how an emulator is judged.
"""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "simulated_weather": "simulate",
    "free_run": "free_runs",
    "skill_card": "skill",
    "card_text": "skill_report",
    "summary_table": "skill_report",
    "write_card": "skill_report",
    "all_accepted": "skill_report",
    "plot_skill": "skill_plots",
    "plot_hydrographs": "skill_plots",
    "plot_scatter": "skill_plots",
    "plot_training": "skill_plots",
    "day_of_year_climatology": "climatology",
    "climatology_forecast": "climatology",
    "persistence_forecast": "climatology",
    "training_effect": "training",
    "last_years": "training",
    "stack_cells": "cells",
    "unstack_cells": "cells",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
