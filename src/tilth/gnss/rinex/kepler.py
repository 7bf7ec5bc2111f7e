"""Positions of satellites from Kepler's elements and from states of GLONASS."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

#: Gravity of the earth times its mass, m3 s-2, by constellation: GPS, GLONASS,
#: Galileo, BeiDou. IS-GPS-200 20.3.3.4.3; GLONASS ICD 5.1 A.3.1.2; Galileo OS SIS ICD
#: 5.1.1; BDS-SIS-ICD 5.2.4.
GRAVITY = np.array([3.986005e14, 3.986004418e14, 3.986004418e14, 3.986004418e14])

#: Rotation of the earth, rad s-1, of the same.
ROTATION = np.array([7.2921151467e-5, 7.292115e-5, 7.2921151467e-5, 7.2921150e-5])

#: Radius of the earth's equator, m, and flattening of its gravity. GLONASS ICD A.3.1.2.
_RADIUS, _J2 = 6_378_136.0, 1.0826257e-3


@njit(cache=True)
def kepler_states(
    record, time, elements, constellation, out
):  # pragma: no cover - compiled
    """Fill positions and velocities from Kepler's elements (IS-GPS-200, table 20-IV).

    Velocities are the derivative of the same equations.

    Parameters
    ----------
    record : numpy.ndarray of int, shape (n)
        Record to use, -1 for none.
    time : numpy.ndarray, shape (n)
        Seconds of GPS time.
    elements : numpy.ndarray, shape (record, 17)
        In this order: time of the elements, root of the axis (m1/2), mean motion
        difference, mean anomaly, eccentricity, perigee, latitude cosine and sine,
        radius cosine and sine (m), inclination cosine and sine, inclination, its
        rate, node, its rate, second of the week of the elements.
    constellation : numpy.ndarray of int, shape (record)
        For gravity and rotation.
    out : numpy.ndarray, shape (n, 6)
        Filled: earth-centred earth-fixed position, m, and velocity, m s-1.
    """
    for i in range(record.size):
        k = record[i]
        if k < 0:
            continue
        e = elements[k]
        gravity, rotation = GRAVITY[constellation[k]], ROTATION[constellation[k]]
        axis = e[1] * e[1]
        t = time[i] - e[0]
        motion = math.sqrt(gravity / axis**3) + e[2]
        mean = e[3] + motion * t
        anomaly = mean
        for _ in range(10):
            change = (anomaly - e[4] * math.sin(anomaly) - mean) / (
                1.0 - e[4] * math.cos(anomaly)
            )
            anomaly -= change
            if abs(change) < 1e-13:
                break
        sine, cosine = math.sin(anomaly), math.cos(anomaly)
        anomaly_rate = motion / (1.0 - e[4] * cosine)
        root = math.sqrt(1.0 - e[4] * e[4])
        latitude = math.atan2(root * sine, cosine - e[4]) + e[5]
        latitude_rate = root * anomaly_rate / (1.0 - e[4] * cosine)
        sine2, cosine2 = math.sin(2.0 * latitude), math.cos(2.0 * latitude)
        u = latitude + e[6] * cosine2 + e[7] * sine2
        u_rate = latitude_rate * (1.0 + 2.0 * (e[7] * cosine2 - e[6] * sine2))
        radius = axis * (1.0 - e[4] * cosine) + e[8] * cosine2 + e[9] * sine2
        radius_rate = axis * e[4] * sine * anomaly_rate + 2.0 * latitude_rate * (
            e[9] * cosine2 - e[8] * sine2
        )
        tilt = e[12] + e[13] * t + e[10] * cosine2 + e[11] * sine2
        tilt_rate = e[13] + 2.0 * latitude_rate * (e[11] * cosine2 - e[10] * sine2)
        node_rate = e[15] - rotation
        node = e[14] + node_rate * t - rotation * e[16]
        su, cu = math.sin(u), math.cos(u)
        x, y = radius * cu, radius * su
        x_rate = radius_rate * cu - y * u_rate
        y_rate = radius_rate * su + x * u_rate
        st, ct = math.sin(tilt), math.cos(tilt)
        sn, cn = math.sin(node), math.cos(node)
        out[i, 0] = x * cn - y * ct * sn
        out[i, 1] = x * sn + y * ct * cn
        out[i, 2] = y * st
        across = y_rate * ct - y * st * tilt_rate
        out[i, 3] = x_rate * cn - across * sn - out[i, 1] * node_rate
        out[i, 4] = x_rate * sn + across * cn + out[i, 0] * node_rate
        out[i, 5] = y_rate * st + y * ct * tilt_rate


@njit(cache=True)
def glonass_states(record, time, begin, states, out):  # pragma: no cover - compiled
    """Fill positions and velocities from GLONASS states (GLONASS ICD 5.1, A.3.1.2).

    The equations of motion in the rotating frame are integrated by Runge and Kutta's
    fourth order, from each record in steps of a minute as far as is asked for; within
    a step a cubic through both ends is exact to a few mm.

    Parameters
    ----------
    record : numpy.ndarray of int, shape (n)
        Record to use, -1 for none.
    time : numpy.ndarray, shape (n)
        Seconds of GPS time.
    begin : numpy.ndarray, shape (record)
        Time of the records.
    states : numpy.ndarray, shape (record, 9)
        Position, m, velocity, m s-1, and acceleration by sun and moon, m s-2.
    out : numpy.ndarray, shape (n, 6)
        Filled: earth-centred earth-fixed position, m, and velocity, m s-1.
    """
    step = 60.0
    reach = 0.0
    for i in range(record.size):
        if record[i] >= 0:
            reach = max(reach, abs(time[i] - begin[record[i]]))
    steps = int(reach / step) + 1
    width = 2 * steps + 1
    track = np.empty((begin.size, width, 6))
    used = np.zeros(begin.size, np.bool_)
    for i in range(record.size):
        k = record[i]
        if k < 0:
            continue
        if not used[k]:
            used[k] = True
            track[k, steps] = states[k, :6]
            for way in (-1, 1):
                for j in range(steps):
                    here = steps + way * j
                    _step(
                        track[k, here], states[k, 6:], way * step, track[k, here + way]
                    )
        position = (time[i] - begin[k]) / step
        left = min(max(math.floor(position), -steps), steps - 1)
        s = position - left
        a, b = track[k, steps + left], track[k, steps + left + 1]
        for c in range(3):
            rise = b[c] - a[c]
            v, w = step * a[c + 3], step * b[c + 3]
            square = 3.0 * rise - 2.0 * v - w
            cube = v + w - 2.0 * rise
            out[i, c] = a[c] + s * (v + s * (square + s * cube))
            out[i, c + 3] = (v + s * (2.0 * square + 3.0 * s * cube)) / step


@njit(cache=True)
def _step(state, pull, step, out):  # pragma: no cover - compiled
    """Fill the state a step later."""
    slopes = np.empty((4, 6))
    _slope(state, pull, slopes[0])
    _slope(state + 0.5 * step * slopes[0], pull, slopes[1])
    _slope(state + 0.5 * step * slopes[1], pull, slopes[2])
    _slope(state + step * slopes[2], pull, slopes[3])
    for c in range(6):
        total = slopes[0, c] + 2.0 * (slopes[1, c] + slopes[2, c]) + slopes[3, c]
        out[c] = state[c] + step * total / 6.0


@njit(cache=True)
def _slope(state, pull, out):  # pragma: no cover - compiled
    """Fill the derivative of a state: gravity with flattening, rotation, sun, moon."""
    x, y, z = state[0], state[1], state[2]
    square = x * x + y * y + z * z
    radius = math.sqrt(square)
    central = GRAVITY[1] / (square * radius)
    flat = 1.5 * _J2 * central * _RADIUS**2 / square
    tilt = 5.0 * z * z / square
    turn = ROTATION[1]
    level = turn * turn - central - flat * (1.0 - tilt)
    out[0], out[1], out[2] = state[3], state[4], state[5]
    out[3] = level * x + 2.0 * turn * state[4] + pull[0]
    out[4] = level * y - 2.0 * turn * state[3] + pull[1]
    out[5] = (-central - flat * (3.0 - tilt)) * z + pull[2]
