"""The arrays the vectorised simulator works on: one record type for each."""

from __future__ import annotations

import numpy as np

#: Stands for "not measured" in the whole-number columns (null on the wire).
NULL = int(np.iinfo(np.int32).min)

#: How the air of an open chamber moves: fan off, in pulses, at full speed.
STILL, PULSES, FULL = 0, 1, 2

#: Columns of whole numbers of a sample, in the scaled units of the wire.
VALUES = (
    "co2", "st", "rh", "at", "p", "lux", "mv", "state", "flags", "boot", "misplaced",
)  # fmt: skip

#: Columns of 64 bits of a sample: true time (UTC ms), ticks since boot, number.
TIMES = ("t", "tick", "seq")

#: What drives one chamber, one record per minute.
MINUTE = np.dtype(
    [
        ("ambient", "f8"),  # dry CO2 outside the lid, ppm
        ("source", "f8"),  # ppm s-1
        ("feedback", "f8"),  # to the top of the soil, s-1
        ("conductance", "f8"),  # to the depth, s-1
        ("uptake", "f8"),  # s-1
        ("leak", "f8"),  # s-1
        ("vapour", "f8"),  # outside, mol mol-1
        ("saturated", "f8"),  # at the soil, mol mol-1
        ("moistening", "f8"),  # s-1
        ("temperature", "f8"),  # outside, degC
        ("pressure", "f8"),  # Pa
        ("light", "f8"),  # above the lid, lux
        ("moles", "f8"),  # dry air over the soil, mol m-2
        ("slower", "f8"),  # mixing, 1 and more
        ("offset", "f8"),  # of the CO2 sensor by drift, ppm
        ("gain", "f8"),  # of the CO2 sensor by drift, 1
        ("damaged", "f8"),  # share of readings with a wrong checksum
        ("skew", "f8"),  # extra rate of the clock, ppm
        ("supply", "f8"),  # supply voltage at a servo stall, mV; 0: none
        ("restart", "f8"),  # s between restarts of a weak supply; 0: none
        ("lid", "i4"),  # 0 free, 1 cannot open, 2 cannot close
        ("sensor", "i4"),  # 0 well, 1 frozen, 2 zero, 3 bus hangs
        ("eye", "i4"),  # light sensor: 0 well, 1 saturated, 2 error
        ("misplaced", "i4"),  # the location code is wrong
        ("faults", "i8"),  # bits of FAULT_BITS
    ]
)

#: What the firmware is set to, ms unless said otherwise.
TIMING = np.dtype(
    [
        ("sample", "i8"),
        ("period", "i8"),
        ("leg", "i8"),  # one way of the servo
        ("closed", "i8"),
        ("extend", "i8"),
        ("enough", "i8"),  # 0.1 ppm
        ("flush", "i8"),
        ("rest", "i8"),  # open air between two cycles, at least
        ("late", "i8"),  # latest begin of a cycle
        ("reboot", "i8"),
        ("jitter", "i8"),
        ("reboot_within", "i8"),  # of the begin of the open time
        ("restart", "i8"),  # from reset to tick 0
        ("first", "i8"),  # tick of the first sample
        ("sync", "i8"),  # from tick 0 to the first answer of the time server
        ("resync", "i8"),  # to the next
        ("weak", "i8"),  # brown-outs in a row that give the servo a rest
        ("weak_rest", "i8"),
        ("low_supply", "i8"),  # mV
    ]
)

#: What one chamber carries from day to day.
STATE = np.dtype(
    [
        ("t", "i8"),
        ("co2", "f8"),
        ("seen", "f8"),
        ("pores", "f8"),
        ("vapour", "f8"),
        ("damp", "f8"),
        ("warm", "f8"),
        ("ar", "f8"),
        ("reading", "f8"),
        ("held_co2", "i8"),
        ("held_st", "i8"),
        ("held_rh", "i8"),
        ("beat", "f8"),
        ("sample", "i8"),  # tick of the next sample
        ("booted", "i8"),
        ("boot", "i4"),
        ("tick_base", "f8"),
        ("t_base", "f8"),
        ("rate", "f8"),  # ticks per ms
        ("seq", "i8"),
        ("phase", "i4"),
        ("until", "i8"),  # tick
        ("since", "i8"),  # tick
        ("cycle", "i8"),  # -1: none
        ("last_slot", "i8"),
        ("grid", "i8"),  # tick of the first sample
        ("sync_at", "i8"),  # UTC ms
        ("weak", "i8"),
        ("mbar", "i8"),
        ("pressure", "i8"),  # Pa, as last read
        ("useless", "i8"),  # readings in a row
        ("same", "i8"),
        ("away", "i8", (3,)),  # samples without CO2 sensor, barometer, light sensor
        ("milli", "i8"),  # last reading, 0.001 ppm
        ("first_reading", "i8"),
        ("lid", "i4"),  # 1: shut
        ("wanted", "i4"),
        ("draught", "i4"),
        ("warmup", "i4"),
        ("reboot_at", "i8"),  # tick
        ("restart_at", "i8"),  # UTC ms
        ("sagging", "i4"),
        ("misplaced", "i4"),
    ]
)

#: A record that is not a sample.
EVENT = np.dtype(
    [
        ("seq", "i8"),
        ("t", "i8"),
        ("tick", "i8"),
        ("boot", "i4"),
        ("kind", "i4"),  # place in EVENT_KINDS
        ("cycle", "i8"),
        ("a", "i8"),
        ("b", "i8"),
        ("c", "i8"),
        ("d", "i8"),
        ("why", "i4"),  # place in WHYS
    ]
)
EVENT_KINDS = ("boot", "sync", "state", "cycle", "loc", "sensor")
#: What an event "sensor" tells, in its field ``b``; ``a`` is the pressure (hPa) or the
#: place of the chip in CHIPS, ``c`` how many samples it was away.
COMPENSATED, FROZEN, RESTARTED, LOST, RETURNED = range(5)
SENSOR_NEWS = ("compensated", "frozen", "restarted", "lost", "returned")
CHIPS = ("co2", "pressure", "light")
WHYS = (
    "", "normal", "enough", "longest", "reboot", "stop", "fault",
    "power", "soft", "brownout", "slot", "swept", "shut", "little", "opened",
    "flushed", "labelled", "planned", "weak",
)  # fmt: skip

#: The truth about one closing.
CYCLE = np.dtype(
    [
        ("cycle", "i8"),
        ("boot", "i4"),
        ("close", "i8"),  # UTC ms
        ("open", "i8"),
        ("close_tick", "i8"),
        ("open_tick", "i8"),
        ("why", "i4"),  # place in WHYS; 0: cut short, nothing was reported
        ("flux", "f8"),  # net, into the air at closing, umol m-2 s-1
        ("soil_flux", "f8"),  # without uptake and feedback
        ("co2", "f8"),  # dry, in the chamber at closing, ppm
        ("ambient", "f8"),
        ("k", "f8"),  # rate of the relaxation while closed, s-1
        ("moles", "f8"),
        ("light", "f8"),
        ("shut", "i4"),  # 1: the lid did close
        ("opened", "i4"),  # 1: and it did open
        ("faults", "i8"),  # at closing
        ("touched", "i8"),  # at any time from closing to the end of the flush
    ]
)
