"""What can be set, with its default, its limits and where the default comes from.

Two files: `/secret.json`, written when the device is prepared (network, broker,
keys) and never changed by the device, and `/state/config.json`, what the fleet's
operator changed since by the command "config".
"""

from . import keep

SECRET = "/secret.json"
CONFIG = "/state/config.json"

# name: (default, lowest, highest) or (default, choices). Times in ms.
# "Paessler 2024": the fluxmeter article of the Carbdown project. "D": chosen here.
MEASURING = {
    # One cycle every ten minutes, closed for three (Paessler 2024).
    "period_ms": (600_000, 300_000, 7_200_000),
    "closed_ms": (180_000, 60_000, 600_000),
    # Firmware version 6: up to two minutes more below 5 ppm of change.
    "extend_ms": (120_000, 0, 600_000),
    "enough": (50, 1, 10_000),  # 0.1 ppm
    # "raw": this sample less the one at closing (Paessler 2024). "median": median of
    # the last five less median of the first five after the dead-band (D: two samples
    # of a sensor with a repeatability of 10 ppm differ by more than 5 ppm by chance).
    "rule": ("raw", ("raw", "median")),
    "dead_band_ms": (15_000, 0, 60_000),
    "width": (5, 1, 15),
    "sample_ms": (3_000, 2_000, 60_000),  # Paessler 2024, prototype 4
    # Pulses of 0.5 s "every few seconds" (Paessler 2024); every 5 s: D.
    "fan_pulse_ms": (500, 100, 1_500),
    "fan_period_ms": (5_000, 2_000, 60_000),
    "flush_ms": (60_000, 5_000, 300_000),  # D
    # Rest positions 90 degrees apart (Paessler 2024); 7.41 us per degree.
    "lid_open_us": (500, 500, 2_500),
    "lid_closed_us": (1_167, 500, 2_500),
    # 0.9 s for 270 degrees by the servo's data sheet, and reserve: D.
    "leg_ms": (1_500, 500, 5_000),
    "reboot_ms": (21_600_000, 0, 2_592_000_000),  # Paessler 2024: 6 h; 0: never
    "reboot_jitter_ms": (600_000, 0, 3_600_000),  # D
    # First cycle after a start without a clock: time for the network. D.
    "first_ms": (60_000, 0, 600_000),
    "co2_interval_s": (2, 2, 30),  # data sheet: response time 20 s at 2 s
    "batch_ms": (15_000, 3_000, 600_000),  # D: five samples
    "low_mv": (4_600, 0, 6_000),  # D: servo and sensor want 4.8 V and 3.3 V
    "hold_ms": (3_600_000, 0, 86_400_000),  # D: lid stays open after "open"
}

# What a device needs to reach its fleet; only ever read from `/secret.json`.
SECRETS = {
    "mqtt_host": "",
    "mqtt_port": 8883,
    "mqtt_user": "",
    "mqtt_password": "",
    "mqtt_tls": True,
    "mqtt_ca": "/ca.der",
    "command_key": "",
    "firmware_key": "",
    "ntp_host": "pool.ntp.org",
    "wifi": [],
}


def defaults():
    """Every setting at its default."""
    out = dict(SECRETS)
    for name, limits in MEASURING.items():
        out[name] = limits[0]
    out["cfg"] = ""
    return out


def load(fs):
    """Return this device's settings: defaults, secrets, what the operator changed.

    What is not legal in a file is left at its default: a device that measures by
    the defaults is worth more than one that does not start.
    """
    out = defaults()
    secret = keep.load_plain(fs, SECRET, {})
    if isinstance(secret, dict):
        out.update(secret)
    changes = keep.load(fs, CONFIG, {})
    if isinstance(changes, dict):
        for name, value in changes.items():
            if name == "cfg" or problem_of(name, value) is None:
                out[name] = value
    if problem(out) is not None:
        for name, limits in MEASURING.items():
            out[name] = limits[0]
    return out


def change(settings, changes):
    """Check changes all together; return the settings with them.

    Parameters
    ----------
    settings : dict
        The settings in force; not changed.
    changes : dict
        New values of some of `MEASURING`.

    Raises
    ------
    ValueError
        Which names the setting and its limits; then none of them holds.
    """
    out = dict(settings)
    for name, value in changes.items():
        why = problem_of(name, value)
        if why is not None:
            raise ValueError(why)
        out[name] = value
    why = problem(out)
    if why is not None:
        raise ValueError(why)
    return out


def save(fs, settings):
    """Keep what differs from the defaults; False if flash refuses."""
    kept = {"cfg": settings["cfg"]}
    for name, limits in MEASURING.items():
        if settings[name] != limits[0]:
            kept[name] = settings[name]
    return keep.save(fs, CONFIG, kept)


def problem_of(name, value):
    """Why a single value is not legal, or None."""
    limits = MEASURING.get(name)
    if limits is None:
        return "%s: cannot be set" % name
    if len(limits) == 2:
        if value in limits[1]:
            return None
        return "%s: one of %s" % (name, ", ".join(limits[1]))
    if isinstance(value, bool) or not isinstance(value, int):
        return "%s: a whole number" % name
    if not limits[1] <= value <= limits[2]:
        return "%s: %d to %d" % (name, limits[1], limits[2])
    return None


def problem(s):
    """Why settings do not go together, or None."""
    sample = s["sample_ms"]
    for name in ("period_ms", "closed_ms", "extend_ms"):
        if s[name] % sample:
            return "%s: whole samples of %d ms" % (name, sample)
    # Six legs, each rounded up to the grid at worst, and a rest in open air.
    needed = s["closed_ms"] + s["extend_ms"] + s["flush_ms"] + 6 * s["leg_ms"]
    needed += 3 * sample + 60_000
    if needed > s["period_ms"]:
        return "period_ms: at least %d" % needed
    if s["width"] * 2 * sample + s["dead_band_ms"] > s["closed_ms"]:
        return "width: the two medians do not fit into closed_ms"
    if abs(s["lid_open_us"] - s["lid_closed_us"]) < 100:
        return "lid_closed_us: is open"
    if s["fan_pulse_ms"] * 2 > s["fan_period_ms"]:
        return "fan_pulse_ms: at most half of fan_period_ms"
    if s["fan_pulse_ms"] + 500 > sample:
        return "fan_pulse_ms: does not fit between two samples"
    if 0 < s["reboot_ms"] < 2 * s["period_ms"]:
        return "reboot_ms: at least two periods"
    return None
