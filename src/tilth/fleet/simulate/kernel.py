"""One chamber through one day, three seconds at a time: the compiled heart.

Time jumps from one change to the next: a beat of the CO2 sensor, a sample, a step of
the cycle, a new minute of weather. Between changes the air follows the closed forms
of `physics`.
"""

from __future__ import annotations

import numpy as np

from tilth.fleet.channels import FLAGS, STATES
from tilth.fleet.simulate.air import (
    advance,
    beat,
    move,
    new_minute,
    sense_air,
    sense_gas,
    sense_light,
    supply_mv,
)
from tilth.fleet.simulate.layouts import (
    EVENT_KINDS,
    FROZEN,
    FULL,
    LOST,
    NULL,
    PULSES,
    RESTARTED,
    RETURNED,
    STILL,
    WHYS,
)
from tilth.fleet.simulate.physics import compiled

_FAR = 1 << 62
_BOOT, _IDLE, _EXERCISE = STATES["boot"], STATES["idle"], STATES["exercise"]
_CLOSING, _CLOSED, _EXTENDED = STATES["closing"], STATES["closed"], STATES["extended"]
_OPENING, _FLUSH, _AMBIENT = STATES["opening"], STATES["flush"], STATES["ambient"]
_BOOT_EVENT, _SYNC, _STATE, _CYCLE, _LOC, _SENSOR = (
    EVENT_KINDS.index(kind)
    for kind in ("boot", "sync", "state", "cycle", "loc", "sensor")
)
_NORMAL, _ENOUGH, _LONGEST = (WHYS.index(w) for w in ("normal", "enough", "longest"))
_SLOT, _SWEPT, _SHUT, _LITTLE, _OPENED, _FLUSHED, _LABELLED, _PLANNED = (
    WHYS.index(w)
    for w in (
        "slot", "swept", "shut", "little", "opened", "flushed", "labelled", "planned"
    )
)  # fmt: skip
_POWER, _SOFT, _BROWNOUT = (WHYS.index(w) for w in ("power", "soft", "brownout"))
_WEAK = WHYS.index("weak")
_PENDING, _FAULT = STATES["reboot_pending"], STATES["fault"]
_CRC, _MISSING, _WARMUP = FLAGS["co2_crc"], FLAGS["co2_missing"], FLAGS["warmup"]
_NO_PRESSURE, _NO_LIGHT = FLAGS["pressure_error"], FLAGS["light_error"]
_MOVING, _LOW, _FAN = FLAGS["lid_moving"], FLAGS["low_supply"], FLAGS["fan_on"]

#: The firmware's patience with its CO2 sensor: readings without use before a restart,
#: equal readings that make it frozen, and that restart it between closures.
_GIVE_UP, _FROZEN, _FROZEN_RESTART = 10, 10, 200
#: A sample while the light sensor is at its limit, lux.
_SATURATED = 54_612


@compiled
def run_day(
    begin, end, device, state, minutes, timing, beats, noise, chance,
    values, times, events, cycles, pending, boots,
):  # fmt: skip
    """Run one chamber from `begin` to `end` (UTC ms) and fill the columns.

    Parameters
    ----------
    begin, end : int
        UTC ms; `minutes[0]` holds from `begin` on.
    device, state, timing, pending : numpy.ndarray
        Arrays of one record: `DEVICE`, `STATE`, `TIMING`, `CYCLE`; `state` and
        `pending` are changed.
    minutes : numpy.ndarray
        `MINUTE`, one record per minute.
    beats, noise, chance : numpy.ndarray
        Draws: normal (beat, 2), normal (sample, 6), uniform (sample,).
    values, times : numpy.ndarray
        int32 (11, sample) and int64 (3, sample), in the order of `VALUES` and `TIMES`.
    events, cycles : numpy.ndarray
        `EVENT` and `CYCLE` records.
    boots : numpy.ndarray
        int64 (boot, 3): UTC ms of tick 0, reason, number; those of this day.

    Returns
    -------
    tuple of int
        Samples, events, cycles and boots written.
    """
    d, s, tm = device[0], state[0], timing[0]
    n = n_event = n_cycle = n_boot = n_beat = 0
    minute = -1
    change = begin
    m = minutes[0]
    while True:
        if change <= s.t:
            minute = min((s.t - begin) // 60_000, len(minutes) - 1)
            m = minutes[minute]
            change = begin + (minute + 1) * 60_000
            _new_minute(s, d, m, pending)
            if m.misplaced != s.misplaced:
                s.misplaced = m.misplaced
                n_event = _emit(events, n_event, s, _LOC, -1, m.misplaced, 0, 0)
        sample_at = _true_time(s, s.sample)
        until = _FAR if s.until == _FAR else _true_time(s, s.until)
        beat_at = np.int64(s.beat)
        t = min(min(sample_at, beat_at), min(until, min(change, s.restart_at)))
        t = min(t, s.sync_at)
        if t >= end:
            advance(s, d, m, end)
            break
        advance(s, d, m, t)
        reset = 0
        if t == s.restart_at:
            reset = _POWER if s.phase == _BOOT else _BROWNOUT
        elif t == until:
            n_event, n_cycle, reset = _next_phase(
                s, m, tm, events, n_event, cycles, n_cycle, pending
            )
        elif t == s.sync_at:
            n_event = _emit(events, n_event, s, _SYNC, -1, s.t, 0, 0)
            # Hourly from then on, within a twentieth more or less.
            s.sync_at = s.t + tm.resync - tm.resync // 20 + s.t % (tm.resync // 10)
        elif t == beat_at:
            beat(s, d, m, beats[n_beat, 0], beats[n_beat, 1])
            n_beat += 1
        elif t == sample_at:
            tick = s.sample
            n_event = _sample(
                s, d, m, tm, noise[n], chance[n], values[:, n], times[:, n],
                events, n_event,
            )  # fmt: skip
            n += 1
            if s.phase == _CLOSED or s.phase == _EXTENDED:
                n_event = _decide(s, m, tm, tick, events, n_event, pending)
            elif s.phase == _AMBIENT or s.phase == _IDLE:
                if s.mbar == 0:
                    n_event = _compensate(s, events, n_event)
                n_event = _begin(s, m, tm, tick, events, n_event)
        if reset:
            n_event, n_cycle, n_boot = _restart(
                s, m, tm, reset, events, n_event, cycles, n_cycle, boots, n_boot,
                pending,
            )  # fmt: skip
    return n, n_event, n_cycle, n_boot


@compiled
def _emit(events, n, s, kind, cycle, a, b, why):
    """Write an event; it takes a sequence number as a sample does."""
    e = events[n]
    e.seq, e.t, e.tick, e.boot = s.seq, s.t, _tick(s), s.boot
    e.kind, e.cycle, e.a, e.b, e.why = kind, cycle, a, b, why
    e.c, e.d = NULL, NULL
    s.seq += 1
    return n + 1


@compiled
def _enter(s, phase, until, events, n, why):
    """Go to a state, which lasts until a tick, and say so."""
    s.phase, s.until, s.since = phase, until, _tick(s)
    s.draught = PULSES
    if phase == _FLUSH:
        s.draught = FULL
    elif phase in (_EXERCISE, _CLOSING, _OPENING):
        s.draught = STILL
    return _emit(events, n, s, _STATE, s.cycle, phase, 0, why)


@compiled
def _next_phase(s, m, tm, events, n_event, cycles, n_cycle, pending):
    """Take the step of the cycle that is due; return counts and a reason to reset."""
    due = s.until
    if s.phase == _EXERCISE:
        move(s, m, 1)
        # Closed at a sampling time: the first sample is that of closing.
        shut = due + tm.leg + (s.grid - due - tm.leg) % tm.sample
        n_event = _enter(s, _CLOSING, shut, events, n_event, _SWEPT)
    elif s.phase == _CLOSING:
        s.first_reading = NULL
        n_event = _enter(s, _CLOSED, _FAR, events, n_event, _SHUT)
        _begin_truth(s, m, pending)
    elif s.phase == _OPENING:
        n_event = _enter(s, _FLUSH, due + tm.flush, events, n_event, _OPENED)
    elif s.phase == _FAULT:
        n_event = _enter(s, _IDLE, _FAR, events, n_event, _LABELLED)
    elif s.phase == _FLUSH:
        s.weak = 0
        p = pending[0]
        p.opened = 1 if s.lid == 0 else 0
        p.touched |= m.faults
        cycles[n_cycle] = p
        n_cycle += 1
        n_event = _compensate(s, events, n_event)
        # The planned restart comes early in the open time, or in the next one.
        until = _FAR
        if s.reboot_at < due + tm.reboot_within:
            until = max(due, s.reboot_at)
        n_event = _enter(s, _AMBIENT, until, events, n_event, _FLUSHED)
    elif s.phase == _AMBIENT:
        n_event = _enter(s, _PENDING, due + 1, events, n_event, _PLANNED)
    elif s.phase == _PENDING:
        return n_event, n_cycle, _SOFT
    return n_event, n_cycle, 0


@compiled
def _compensate(s, events, n_event):
    """Do between closures what would disturb them.

    A frozen sensor is restarted; the pressure it compensates for follows the air's.
    """
    if s.same >= _FROZEN_RESTART:
        s.same, s.warmup = 0, 2
        n_event = _emit(events, n_event, s, _SENSOR, -1, 0, RESTARTED, 0)
    mbar = (s.pressure + 50) // 100
    if s.pressure != NULL and mbar != s.mbar:
        s.mbar = mbar
        n_event = _emit(events, n_event, s, _SENSOR, -1, mbar, 0, 0)
    return n_event


@compiled
def _begin(s, m, tm, tick, events, n_event):
    """Begin a cycle at this sample if it is the one next to a multiple of the period.

    `tick` is that of the sample.
    """
    if s.phase == _AMBIENT and tick - s.since < tm.rest:
        return n_event
    utc = s.t + tm.sample // 2
    number = utc // tm.period
    if utc % tm.period >= tm.late or number == s.last_slot:
        return n_event
    s.last_slot = s.cycle = number
    n_event = _enter(s, _EXERCISE, tick + 4 * tm.leg, events, n_event, _SLOT)
    if m.supply > 0.0:
        # The blocked servo takes its time to pull the supply down.
        s.restart_at = s.t + 700
        s.sagging = 1
    return n_event


@compiled
def _begin_truth(s, m, pending):
    """Write down what is true at the moment of closing."""
    p = pending[0]
    p.cycle, p.boot, p.close, p.close_tick = s.cycle, s.boot, s.t, _tick(s)
    p.open, p.open_tick, p.why, p.opened = 0, 0, 0, 0
    gone = m.conductance * (s.co2 - m.ambient) + m.uptake * s.co2
    gone += m.feedback * (s.co2 - s.pores)
    p.flux = m.moles * (m.source - gone)
    p.soil_flux = m.moles * m.source
    p.co2, p.ambient, p.moles, p.light = s.co2, m.ambient, m.moles, m.light
    p.k = m.feedback + m.conductance + m.uptake + m.leak
    p.shut = s.lid
    p.faults = m.faults
    p.touched = m.faults


@compiled
def _decide(s, m, tm, tick, events, n_event, pending):
    """Open the lid at this sample if the rule of the dynamic closing says so."""
    reading = s.milli
    if s.first_reading == NULL:
        s.first_reading = reading
    p = pending[0]
    elapsed = tick - p.close_tick
    if elapsed < tm.closed:
        return n_event
    known = reading != NULL and s.first_reading != NULL
    enough = known and abs(reading - s.first_reading) >= 100 * tm.enough
    longest = elapsed >= tm.closed + tm.extend
    if not enough and not longest:
        if s.phase == _CLOSED:
            n_event = _enter(s, _EXTENDED, _FAR, events, n_event, _LITTLE)
        return n_event
    why = _NORMAL
    if s.phase == _EXTENDED:
        why = _LONGEST if longest else _ENOUGH
    p.open, p.open_tick, p.why = s.t, tick, why
    move(s, m, 0)
    n_event = _enter(s, _OPENING, tick + tm.leg, events, n_event, why)
    n_event = _emit(events, n_event, s, _CYCLE, s.cycle, p.close_tick, p.open_tick, why)
    if s.first_reading != NULL:
        events[n_event - 1].c = s.first_reading
        if reading != NULL:
            events[n_event - 1].d = reading - s.first_reading
    s.cycle = -1
    return n_event


@compiled
def _restart(
    s, m, tm, why, events, n_event, cycles, n_cycle, boots, n_boot, pending
):  # fmt: skip
    """Reset the device; it opens the lid first and waits for the next cycle."""
    if s.phase in (_CLOSED, _EXTENDED, _OPENING, _FLUSH):
        p = pending[0]
        p.open, p.open_tick, p.why = s.t, _tick(s), 0
        cycles[n_cycle] = p
        n_cycle += 1
    now = s.t
    s.boot += 1
    s.booted = now + tm.restart
    boots[n_boot, 0], boots[n_boot, 1], boots[n_boot, 2] = s.booted, why, s.boot
    s.t_base, s.tick_base = float(s.booted), 0.0
    s.seq, s.warmup, s.sagging, s.mbar = 0, 2, 0, 0
    s.useless = s.same = 0
    s.away[:] = 0
    # The battery clock shows whole seconds; chambers that know the time sample
    # together.
    rtc = s.booted // 1000 * 1000
    s.grid = s.sample = tm.first + -(rtc + tm.first) % tm.sample
    move(s, m, 0)
    # Times of the first records are those of the new boot.
    s.t = s.booted
    s.cycle, s.last_slot = -1, -1
    s.reboot_at = tm.reboot + tm.jitter
    s.restart_at = _FAR
    if m.restart > 0:
        s.restart_at = s.booted + np.int64(1000.0 * m.restart)
    n_event = _emit(events, n_event, s, _BOOT_EVENT, -1, 0, 0, why)
    s.weak = s.weak + 1 if why == _BROWNOUT else 0
    if s.weak >= tm.weak:
        # Brown-outs in a row: the servo gets a rest, twice as long each time.
        rest = min(tm.weak_rest << min(s.weak - tm.weak, 10), 60 * tm.weak_rest)
        n_event = _enter(s, _FAULT, rest, events, n_event, _WEAK)
    else:
        n_event = _enter(s, _IDLE, _FAR, events, n_event, _LABELLED)
    n_event = _emit(events, n_event, s, _SYNC, -1, rtc, 1, 0)
    s.sync_at = s.booted + tm.sync
    s.t = now
    return n_event, n_cycle, n_boot + 1


@compiled
def _true_time(s, tick):
    """Return UTC ms of a tick of the present boot."""
    return np.int64(round(s.t_base + (tick - s.tick_base) / s.rate))


@compiled
def _tick(s):
    """Return the device's tick now."""
    return np.int64(round(s.tick_base + (s.t - s.t_base) * s.rate))


@compiled
def _new_minute(s, d, m, pending):
    """Take over what the new minute brings besides the weather."""
    new_minute(s, m)
    rate = 1.0 + 1e-6 * (d.skew + m.skew)
    if rate != s.rate:
        s.tick_base = s.tick_base + (s.t - s.t_base) * s.rate
        s.t_base = s.t
        s.rate = rate
    if m.restart > 0:
        if s.restart_at == _FAR:
            s.restart_at = s.t + np.int64(1000.0 * m.restart)
    elif m.supply == 0.0 and s.phase != _BOOT:
        s.restart_at = _FAR
    if s.phase in (_CLOSED, _EXTENDED, _OPENING, _FLUSH):
        pending[0].touched |= m.faults


@compiled
def _sample(s, d, m, tm, z, u, value, time, events, n_event):
    """Take a sample: read all sensors as the wire's whole numbers."""
    flags, st, rh, n_event = _read_gas(s, d, m, z, u, events, n_event)
    warm, pressure = sense_air(s, d, m, z[2], z[3])
    at, p = np.int64(round(100.0 * warm)), np.int64(round(pressure))
    lux = np.int64(sense_light(s, d, m, z[4]) + 0.5)
    if m.eye == 1:
        lux = np.int64(_SATURATED)
        flags |= _NO_LIGHT
    if m.sensor == 3:
        at = p = np.int64(NULL)
        flags |= _NO_PRESSURE
    else:
        s.pressure = p
    if m.sensor == 3 or m.eye == 2:
        lux = np.int64(NULL)
        flags |= _NO_LIGHT
    n_event = _watch_chip(s, 0, flags & _MISSING and m.sensor == 3, events, n_event)
    n_event = _watch_chip(s, 1, m.sensor == 3, events, n_event)
    n_event = _watch_chip(s, 2, lux == NULL, events, n_event)
    co2 = np.int64(NULL) if s.milli == NULL else (s.milli + 50) // 100
    moving = s.phase == _EXERCISE or s.phase == _CLOSING or s.phase == _OPENING
    mv = supply_mv(d, m, z[5], moving, s.draught == FULL)
    if s.sagging == 1:
        mv = np.int64(m.supply)
    if moving:
        flags |= _MOVING
    if s.draught == FULL:
        flags |= _FAN
    if mv < tm.low_supply:
        flags |= _LOW
    value[0], value[1], value[2], value[3], value[4] = co2, st, rh, at, p
    value[5], value[6], value[7], value[8] = lux, mv, s.phase, flags
    value[9], value[10] = s.boot, s.misplaced
    time[0], time[1], time[2] = s.t, s.sample, s.seq
    s.seq += 1
    s.sample += tm.sample
    return n_event


@compiled
def _read_gas(s, d, m, z, u, events, n_event):
    """Read the CO2 sensor as the firmware does; `milli` is CO2 in 0.001 ppm."""
    nothing = np.int64(NULL)
    s.milli = nothing
    if m.sensor == 3:
        return np.int64(_MISSING), nothing, nothing, n_event
    repeats = m.sensor == 1 and s.held_co2 != NULL
    if not repeats:
        gas, own, damp = sense_gas(s, d, m, z[0], z[1])
        s.held_co2 = np.int64(round(1000.0 * gas))
        s.held_st = np.int64(round(100.0 * own))
        s.held_rh = np.int64(round(100.0 * damp))
    if u < m.damaged:
        s.useless += 1
        if s.useless >= _GIVE_UP:
            s.useless, s.warmup = 0, 2
            n_event = _emit(events, n_event, s, _SENSOR, -1, 0, RESTARTED, 0)
        return np.int64(_CRC), nothing, nothing, n_event
    if s.warmup > 0:
        # The last of them follows the last zero.
        if m.sensor != 2 or s.warmup > 1:
            s.warmup -= 1
        return np.int64(_WARMUP), nothing, nothing, n_event
    s.useless = 0
    s.same = s.same + 1 if repeats else 0
    if s.same == _FROZEN - 1:
        n_event = _emit(events, n_event, s, _SENSOR, -1, 0, FROZEN, 0)
    if m.sensor == 2:
        # The firmware takes 0 ppm for what it is: a sensor that has just started.
        s.warmup = 1
        return np.int64(_MISSING), s.held_st, s.held_rh, n_event
    s.milli = s.held_co2
    return np.int64(0), s.held_st, s.held_rh, n_event


@compiled
def _watch_chip(s, chip, away, events, n_event):
    """Report that a chip has stopped or begun to answer."""
    if away:
        s.away[chip] += 1
        if s.away[chip] == 1:
            n_event = _emit(events, n_event, s, _SENSOR, -1, chip, LOST, 0)
    elif s.away[chip] > 0:
        n_event = _emit(events, n_event, s, _SENSOR, -1, chip, RETURNED, 0)
        events[n_event - 1].c = s.away[chip]
        s.away[chip] = 0
    return n_event
