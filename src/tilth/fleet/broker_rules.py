"""Who may write and read which topic, as pure functions any broker can ask.

==========  =======================================  ==================================
role        may write                                may read
==========  =======================================  ==================================
device      ``tilth/v1/<itself>/d``, ``.../s``       ``tilth/v1/<itself>/cmd``,
                                                     ``.../ack``
server      ``.../cmd`` and ``.../ack`` of any       everything under ``tilth/``
            device, ``tilth/notice/...``
reader      nothing                                  ``d`` and ``s`` of any device,
                                                     ``tilth/notice/...``
==========  =======================================  ==================================

A device that could write its own ``ack`` would delete its data unstored, one that
could write another's ``d`` would forge measurements: that is what the table prevents.
``deploy/mosquitto/acl`` says the same to Mosquitto.
"""

from __future__ import annotations

from typing import NamedTuple

from tilth.fleet.wire import is_device

#: Leaves a device writes, and leaves it reads.
DEVICE_WRITES = frozenset({"d", "s"})
DEVICE_READS = frozenset({"cmd", "ack"})

ROLES = ("device", "server", "reader")

_ROOT = "tilth/v1/"
#: Where alarms and other notices to people and programs are published.
NOTICES = "tilth/notice/"


class Principal(NamedTuple):
    """Somebody who logged in: the user name and what it stands for."""

    name: str
    role: str


def is_topic(topic: str) -> bool:
    """Tell whether a client may publish on this name at all (MQTT 3.1.1, 4.7)."""
    return (
        0 < len(topic) <= 256
        and "+" not in topic
        and "#" not in topic
        and "\0" not in topic
        and not topic.startswith("$")
    )


def may_publish(who: Principal, topic: str) -> bool:
    """Tell whether a client may write a topic.

    Examples
    --------
    >>> chamber = Principal("a0b765112233", "device")
    >>> may_publish(chamber, "tilth/v1/a0b765112233/d")
    True
    >>> may_publish(chamber, "tilth/v1/a0b765112233/ack")
    False
    >>> may_publish(chamber, "tilth/v1/a0b765445566/d")
    False
    """
    device, leaf = _split(topic)
    if who.role == "device":
        return device == who.name and leaf in DEVICE_WRITES
    if who.role == "server":
        return (is_device(device) and leaf in DEVICE_READS) or (
            topic.startswith(NOTICES) and is_topic(topic)
        )
    return False


def may_subscribe(who: Principal, topic_filter: str) -> bool:
    """Tell whether a client may subscribe to a filter; wildcards are for servers.

    Examples
    --------
    >>> chamber = Principal("a0b765112233", "device")
    >>> may_subscribe(chamber, "tilth/v1/a0b765112233/ack")
    True
    >>> may_subscribe(chamber, "#"), may_subscribe(chamber, "tilth/v1/+/ack")
    (False, False)
    """
    device, leaf = _split(topic_filter)
    if who.role == "device":
        return device == who.name and leaf in DEVICE_READS
    if who.role == "server":
        return topic_filter.startswith("tilth/")
    if who.role == "reader":
        in_fleet = (device == "+" or is_device(device)) and leaf in DEVICE_WRITES
        return in_fleet or topic_filter.startswith(NOTICES)
    return False


def may_retain(topic: str) -> bool:
    """Tell whether a message may be kept for later subscribers: only a status.

    A retained command would run again at every reconnection, a retained batch would
    come again for ever.
    """
    return _split(topic)[1] == "s" or topic.startswith(NOTICES)


def may_use_client_id(who: Principal, client_id: str) -> bool:
    """Tell whether a client may go by this id.

    A device's id is its name: so nobody can take over another's session, and at most
    one connection per credential is open. Others add a suffix of their own.

    Examples
    --------
    >>> may_use_client_id(Principal("ingest", "server"), "ingest-2")
    True
    >>> may_use_client_id(Principal("a0b765112233", "device"), "a0b765445566")
    False
    """
    if who.role == "device":
        return client_id == who.name
    return client_id == who.name or (
        client_id.startswith(f"{who.name}-") and len(client_id) <= len(who.name) + 33
    )


def is_user_name(name: str) -> bool:
    """Tell whether a name can be that of a user that is no device."""
    return (
        0 < len(name) <= 32
        and not is_device(name)
        and name.isascii()
        # No "-": it parts a user's name from the suffix of its client id.
        and name.replace("_", "a").isalnum()
    )


def _split(topic: str) -> tuple[str, str]:
    """Return device and leaf of a topic of the fleet; else two empty texts."""
    if not topic.startswith(_ROOT):
        return "", ""
    device, slash, leaf = topic[len(_ROOT) :].partition("/")
    return (device, leaf) if slash else ("", "")
