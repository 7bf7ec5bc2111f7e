"""An emulator of any land model: three stores, fifteen parameters per month."""

from tilth.core.lazy import table_of_contents

_CONTENTS = {
    "CLOSED": "parameters",
    "PARAMETERS": "parameters",
    "VARIANTS": "variants",
    "Emulator": "model",
    "Fluxes": "variants",
    "Forcing": "variants",
    "State": "variants",
    "Variant": "variants",
    "as_targets": "output",
    "bounds": "parameters",
    "fitted_dataset": "fitted",
    "months_of_days": "days",
    "to_daily": "days",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
