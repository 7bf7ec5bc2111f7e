"""The broker is killed, wiped, exchanged: that costs time, never data."""

import asyncio
import signal

import pytest
from devices import names
from lives import FULL, World
from plain import PlainSubscriber, send_plainly
from zygote import Zygote


@pytest.fixture(scope="module")
def zygote():
    with Zygote() as zygote:
        yield zygote


def check(world):
    count = world.verify()
    assert count.deleted == count.stored == count.generated > 0


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("wiped", [False, True])
def test_mosquitto_with_defaults_may_end_and_be_wiped(
    zygote, tmp_path, mosquitto, end, wiped
):
    broker = mosquitto("stock")
    world = World(tmp_path / "data", zygote, devices=4, seed=11)
    world.port = None
    world.address = ("127.0.0.1", broker.port)
    start = world.start
    world.start = lambda **options: start(remote=broker.port, **options)

    async def story():
        pid = await world.start()
        for _ in range(30 if FULL else 3):
            await asyncio.sleep(world.random.uniform(0.1, 0.6))
            broker.stop(end)
            if wiped:
                broker.wipe()
            await asyncio.sleep(world.random.uniform(0, 0.2))
            broker.start()
        await world.kill(pid)

    assert asyncio.run(world.live(story))
    check(world)


def test_the_broker_may_be_exchanged_for_another_make_in_mid_run(
    zygote, tmp_path, mosquitto
):
    """Embedded, Mosquitto, embedded, ...: the store and the devices go on."""
    broker = mosquitto("stock")
    world = World(tmp_path / "data", zygote, devices=4, seed=12)
    embedded = world.address

    async def story():
        for k in range(20 if FULL else 4):
            options = {"remote": broker.port} if k % 2 else {}
            world.address = ("127.0.0.1", broker.port) if k % 2 else embedded
            for radio in world.fleet.radios:
                radio.cut()
            pid = await world.start(**options)
            await asyncio.sleep(world.random.uniform(0.1, 0.5))
            if k % 4 == 3:
                broker.stop(signal.SIGKILL)
                broker.wipe()
                broker.start()
            await world.kill(pid, world.random.choice([9, 15]))
        world.address = embedded
        broker.stop()

    assert asyncio.run(world.live(story))
    check(world)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_where_quality_of_service_loses_the_watermark_loses_nothing(
    zygote, tmp_path, mosquitto, end, record_property
):
    """Mosquitto with its defaults ends while the subscriber is away for a moment.

    Everything was acknowledged by the broker. Measured before: after SIGKILL nothing
    of it arrives (its file is written every 30 minutes), after SIGTERM 1000 messages
    do (its limit for one client).
    """
    broker = mosquitto("stock")
    fleet, each = names(6), 400
    subscriber = PlainSubscriber(tmp_path / "plain.sqlite", broker.port).start()
    subscriber.stop()
    deleted = asyncio.run(send_plainly(broker.port, fleet, each))
    broker.stop(end)
    broker.start()
    subscriber.start()
    _settle(subscriber.count)
    subscriber.stop()
    received = subscriber.count()
    subscriber.close()
    assert deleted == each * len(fleet)
    assert received == (0 if end == signal.SIGKILL else 1000)
    record_property("plain", f"{deleted} deleted on devices, {received} stored")

    broker.stop(signal.SIGKILL)
    broker.wipe()
    broker.start()
    world = World(tmp_path / "data", zygote, devices=6, seed=13, rate=0)
    world.address = ("127.0.0.1", broker.port)
    start = world.start
    world.start = lambda **options: start(remote=broker.port, **options)

    async def story():
        pid = await world.start()
        await world.kill(pid, 15)
        for device in world.devices:
            device.generate(5 * each)
        for radio in world.fleet.radios:
            radio.cut()
        await asyncio.sleep(0.5)
        broker.stop(end)
        broker.start()

    assert asyncio.run(world.live(story))
    count = world.verify()
    assert count.deleted == count.stored == count.generated == 5 * deleted


def _settle(count):
    """Wait until a count stands still."""
    import time

    last, since = count(), time.monotonic()
    while time.monotonic() - since < 0.7:
        time.sleep(0.05)
        now = count()
        if now != last:
            last, since = now, time.monotonic()
