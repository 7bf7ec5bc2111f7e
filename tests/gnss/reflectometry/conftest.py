"""Days of signal-to-noise ratios made up over a plane reflector."""

import numpy as np
import pytest

from tilth.gnss.reflectometry.signals import signal_of, wavelength
from tilth.gnss.reflectometry.snr_days import snr_day


@pytest.fixture
def made_day():
    """Return a function that makes a day of passes over a plane at a given height.

    Each satellite rises from 3 to 31 degrees in an hour, every `every` seconds, and the
    direct signal is a parabola; noise is in V/V, its neighbours alike by `alike`.
    """

    def make(
        height=2.0,
        satellites=range(1, 33),
        passes=1,
        signal=1,
        noise=0.0,
        alike=0.0,
        amplitude=12.0,
        seed=0,
        every=30.0,
        minutes=65.0,
        first_second=3600.0,
        **about,
    ):
        rng = np.random.default_rng(seed)
        t = np.arange(0.0, 60.0 * minutes, every)
        columns = []
        for satellite in satellites:
            for k in range(passes):
                e = 3.0 + 28.0 * t / t[-1] + rng.uniform(-0.2, 0.2)
                scatter = rng.standard_normal(t.size)
                for i in range(1, t.size):
                    fresh = np.sqrt(1 - alike**2) * scatter[i]
                    scatter[i] = alike * scatter[i - 1] + fresh
                phase = rng.uniform(0, 2 * np.pi)
                x = 2.0 * np.sin(np.radians(e)) / wavelength(satellite, signal)
                swing = amplitude * np.cos(2 * np.pi * height * x + phase)
                ratio = 80.0 + 6.0 * e - 0.08 * e**2 + swing + noise * scatter
                columns.append(
                    (
                        np.full(t.size, satellite),
                        e,
                        np.full(t.size, 90.0),
                        t + first_second + 10000.0 * k,
                        20.0 * np.log10(np.maximum(ratio, 1.2)),
                    )
                )
        satellite, e, azimuth, second, ratio = map(
            np.concatenate, zip(*columns, strict=True)
        )
        return snr_day(
            satellite,
            e,
            azimuth,
            second,
            {signal_of(signal).band: ratio},
            **({"station": "plan", "date": "2024-07-01"} | about),
        )

    return make
