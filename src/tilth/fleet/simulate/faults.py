"""What can go wrong with a chamber fleet: the kinds of faults and their defaults."""

from __future__ import annotations

from dataclasses import dataclass

#: Where a kind is applied. "records": the vectorised simulator of the samples;
#: "loop": the real firmware in virtual time. Both label what they apply.
MODES = ("records", "loop")


@dataclass(frozen=True)
class FaultKind:
    """One way to fail.

    Attributes
    ----------
    name : str
        As written in a plan and in the labels.
    what : str
        What happens.
    rate : float
        Episodes per device and day in the default plan; per fleet and day where
        `scope` is "fleet".
    hours : float
        Mean length, h; the lengths are exponential, limited by `shortest` and
        `longest`.
    size : float
        Median size, in `unit`; zero where the kind has none.
    spread : float
        Standard deviation of the logarithm of the size.
    unit : str
        Of the size.
    signed : bool
        Whether the size takes either sign.
    scope : str
        "device" or "fleet" (all devices at once).
    modes : tuple of str
        Where it can be applied, of `MODES`; a kind without any is listed, but a plan
        that asks for it is refused.
    group : str
        Kinds of one group exclude each other on a device; "" excludes nothing.
    shortest, longest : float
        Limits of the length, h.
    """

    name: str
    what: str
    rate: float
    hours: float
    size: float = 0.0
    spread: float = 0.0
    unit: str = ""
    signed: bool = False
    scope: str = "device"
    modes: tuple[str, ...] = MODES
    group: str = ""
    shortest: float = 0.1
    longest: float = 72.0


_LOOP = ("loop",)
_SECOND = 1.0 / 3600.0

# The list follows the fleet's own log of trouble (Paessler et al. 2024); rates are
# chosen so that each kind occurs a few times in a month of 85 devices, those of the
# lid and the pots nearer to the article's 5-20 % of the data. The order is that of
# the bits in the labels: append, never insert.
_KINDS = (
    FaultKind("stuck_closed", "the lid does not open any more", 0.010, 8, group="lid"),
    FaultKind("stuck_open", "the lid does not close any more", 0.010, 8, group="lid"),
    FaultKind(
        "half_open", "the lid does not seal: the leak is larger", 0.008, 8,
        size=20, spread=0.3, unit="times the leak", group="lid",
    ),
    FaultKind(
        "servo_stall", "the servo blocks, its current pulls the supply down and the "
        "device resets", 0.004, 1, size=3600, spread=0.2, unit="mV", group="lid",
        longest=6,
    ),
    FaultKind(
        "clogged", "the pot breathes no more: neither CO2 nor vapour", 0.010, 12,
        size=0.02, spread=0.3, unit="of the flux left", group="lid",
    ),
    FaultKind(
        "offset_drift", "the zero of the CO2 sensor walks away", 0.004, 48,
        size=25, spread=0.4, unit="ppm per day", signed=True,
    ),
    FaultKind(
        "gain_drift", "the span of the CO2 sensor walks away", 0.004, 48,
        size=0.03, spread=0.4, unit="per day", signed=True,
    ),
    FaultKind("frozen", "the CO2 sensor repeats one value", 0.006, 4, group="co2"),
    FaultKind("zero_ppm", "the CO2 sensor says 0 ppm", 0.004, 2, group="co2"),
    FaultKind(
        "crc_errors", "bursts of damaged readings", 0.010, 0.5, size=0.4, spread=0.3,
        unit="of the readings", group="co2", longest=6,
    ),
    FaultKind(
        "i2c_hang", "the sensor bus hangs: nothing can be read", 0.006, 0.4,
        group="co2", longest=4,
    ),
    FaultKind("light_saturation", "the light sensor is at its limit", 0.004, 3),
    FaultKind("light_error", "the light sensor cannot be read", 0.006, 2),
    FaultKind(
        "fan_dead", "the fan stands still: the air mixes slowly", 0.006, 24,
        size=4, spread=0.2, unit="times slower",
    ),
    FaultKind(
        "wifi_loss", "the device is off the net", 0.25, 0.5,
        shortest=10 * _SECOND, longest=72,
    ),
    FaultKind(
        "ap_flap", "the access point comes and goes", 0.05, 0.5, size=20,
        spread=0.3, unit="s without net in every minute", scope="fleet", longest=3,
    ),
    FaultKind("dns_failure", "names are not resolved", 0.03, 0.5, scope="fleet"),
    FaultKind("broker_down", "the broker is down", 0.05, 0.3, scope="fleet"),
    FaultKind(
        "clock_skew", "the device's clock runs fast or slow", 0.010, 48, size=150,
        spread=0.4, unit="ppm", signed=True,
    ),
    FaultKind(
        "ntp_jump", "the time server is wrong by an hour", 0.01, 1, size=3600,
        unit="s", signed=True, scope="fleet", modes=_LOOP,
    ),
    FaultKind("no_rtc", "the battery clock is empty at boot", 0.005, 6, modes=_LOOP),
    FaultKind(
        "year_2036", "the battery clock says 2036", 0.003, 6, size=2036, unit="year",
        modes=_LOOP,
    ),
    FaultKind(
        "duplicate", "batches arrive twice", 0.02, 1, size=0.2, spread=0.5,
        unit="of the batches",
    ),
    FaultKind(
        "reordered", "batches overtake each other", 0.02, 1, size=0.2, spread=0.5,
        unit="of the batches",
    ),
    FaultKind(
        "late", "batches are held back on the way", 0.02, 1, size=120, spread=1.0,
        unit="s",
    ),
    FaultKind(
        "seq_reset", "the device forgets how often it has started", 0.003, 0.1,
        modes=_LOOP,
    ),
    FaultKind("cloned", "a second device has the same address", 0.0, 6, modes=_LOOP),
    FaultKind(
        "wrong_location", "the location code was mistyped", 0.002, 12, size=1,
    ),
    FaultKind(
        "brownout_loop", "the supply is weak: the device restarts again and again",
        0.003, 0.3, size=20, spread=0.3, unit="s between restarts", longest=2,
    ),
    FaultKind(
        "flash_full", "the flash takes no more", 0.003, 6, modes=_LOOP,
    ),
    FaultKind(
        "flash_corrupt", "bits of the flash flip", 0.003, 0.1, size=4, spread=0.5,
        unit="bits", modes=_LOOP,
    ),
    FaultKind(
        "ota_truncated", "an update arrives cut short: the loader's own tests do it",
        0.0, 1, modes=(),
    ),
    FaultKind(
        "person_breathing", "somebody works near the chambers", 0.3, 0.5, size=200,
        spread=0.4, unit="ppm", scope="fleet", longest=2,
    ),
)  # fmt: skip

#: Name to kind; the place in this mapping is the bit in every label.
FAULT_KINDS: dict[str, FaultKind] = {kind.name: kind for kind in _KINDS}

#: Name to value of its bit in the labels.
FAULT_BITS: dict[str, int] = {name: 1 << i for i, name in enumerate(FAULT_KINDS)}


def fault_names(label: int) -> tuple[str, ...]:
    """Return the names of the faults in a label.

    Parameters
    ----------
    label : int
        Sum of bits of `FAULT_BITS`.

    Returns
    -------
    tuple of str
        Names in the order of the bits; empty for zero.

    Examples
    --------
    >>> fault_names(FAULT_BITS["stuck_open"] | FAULT_BITS["frozen"])
    ('stuck_open', 'frozen')
    """
    return tuple(name for name, bit in FAULT_BITS.items() if int(label) & bit)
