"""Satellites stand where independent geometry, precise orbits and ranges put them."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tilth.core.errors import InputError
from tilth.gnss.rinex.broadcast import GLONASS_REACH, KEPLER_REACH, BroadcastOrbits
from tilth.gnss.rinex.navigation import read_navigation
from tilth.gnss.rinex.observations import read_observations
from tilth.gnss.rinex.orbits import (
    from_geodetic,
    geodetic,
    look_angles,
    open_orbits,
    up_north_east,
)
from tilth.gnss.rinex.precise import PreciseOrbits
from tilth.gnss.rinex.sp3 import read_sp3
from tilth.gnss.rinex.times import gps_seconds, gps_time

LIGHT = 299792458.0
WEEK = gps_seconds(np.datetime64("2018-07-15"))
FIRST = 4 * 86400.0


def grid(sky, count=200, first=FIRST, last=FIRST + 86400.0):
    """Satellites and seconds of the week, all satellites at all times."""
    names = list(sky.elements)
    second = np.linspace(first, last, count)
    return np.repeat(names, count), np.tile(second, len(names))


def truth(sky, satellite, second):
    return np.array([sky.fixed(s, t) for s, t in zip(satellite, second, strict=True)])


@pytest.mark.realdata
def test_left_out_epochs_of_real_orbits_are_found_again_within_a_decimetre(dataset):
    """Every other epoch left out: nodes 1800 s apart, half of what files have."""
    table = read_sp3(dataset("rinex-examples") / "igs19362.sp3c")
    assert table.sizes["satellite"] == 32
    assert table.sizes["time"] == 96
    half = PreciseOrbits(table.isel(time=slice(None, None, 2)))
    left_out = table.isel(time=slice(1, None, 2))
    time = left_out["time"].values
    error = []
    for k, satellite in enumerate(table["satellite"].values):
        found, _ = half.states(np.full(time.size, satellite), time)
        error.append(np.linalg.norm(found - left_out["position"].values[:, k], axis=1))
    error = np.array(error)
    assert np.nanmax(error[:, 5:-5]) < 0.1  # centred; at the ends of the file:
    assert np.nanmax(error[:, 1:-2]) < 1.0
    # A metre is 3e-6 degrees; the last epoch, beyond the last node, has 80 m.
    assert np.nanmax(error) < 100.0


@pytest.mark.realdata
def test_epochs_of_a_file_come_back_to_its_rounding(dataset):
    table = read_sp3(dataset("rinex-examples") / "igs19362.sp3c")
    orbits = PreciseOrbits(table)
    time = table["time"].values
    found, _ = orbits.states(np.full(time.size, 7), time)
    np.testing.assert_allclose(found, table["position"].sel(satellite=7), atol=1e-6)


def test_precise_orbits_keep_the_rounding_of_the_file(tmp_path, sky):
    orbits = open_orbits([sky.write_sp3(tmp_path / "made.sp3")])
    satellite, second = grid(sky)
    found, velocity = orbits.states(satellite, WEEK + second)
    np.testing.assert_allclose(found, truth(sky, satellite, second), atol=5e-3)
    rate = truth(sky, satellite, second + 0.5) - truth(sky, satellite, second - 0.5)
    np.testing.assert_allclose(velocity, rate, atol=1e-4)


def test_messages_of_circles_give_the_circles(tmp_path, sky):
    orbits = open_orbits([sky.write_messages(tmp_path / "made.rnx")])
    satellite, second = grid(sky)
    found, velocity = orbits.states(satellite, WEEK + second)
    # Twelve digits of a root of the axis of 5e3 are 5e-9 of it, 0.05 mm of the axis;
    # of an angle of 3 rad 0.1 mm.
    np.testing.assert_allclose(found, truth(sky, satellite, second), atol=2e-2)
    rate = truth(sky, satellite, second + 0.5) - truth(sky, satellite, second - 0.5)
    np.testing.assert_allclose(velocity, rate, atol=1e-4)


@pytest.mark.realdata
def test_velocities_are_the_derivative_of_positions_of_real_messages(dataset):
    """All terms of the elements, which circles do not have."""
    orbits = BroadcastOrbits(
        read_navigation(dataset("rinex-examples") / "ab422100.18n")
    )
    satellite = np.repeat(np.unique(orbits.satellite), 3)
    time = orbits.time[np.searchsorted(orbits.satellite, satellite)]
    time = time + np.tile([100.0, 1500.0, 3000.0], satellite.size // 3)
    _, velocity = orbits.states(satellite, time)
    after, _ = orbits.states(satellite, time + 0.5)
    before, _ = orbits.states(satellite, time - 0.5)
    np.testing.assert_allclose(velocity, after - before, atol=1e-4)


@pytest.mark.realdata
def test_neighbouring_messages_agree_on_where_a_satellite_is(dataset):
    """Independent sets of elements, two hours apart, meet within metres half-way."""
    table = read_navigation(dataset("rinex-examples") / "ab422100.18n")
    gaps = []
    for satellite in np.unique(table["satellite"].values)[:10]:
        own = table.isel(record=np.flatnonzero(table["satellite"].values == satellite))
        time = own["element_time"].values
        for k in np.flatnonzero(np.diff(time) == 7200.0):
            one = BroadcastOrbits(own.isel(record=[k]))
            other = BroadcastOrbits(own.isel(record=[k + 1]))
            middle = time[k] + 3600.0
            a, _ = one.states([satellite], [middle])
            b, _ = other.states([satellite], [middle])
            gaps.append(np.linalg.norm(a - b))
    assert len(gaps) > 20
    assert np.median(gaps) < 2.0
    assert np.max(gaps) < 10.0


@pytest.mark.realdata
def test_ranges_of_a_real_receiver_fit_its_satellites_once_its_clock_is_right(dataset):
    """Pseudoranges of Galileo against broadcast orbits at the station of the header.

    The receiver saw no GPS and its file is 3 s late, as of a time from GLONASS with
    15 leap seconds in place of 18; ranges are ambiguous by 20 ms. With 3.0 s the
    differences between satellites vanish but for the signal's way through the air and
    the clock's own error; with any other number they are hundreds of metres.
    """
    folder = dataset("rinex-examples")
    table = read_navigation(folder / "CEDA00USA_R_20182100000_01D_MN.rnx.gz")
    orbits = BroadcastOrbits(table)
    rows = read_observations(
        folder / "CEDA00USA_R_20182100000_23H_15S_MO.rnx.gz", ["C1C"]
    )
    table = table.sortby(["satellite", "element_time"])
    place = rows.attrs["position"]
    late = {}
    for clock in (0.0, 2.5, 3.0, 3.5, 18.0):
        time = gps_seconds(rows["time"].values) + clock
        satellite = rows["satellite"].values
        way = np.full(time.size, 0.08)
        for _ in range(3):
            at, velocity = orbits.states(satellite, time - way)
            turn = 7.2921151467e-5 * way
            x = np.cos(turn) * at[:, 0] + np.sin(turn) * at[:, 1]
            y = np.cos(turn) * at[:, 1] - np.sin(turn) * at[:, 0]
            line = np.column_stack([x, y, at[:, 2]]) - place
            way = np.linalg.norm(line, axis=1) / LIGHT
        record = orbits._nearest(satellite, time)
        since = time - table["clock_time"].values[record]
        offset = table["clock_offset"].values[record]
        offset = offset + table["clock_drift"].values[record] * since
        offset = offset - 2.0 * (at * velocity).sum(1) / LIGHT**2
        elevation, _, _ = look_angles(orbits, place, satellite, time)
        air = 2.0 / np.sin(np.radians(np.clip(elevation, 5, 90)))
        left = rows["C1C"].values - way * LIGHT + LIGHT * offset - air
        good = (record >= 0) & (elevation > 10) & np.isfinite(left)
        epoch, row = np.unique(time[good], return_inverse=True)
        # Differences to the first satellite of the epoch, without whole 20 ms.
        first = np.full(epoch.size, np.nan)
        first[row[::-1]] = left[good][::-1]
        difference = left[good] - first[row]
        difference -= 0.02 * LIGHT * np.rint(difference / (0.02 * LIGHT))
        late[clock] = np.median(np.abs(difference[np.abs(difference) > 0]))
    assert late[3.0] < 30.0
    assert min(value for clock, value in late.items() if clock != 3.0) > 200.0


def test_glonass_follows_the_equations_of_motion(tmp_path):
    """Against an integration in the frame that does not rotate, by another method."""
    gravity, j2, radius, turn = 3.986004418e14, 1.0826257e-3, 6378136.0, 7.292115e-5
    start = np.array([11e6, -15e6, 17.6e6])
    fixed = np.array([1900.0, -700.0, -1750.0])

    def pull(_, state):
        x, y, z = state[:3]
        r = np.linalg.norm(state[:3])
        flat = 1.5 * j2 * gravity * radius**2 / r**5
        level = -gravity / r**3 - flat * (1 - 5 * z * z / r**2)
        upright = -gravity / r**3 - flat * (3 - 5 * z * z / r**2)
        return [*state[3:], level * x, level * y, upright * z]

    still = fixed + np.cross([0, 0, turn], start)
    spans = np.array([-1795.0, -900.0, -31.0, 0.0, 14.0, 613.0, 900.0, 1795.0])
    wanted = []
    for span in spans:
        found = solve_ivp(
            pull, (0, span or 1e-9), [*start, *still], method="DOP853",
            rtol=1e-12, atol=1e-6,
        ).y[:, -1]  # fmt: skip
        angle = turn * span
        c, s = np.cos(angle), np.sin(angle)
        x, y, z = found[:3]
        wanted.append([c * x + s * y, c * y - s * x, z])
    path = tmp_path / "made.rnx"
    path.write_text(glonass_file(start, fixed))
    orbits = open_orbits([path])
    assert orbits.glonass_channels == {7: -4}
    # The message is in UTC, 18 s behind.
    moment = gps_seconds(np.datetime64("2018-07-19T12:15:18"))
    found, velocity = orbits.states(np.full(spans.size, 107), moment + spans)
    np.testing.assert_allclose(found, wanted, atol=0.02)
    after, _ = orbits.states(np.full(spans.size, 107), moment + spans + 0.5)
    before, _ = orbits.states(np.full(spans.size, 107), moment + spans - 0.5)
    np.testing.assert_allclose(velocity, after - before, atol=1e-3)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("more", [False, True])
def test_glonass_messages_of_both_versions_are_the_same(tmp_path, version, more):
    start, speed = np.array([11e6, -15e6, 17.6e6]), np.array([1900.0, -700.0, -1750.0])
    path = tmp_path / "made.rnx"
    path.write_text(glonass_file(start, speed, version, more and version == 3) * 1)
    table = read_navigation(path)
    assert table["satellite"].values.tolist() == [107, 107]
    assert gps_time(table["element_time"].values[0]) == np.datetime64(
        "2018-07-19T12:15:18"
    )
    assert table["x"].values[0] == 11e3
    assert table["z_velocity"].values[1] == -1.75
    assert table["channel"].values.tolist() == [-4, -4]


def glonass_file(start, speed, version=3, more=False):
    """Navigation messages of one satellite: twice the same, an hour apart."""
    kind = "N: GNSS NAV DATA    R: GLONASS" if version == 3 else "GLONASS NAV DATA"
    text = (
        f"{version + 0.01 * (version == 2):9.2f}{'':11}{kind:<40}RINEX VERSION / TYPE\n"
    )
    text += f"{'':60}END OF HEADER\n"
    for hour in (12, 13):
        if version == 3:
            text += f"R07 2018 07 19 {hour} 15 00"
        else:
            text += f" 7 18  7 19 {hour} 15  0.0"
        text += "".join(f"{v:19.12E}" for v in (0.0, 0.0, 0.0)) + "\n"
        for x, v, other in zip(start / 1e3, speed / 1e3, (0.0, -4.0, 0.0), strict=True):
            row = "".join(f"{n:19.12E}" for n in (x, v, 0.0, other))
            text += " " * (version + 1) + (
                row if version == 3 else row.replace("E", "D")
            )
            text += "\n"
        if more:
            text += "    " + f"{0.0:19.12E}" * 4 + "\n"
    return text


def test_a_message_is_used_as_long_as_it_holds_and_no_longer(tmp_path, sky):
    kepler = open_orbits([sky.write_messages(tmp_path / "k.rnx", step=1e6)])
    for beyond, known in ((KEPLER_REACH - 1, True), (KEPLER_REACH + 1, False)):
        found, _ = kepler.states([1], [WEEK + FIRST + beyond])
        assert np.isfinite(found).all() == known
    path = tmp_path / "g.rnx"
    path.write_text(
        glonass_file(np.array([11e6, -15e6, 17.6e6]), np.array([1900.0, -700, -1750]))
    )
    moment = gps_seconds(np.datetime64("2018-07-19T13:15:18"))
    glonass = open_orbits([path])
    for beyond, known in ((GLONASS_REACH - 1, True), (GLONASS_REACH + 1, False)):
        found, _ = glonass.states([107], [moment + beyond])
        assert np.isfinite(found).all() == known
    assert np.isnan(glonass.states([108], [moment])[0]).all()


def test_precise_orbits_end_an_interval_beyond_the_file_and_in_gaps(tmp_path, sky):
    table = read_sp3(sky.write_sp3(tmp_path / "a.sp3"))
    orbits = PreciseOrbits(table)
    last = float(table["time"].values[-1])
    found, _ = orbits.states([1, 1], [last + 899.0, last + 901.0])
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()
    # Some metres at the end of the extrapolation: 1e-5 degrees.
    assert np.linalg.norm(found[0] - sky.fixed(1, last + 899.0 - WEEK)) < 30.0
    gappy = table.copy(deep=True)
    gappy["position"][20:24, 0] = np.nan
    middle = float(table["time"].values[22])
    orbits = PreciseOrbits(gappy)
    found, _ = orbits.states([1, 3], [middle, middle])
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


def test_days_that_follow_each_other_are_joined_without_an_edge(tmp_path, sky):
    one = read_sp3(sky.write_sp3(tmp_path / "a.sp3", FIRST - 86400.0, FIRST - 900.0))
    two = read_sp3(sky.write_sp3(tmp_path / "b.sp3", FIRST, FIRST + 85500.0))
    orbits = PreciseOrbits([two, one])
    second = np.linspace(FIRST - 1800.0, FIRST + 1800.0, 61)
    found, _ = orbits.states(np.full(61, 9), WEEK + second)
    np.testing.assert_allclose(found, sky.fixed(9, second), atol=5e-3)


def test_precise_orbits_come_before_messages_and_messages_fill_the_rest(tmp_path, sky):
    precise = sky.write_sp3(tmp_path / "a.sp3", FIRST, FIRST + 43200.0)
    both = open_orbits([sky.write_messages(tmp_path / "k.rnx"), precise])
    alone = open_orbits([precise])
    time = WEEK + np.array([FIRST + 20000.0, FIRST + 60000.0])
    found, _ = both.states([6, 6], time)
    np.testing.assert_array_equal(found[0], alone.states([6], time[:1])[0][0])
    assert np.isnan(alone.states([6], time[1:])[0]).all()
    np.testing.assert_allclose(found[1], sky.fixed(6, FIRST + 60000.0), atol=0.02)


@pytest.mark.parametrize("kind", ["precise", "broadcast"])
def test_angles_are_those_of_geometry_in_a_frame_that_does_not_rotate(
    tmp_path, sky, kind
):
    path = tmp_path / "orbits"
    orbits = open_orbits(
        [sky.write_sp3(path) if kind == "precise" else sky.write_messages(path)]
    )
    second = np.linspace(FIRST, FIRST + 86400.0, 500)
    for satellite in sky.elements:
        elevation, azimuth, rate = look_angles(
            orbits, sky.station, np.full(500, satellite), WEEK + second
        )
        wanted, heading = sky.sight(satellite, second)
        np.testing.assert_allclose(elevation, wanted, atol=1e-6)
        turn = (azimuth - heading + 180.0) % 360.0 - 180.0
        assert np.abs(turn * np.cos(np.radians(wanted))).max() < 1e-6
        after = sky.sight(satellite, second + 0.5)[0]
        before = sky.sight(satellite, second - 0.5)[0]
        np.testing.assert_allclose(rate, after - before, atol=2e-5)


def test_places_go_to_geodetic_coordinates_and_back():
    for latitude, longitude, height in (
        (71.3, -156.6, 20.0),
        (-26.36, 148.1, 534.6),
        (0.0, 180.0, 0.0),
        (89.999, 10.0, 3000.0),
    ):
        place = from_geodetic(latitude, longitude, height)
        np.testing.assert_allclose(
            geodetic(place), [latitude, longitude, height], atol=1e-6
        )
        axes = up_north_east(place)
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
        above = from_geodetic(latitude, longitude, height + 1.0)
        np.testing.assert_allclose(axes[0], above - place, atol=1e-8)


def test_a_place_that_is_none_is_refused(tmp_path, sky):
    orbits = open_orbits([sky.write_messages(tmp_path / "k.rnx")])
    with pytest.raises(InputError, match="no place on earth"):
        look_angles(orbits, [71.3, -156.6, 20.0], [1], [WEEK + FIRST])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("#cP", "%cP"), "no SP3 file|no line says"),
        (
            lambda text: text.replace("      98 ", "     999 ", 1),
            "announces 999|epochs",
        ),
        (lambda text: text.replace("PG09", "PG0x"), "damaged|no satellite"),
        (lambda text: text[: text.index("PG01")], "no position"),
    ],
)
def test_damaged_precise_orbits_are_refused(tmp_path, sky, change, reason):
    path = sky.write_sp3(tmp_path / "a.sp3")
    text = path.read_text()
    changed = change(text)
    if changed == text:  # the number of epochs, wherever the writer put it
        count = text.split("\n")[0][32:39]
        changed = text.replace(count, "    999", 1)
    path.write_text(changed)
    with pytest.raises(InputError, match=reason):
        read_sp3(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("N: GNSS", "O: GNSS"), "no RINEX navigation file"),
        (lambda text: text.replace("     3.03", "     4.00"), "converted to version 3"),
        (lambda text: "\n".join(text.split("\n")[:-3]), "is cut"),
        (
            lambda text: text.replace("0.000000000000E+00", "0.0000?0000000E+00", 1),
            "G01",
        ),
        (lambda text: text.replace("G01", "X01", 1), "no record begins"),
        (lambda text: text.replace("G01 2018", "G01 20x8", 1), "no time of a record"),
    ],
)
def test_damaged_messages_are_refused(tmp_path, sky, change, reason):
    path = sky.write_messages(tmp_path / "k.rnx")
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))
    with pytest.raises(InputError, match=reason):
        read_navigation(path)
