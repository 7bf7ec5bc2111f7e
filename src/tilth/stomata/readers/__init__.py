"""Files of gas-exchange systems, and tables of any origin, as leaf observations."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS = {
    "read_gas_exchange": "gas_exchange",
    "COLUMNS": "gas_exchange",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
