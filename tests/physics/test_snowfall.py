import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tilth.physics.moist_air import saturation_specific_humidity
from tilth.physics.snowfall import snow_share


def test_half_falls_as_snow_at_the_wet_bulb_temperature_of_the_fit():
    # Where 6.99e-5 exp(2 (Tw + 3.97)) = 1; saturated air, so that Tw = T.
    wet_bulb = 273.15 - np.log(6.99e-5) / 2.0 - 3.97
    humidity = saturation_specific_humidity(wet_bulb, 1e5)
    np.testing.assert_allclose(snow_share(wet_bulb, humidity, 1e5), 0.5, atol=1e-5)


def test_dry_air_snows_where_humid_air_rains():
    air = 276.0
    humid = saturation_specific_humidity(air, 1e5)
    assert snow_share(air, 0.2 * humid, 1e5) > 0.8
    assert snow_share(air, humid, 1e5) < 0.1


@given(st.floats(220.0, 320.0), st.floats(0.0, 1.0), st.floats(0.1, 5.0))
def test_warmer_air_of_the_same_humidity_snows_less(air, relative, warming):
    shares = [
        float(snow_share(t, relative * saturation_specific_humidity(air, 9e4), 9e4))
        for t in (air, air + warming)
    ]
    assert 0.0 <= shares[1] <= shares[0] <= 1.0
