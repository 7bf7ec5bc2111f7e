"""A made-up sky of circular orbits, and the files a receiver under it would leave."""

import numpy as np
import pytest

#: Sunday 15 July 2018, where a GPS week begins; the day observed is the Thursday.
WEEK_START = np.datetime64("2018-07-15", "ns")
DAY = np.datetime64("2018-07-19", "ns")
FIRST = 4 * 86400.0  # second of the week

C = 299792458.0
ROTATION = 7.2921151467e-5
GRAVITY = 3.986005e14


def header(content, label):
    return f"{content:<60}{label}\n"


class Sky:
    """Satellites on circular orbits; seconds are of the GPS week."""

    def __init__(self):
        numbers = [1, 3, 6, 8, 9, 10, 24, 25, 26, 27, 30, 32]
        self.elements = {
            number: (26_560e3, np.radians(55.0), 1.1 * k, 2.3 * k)
            for k, number in enumerate(numbers)
        }
        self.elements |= {
            201 + k: (29_600e3, np.radians(56.0), 2.1 * k, 0.9 + 1.7 * k)
            for k in range(4)
        }
        #: 71.3 N 156.6 W by the formula of the ellipsoid, written out.
        a, f = 6378137.0, 1 / 298.257223563
        lat, lon = np.radians(71.3), np.radians(-156.6)
        squared = f * (2 - f)
        normal = a / np.sqrt(1 - squared * np.sin(lat) ** 2)
        self.station = np.array(
            [
                (normal + 20) * np.cos(lat) * np.cos(lon),
                (normal + 20) * np.cos(lat) * np.sin(lon),
                (normal * (1 - squared) + 20) * np.sin(lat),
            ]
        )
        self.up = np.array(
            [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
        )
        self.east = np.array([-np.sin(lon), np.cos(lon), 0.0])
        self.north = np.cross(self.up, self.east)

    def motion(self, satellite):
        return np.sqrt(GRAVITY / self.elements[satellite][0] ** 3)

    def still(self, satellite, second):
        """Position in the frame that does not rotate, shape (n, 3)."""
        axis, tilt, node, start = self.elements[satellite]
        u = start + self.motion(satellite) * np.asarray(second, float)
        x, y = axis * np.cos(u), axis * np.sin(u)
        return np.stack(
            [
                x * np.cos(node) - y * np.cos(tilt) * np.sin(node),
                x * np.sin(node) + y * np.cos(tilt) * np.cos(node),
                y * np.sin(tilt),
            ],
            -1,
        )

    @staticmethod
    def turned(position, second):
        """Position in the frame of the earth, aligned when the week begins."""
        angle = ROTATION * np.asarray(second, float)
        c, s = np.cos(angle), np.sin(angle)
        x, y, z = np.moveaxis(position, -1, 0)
        return np.stack([c * x + s * y, c * y - s * x, z], -1)

    def fixed(self, satellite, second):
        return self.turned(self.still(satellite, second), second)

    def sight(self, satellite, second):
        """Elevation and azimuth (degrees): all in the frame that does not rotate."""
        second = np.asarray(second, float)
        back = -ROTATION * second
        c, s = np.cos(back)[:, None], np.sin(back)[:, None]

        def outwards(v):
            return np.hstack([c * v[0] + s * v[1], c * v[1] - s * v[0], v[2] + 0 * c])

        place = outwards(self.station)
        way = np.full(second.size, 0.075)
        for _ in range(6):
            line = self.still(satellite, second - way) - place
            way = np.linalg.norm(line, axis=1) / C
        line /= np.linalg.norm(line, axis=1)[:, None]
        up, north, east = (
            (line * outwards(v)).sum(1) for v in (self.up, self.north, self.east)
        )
        return np.degrees(np.arcsin(up)), np.degrees(np.arctan2(east, north)) % 360

    @staticmethod
    def moment(second):
        return WEEK_START + np.timedelta64(round(second * 1e9), "ns")

    def write_sp3(self, path, first=FIRST - 7200.0, last=FIRST + 93600.0, step=900.0):
        epochs = np.arange(first, last + 1.0, step)
        names = [name_of(s) for s in self.elements]
        lines = [f"{f'#cP{date_of(self.moment(first))}':<32}{epochs.size:7d} ORBIT"]
        lines += [f"+   {len(names)}   " + "".join(names)]
        lines += ["%c M  cc GPS ccc cccc cccc cccc cccc ccccc ccccc ccccc ccccc"]
        tracks = {s: self.fixed(s, epochs) / 1e3 for s in self.elements}
        for k, second in enumerate(epochs):
            lines.append("*  " + date_of(self.moment(second)))
            for s, name in zip(self.elements, names, strict=True):
                x, y, z = tracks[s][k]
                lines.append(f"P{name}{x:14.6f}{y:14.6f}{z:14.6f}{0.0:14.6f}")
        path.write_text("\n".join([*lines, "EOF", ""]))
        return path

    def write_messages(self, path, step=7200.0):
        """RINEX 3 navigation messages of the same circles."""
        text = header("     3.03           N: GNSS NAV DATA    M: MIXED", LABEL)
        text += header("", "END OF HEADER")
        for s, (axis, tilt, node, start) in self.elements.items():
            # GRAVITY is that of GPS: Galileo's differs, and so the mean motion.
            own = {0: 3.986005e14, 2: 3.986004418e14}[s // 100]
            change = self.motion(s) - np.sqrt(own / axis**3)
            for second in np.arange(FIRST, FIRST + 86401.0, step):
                mean = start + self.motion(s) * second
                mean = (mean + np.pi) % (2 * np.pi) - np.pi
                numbers = [
                    [0.0, 0.0, change, mean],
                    [0.0, 0.0, 0.0, np.sqrt(axis)],
                    [second, 0.0, node, 0.0],
                    [tilt, 0.0, 0.0, 0.0],
                    [0.0, 0.0, 2010.0, 0.0],
                    [0.0] * 4,
                    [0.0] * 2,
                ]
                t = str(self.moment(second).astype("datetime64[s]"))
                begin = t.replace("-", " ").replace("T", " ").replace(":", " ")
                text += f"{name_of(s)} {begin}" + "".join([number(0.0)] * 3) + "\n"
                for row in numbers:
                    text += "    " + "".join(number(v) for v in row) + "\n"
        path.write_text(text)
        return path


LABEL = "RINEX VERSION / TYPE"


def number(value):
    return f"{value:19.12E}"


def name_of(satellite):
    return f"{'GREC'[satellite // 100]}{satellite % 100:02d}"


def date_of(moment):
    t = moment.astype("datetime64[s]").item()
    return (
        f"{t.year:4d} {t.month:2d} {t.day:2d} {t.hour:2d} {t.minute:2d} "
        f"{float(t.second):11.8f}"
    )


@pytest.fixture(scope="session")
def sky():
    """Return the made-up sky."""
    return Sky()


@pytest.fixture(scope="session")
def write_rinex():
    """Return a function that writes an observation file.

    Rows: (datetime64, [(satellite, values), ...]); observables per constellation, or
    a list for RINEX 2.
    """

    def write(path, observables, epochs, *, version=3.03, position=None, extra=()):
        old = version < 3
        text = header(f"{version:9.2f}           OBSERVATION DATA    M (MIXED)", LABEL)
        text += header("MADE", "MARKER NAME")
        if position is not None:
            text += header(
                "".join(f"{v:14.4f}" for v in position), "APPROX POSITION XYZ"
            )
        text += observable_lines(observables)
        text += "".join(header(content, label) for content, label in extra)
        text += header("", "END OF HEADER")
        parts = [text]
        for moment, records in epochs:
            parts.append(epoch_line(moment, [s for s, _ in records], old))
            for satellite, values in records:
                fields = [
                    " " * 16 if v is None or np.isnan(v) else f"{v:14.3f}  "
                    for v in values
                ]
                if old:
                    rows = [fields[i : i + 5] for i in range(0, len(fields), 5)]
                    parts += ["".join(row).rstrip() + "\n" for row in rows]
                else:
                    parts.append(name_of(satellite) + "".join(fields).rstrip() + "\n")
        path.write_text("".join(parts))
        return path

    return write


def observable_lines(observables):
    """Header lines that list observables."""
    if isinstance(observables, dict):
        return "".join(
            header(
                f"{letter}  {len(names):3d} " + " ".join(names), "SYS / # / OBS TYPES"
            )
            for letter, names in observables.items()
        )
    text = ""
    for i in range(0, len(observables), 9):
        count = f"{len(observables):6d}" if i == 0 else " " * 6
        row = "".join(f"    {name}" for name in observables[i : i + 9])
        text += header(count + row, "# / TYPES OF OBSERV")
    return text


def epoch_line(moment, satellites, old, flag=0, count=None):
    """The line of an epoch, with those that list more satellites in RINEX 2."""
    t = moment.astype("datetime64[us]").item()
    second = t.second + t.microsecond / 1e6
    count = len(satellites) if count is None else count
    if not old:
        return (
            f"> {t.year:4d} {t.month:02d} {t.day:02d} {t.hour:02d} {t.minute:02d}"
            f"{second:11.7f}  {flag}{count:3d}\n"
        )
    line = (
        f" {t.year % 100:02d} {t.month:2d} {t.day:2d} {t.hour:2d} {t.minute:2d}"
        f"{second:11.7f}  {flag}{count:3d}"
    )
    names = [name_of(s) for s in satellites]
    rows = ["".join(names[i : i + 12]) for i in range(0, len(names), 12)] or [""]
    return line + rows[0] + "\n" + "".join(f"{'':32}{row}\n" for row in rows[1:])
