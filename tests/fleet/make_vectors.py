"""Write docs/fleet/vectors.json: messages with the verdict each must get.

Run this file to write it anew: ``python tests/fleet/make_vectors.py``.
"""

import json
from pathlib import Path
from zlib import crc32

from tilth.fleet.protocol import (
    Ack,
    Command,
    Status,
    derive_command_key,
    encode_ack,
    encode_command,
    encode_status,
)

FILE = Path(__file__).parents[2] / "docs" / "fleet" / "vectors.json"

DEVICE, BOOT = "a0b765112233", "2a-9f3c1d77"
SECRET = bytes(range(32))

#: The example of the specification, without its last brace and its checksum.
OPENED = (
    '{"v":1,"boot":"2a-9f3c1d77","seq":1200,"n":3,"low":1150,"t":3600000,'
    '"utc":1753000000000,"src":"ntp","loc":"5.10.A","fw":"1.0.0","q":[50,0],'
    '"s":[[0,0,4391,2724,4881,2561,100653,312,4987,5,0],'
    "[1,3000,4397,2724,4881,2561,100653,311,4987,5,0]],"
    '"e":[[2,3500,"state",{"to":"opening","cycle":2921666,"why":"normal"}]]'
)
HEADER = [BOOT, 1200, 3]


def closed(text):
    """Close an object that lacks its last brace with its checksum."""
    raw = text.encode() if isinstance(text, str) else text
    return raw + b',"crc":%d}' % crc32(raw)


def changed(*pairs, what=OPENED):
    """The example with parts replaced, and a checksum that is right."""
    for old, new in pairs:
        assert what.count(old) >= 1, old
        what = what.replace(old, new, 1)
    return closed(what)


def case(name, payload, verdict="accepted", **more):
    """One message: its bytes as text, or in hexadecimal where they are no UTF-8."""
    try:
        shown = {"payload": payload.decode()}
    except UnicodeDecodeError:
        shown = {"payload_hex": payload.hex()}
    return {"name": name, **shown, "verdict": verdict, **more}


def refused(name, reason, payload, header=None):
    return case(name, payload, "refused", reason=reason, header=header)


#: Batches the store takes: name, what is replaced in the example, by what.
ACCEPTED = [
    ("the example of the specification", "", ""),
    ("values no sensor can deliver", "4391", "-67969"),
    ("an unknown kind of event", '"state"', '"invented_later"'),
    ("an unknown member", '"q":[50,0]', '"q":[50,0],"x":1'),
    ("a tick beyond 32 bits", '"t":3600000', '"t":8640000000000'),
]

#: Batches with a right checksum that a store refuses without settling anything.
HEADLESS = [
    ("another version", "version", '"v":1', '"v":2'),
    ("a boot without its nonce", "member", "2a-9f3c1d77", "2a"),
    ("a negative number of records", "member", '"n":3', '"n":-3'),
    ("no records", "member", '"n":3', '"n":0'),
    ("too many records", "member", '"n":3', '"n":201'),
    ("numbers beyond the last", "member", '"seq":1200', '"seq":4294967294'),
]

#: Batches with a right checksum whose numbers count as handled though refused.
POISON = [
    ("a number twice", "cover", "[1,3000,", "[0,3000,"),
    ("a number outside", "cover", "[1,3000,", "[3,3000,"),
    ("a lowest number above the first", "range", '"low":1150', '"low":1201'),
    ("a fraction", "member", "4391", "439.1"),
    ("true for a number", "member", "4391", "true"),
    ("not a number", "json", "4391", "NaN"),
    ("no state", "member", ",4987,5,0]", ",4987,null,0]"),
    ("a short row", "member", ",4987,5,0]", ",4987,5]"),
    ("a label that is a number", "range", '"5.10.A"', "5.1"),
    ("an event without its object", "member", OPENED[OPENED.index('{"to"') : -2], "7"),
    ("nested too deeply", "depth", '"to":"opening"', '"to":[[[1]]]'),
]


def batches():
    example = closed(OPENED)
    start = '{"v":1,"boot":"2a-9f3c1d77","seq":'
    bare = '"low":0,"t":0,"utc":null,"src":"none","loc":"","fw":"1.0.0","q":[1,0],'
    first = f'{start}0,"n":1,{bare}"s":[],"e":[[0,0,"boot",{{"reason":"power"}}]]'
    empty = "[0,0,null,null,null,null,null,null,null,12,54]"
    last = changed(('"seq":1200', '"seq":4294967293'))
    more = changed(('"n":3', '"n":4'))
    torn = closed(OPENED.encode().replace(b"5.10.A", b"5.\xff.A"))
    return [
        *(
            case(name, changed((old, new)) if old else example, header=HEADER)
            for name, old, new in ACCEPTED
        ),
        case("the first record of a boot", closed(first), header=[BOOT, 0, 1]),
        case(
            "nothing was measured",
            closed(f'{start}7,"n":1,{bare}"s":[{empty}],"e":[]'),
            header=[BOOT, 7, 1],
        ),
        case("the last numbers there are", last, header=[BOOT, 4294967293, 3]),
        refused("a digit changed on the way", "crc", example.replace(b"4391", b"4392")),
        refused(
            "a header changed on the way", "crc", example.replace(b"200,", b"201,")
        ),
        refused("cut short", "crc", example[:-20]),
        refused("no checksum", "crc", OPENED.encode() + b"}"),
        refused("nothing", "crc", b""),
        *(refused(name, why, changed((old, new))) for name, why, old, new in HEADLESS),
        *(
            refused(name, why, changed((old, new)), HEADER)
            for name, why, old, new in POISON
        ),
        refused("fewer records than it says", "count", more, [BOOT, 1200, 4]),
        refused("no UTF-8", "utf8", torn, HEADER),
    ]


def statuses():
    hello = encode_status(
        Status(
            True,
            BOOT,
            "1.0.0",
            "5.10.A",
            "10.0.0.7",
            "7",
            [("29-aaaabbbb", 0, 812), (BOOT, 1150, 1205)],
            869,
            0,
        )
    )
    return [
        case("hello", hello),
        case(
            "hello of a device that holds nothing",
            hello.replace(b'[["29-aaaabbbb",0,812],["2a-9f3c1d77",1150,1205]]', b"[]"),
        ),
        case("last will", encode_status(Status(False, BOOT))),
        case("a boot without records", hello.replace(b"1150,1205", b"1206,1205")),
        refused(
            "a range that ends before it begins",
            "range",
            hello.replace(b"1150,1205", b"1206,1203"),
        ),
        refused(
            "online is no truth value",
            "member",
            hello.replace(b'"online":true', b'"online":1'),
        ),
        refused("no object", "member", b"[]"),
    ]


def acks():
    """What a device does that holds 1150..1205 of this boot, and 0..812 of another."""
    held = {"29-aaaabbbb": [0, 812], BOOT: [1150, 1205]}

    def one(name, payload, deletes=None, alarm=False):
        return {
            "name": name,
            "payload": payload.decode(),
            "held": held,
            "deletes": deletes or {},
            "alarm": alarm,
        }

    def ack(seq, have=(), boot=BOOT):
        return encode_ack(Ack(DEVICE, boot, seq, list(have)))

    other = "29-aaaabbbb"
    return [
        one("some of it", ack(1180), {BOOT: [1150, 1180]}),
        one("all of it", ack(1205), {BOOT: [1150, 1205]}),
        one("a hint, no more", ack(1180, [(1190, 1199)]), {BOOT: [1150, 1180]}),
        one("an older boot", ack(400, boot=other), {other: [0, 400]}),
        one("nothing yet", ack(-1)),
        one("less than before", ack(900)),
        one("a number it never gave", ack(1206), alarm=True),
        one("a boot it does not hold", ack(5, boot="2b-00000000"), alarm=True),
        one("another protocol", ack(1180).replace(b'"v":1', b'"v":2')),
        one("a fraction", ack(1180).replace(b"1180", b"1180.0")),
        one("no JSON", ack(1180)[:-1]),
    ]


def commands():
    """What a device does with a command, at this time of its own clock."""
    key = derive_command_key(SECRET, DEVICE)
    others = derive_command_key(SECRET, "a0b765112234")
    now, late = 1753000300000, 1753000600000
    id_ = "c-0123456789abcdef"

    def one(name, state, payload, **more):
        told = {"name": name, "payload": payload.decode(), "utc": now, "state": state}
        return told | more

    def made(cmd="reboot", args=None, before=late, key=key):
        return encode_command(key, Command(id_, cmd, args or {}, 0, before))

    good = made()
    calibrate = made("calibrate", {"at": 1753000500000, "ppm": 420})
    return [
        one("reboot", "accepted", good),
        one("calibrate at a time", "accepted", calibrate),
        one("label", "accepted", made("label", {"loc": "5.10.A"})),
        one("too late", "expired", made(before=now - 1)),
        one("without a clock", "refused", good, utc=None),
        one("one letter changed", "refused", good.replace(b"reboot", b"rebook")),
        one("signed for another device", "refused", made(key=others)),
        one("unsigned", "refused", good[: good.rfind(b',"sig"')] + b"}"),
        one("the same id again", "repeated", good, executed=[id_]),
    ]


def conversations():
    """Batches as they come, [boot, seq, n, low], and the watermark of each."""
    a, b = "1-00000001", "2-00000002"
    return [
        {
            "name": "in order",
            "steps": [[[a, 0, 5, 0], [a, 4, []]], [[a, 5, 5, 0], [a, 9, []]]],
        },
        {
            "name": "newest first, then the gap is filled",
            "steps": [
                [[a, 10, 5, 0], [a, -1, [[10, 14]]]],
                [[a, 0, 5, 0], [a, 4, [[10, 14]]]],
                [[a, 5, 5, 0], [a, 14, []]],
            ],
        },
        {
            "name": "repeated, and framed differently",
            "steps": [
                [[a, 0, 5, 0], [a, 4, []]],
                [[a, 0, 5, 0], [a, 4, []]],
                [[a, 3, 4, 0], [a, 6, []]],
                [[a, 0, 10, 0], [a, 9, []]],
            ],
        },
        {
            "name": "two boots do not meet",
            "steps": [
                [[a, 0, 5, 0], [a, 4, []]],
                [[b, 0, 3, 0], [b, 2, []]],
                [[a, 5, 5, 0], [a, 9, []]],
            ],
        },
    ]


def make():
    """Return the whole content of the file."""
    return {
        "about": (
            "Messages of protocol 1 with the verdict each must get. header: the "
            "numbers a store counts as handled though it cannot read the batch (null: "
            "none). acks: what a device with these records deletes, and whether it "
            "must raise an alarm. commands: what a device does at this utc. "
            "conversations: batches [boot, seq, n, low] and the answer [boot, seq, "
            "have] to each."
        ),
        "device": DEVICE,
        "secret_hex": SECRET.hex(),
        "command_key_hex": derive_command_key(SECRET, DEVICE).hex(),
        "batches": batches(),
        "statuses": statuses(),
        "acks": acks(),
        "commands": commands(),
        "conversations": conversations(),
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n", "utf-8")
