"""The states of a chamber, and the table of what leads from one to another."""

BOOT = 0
CONFIG = 1
IDLE = 2
EXERCISE = 3
CLOSING = 4
CLOSED = 5
EXTENDED = 6
OPENING = 7
FLUSH = 8
AMBIENT = 9
CALIBRATE = 10
SERVICE = 11
FAULT = 12
REBOOT = 13

NAMES = (
    "boot",
    "config",
    "idle",
    "exercise",
    "closing",
    "closed",
    "extended",
    "opening",
    "flush",
    "ambient",
    "calibrate",
    "service",
    "fault",
    "reboot_pending",
)

_RESTING = {
    "slot": EXERCISE,
    "calibrate": CALIBRATE,
    "service": SERVICE,
    "reboot": REBOOT,
}

# state: {event: next state}. What is not here does not happen. "exception" leads from
# every state to FAULT.
TABLE = {
    BOOT: {"labelled": IDLE, "unlabelled": CONFIG, "weak": FAULT},
    CONFIG: {
        "labelled": IDLE,
        "calibrate": CALIBRATE,
        "service": SERVICE,
        "reboot": REBOOT,
    },
    IDLE: _RESTING,
    EXERCISE: {"swept": CLOSING, "stop": OPENING},
    CLOSING: {"shut": CLOSED, "stop": OPENING},
    CLOSED: {
        "little": EXTENDED,
        "normal": OPENING,
        "longest": OPENING,
        "stop": OPENING,
    },
    EXTENDED: {"enough": OPENING, "longest": OPENING, "stop": OPENING},
    OPENING: {"opened": FLUSH, "reboot": REBOOT},
    FLUSH: {"flushed": AMBIENT},
    AMBIENT: _RESTING,
    CALIBRATE: {"calibrated": AMBIENT},
    SERVICE: {"served": OPENING, "stop": OPENING},
    FAULT: {"labelled": IDLE, "unlabelled": CONFIG, "reboot": REBOOT, "weak": FAULT},
    REBOOT: {"unsafe": AMBIENT},
}

SHUT = (CLOSED, EXTENDED)
OPEN_AIR = (IDLE, AMBIENT)
IN_CYCLE = (EXERCISE, CLOSING, CLOSED, EXTENDED)
RESTING = (CONFIG, IDLE, AMBIENT, FAULT)
MOVING = (EXERCISE, CLOSING, OPENING, SERVICE)
