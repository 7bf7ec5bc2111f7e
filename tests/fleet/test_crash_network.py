"""Whatever the network does between device and broker, nothing acknowledged is lost."""

import asyncio

import pytest
from lives import FULL, World
from proxy import Proxy, Weather
from zygote import Zygote

LONG = 20.0 if FULL else 1.0


@pytest.fixture(scope="module")
def zygote():
    with Zygote() as zygote:
        yield zygote


def through(world, weather, story, **options):
    """Run a story with a proxy before the server; return whether all was emptied."""

    async def run():
        async with Proxy(world.port, weather, seed=1) as proxy:
            world.address = ("127.0.0.1", proxy.port)

            async def told():
                pid = await world.start()
                await world.fleet.connected()
                await story(proxy)
                vars(weather).update(vars(Weather()) | {"counts": weather.counts})
                proxy.cut()
                await world.kill(pid)

            return await world.live(told, **options)

    return asyncio.run(run())


def check(world, *, duplicates=False):
    count = world.verify()
    assert count.deleted == count.stored == count.generated > 0
    if duplicates:
        assert sum(device.resent for device in world.devices) > 0


async def wait(proxy):
    await asyncio.sleep(LONG)


@pytest.mark.parametrize(
    ("name", "weather"),
    [
        ("delayed", Weather(delay=0.05)),
        ("one byte at a time", Weather(segment=1)),
        ("lost", Weather(lose=0.3)),
        ("repeated", Weather(repeat=0.5)),
        ("reordered", Weather(swap=0.4)),
        ("everything", Weather(lose=0.2, repeat=0.2, swap=0.2, delay=0.01, segment=7)),
    ],
)
@pytest.mark.parametrize("qos", [0, 1])
def test_packets_may_be(zygote, tmp_path, name, weather, qos):
    rate = 20.0 if name == "one byte at a time" else 60.0
    world = World(tmp_path, zygote, devices=4, qos=qos, seed=5, rate=rate)
    assert through(world, weather, wait)
    check(world)
    counts = weather.counts
    if weather.lose or name in ("lost", "everything"):
        assert counts["lost"] > 0
    if name in ("repeated", "everything"):
        assert counts["repeated"] > 0
    if name in ("reordered", "everything"):
        assert counts["swapped"] > 0


def test_the_link_may_be_cut_at_any_moment(zygote, tmp_path):
    world = World(tmp_path, zygote, seed=6, retry=0.3)
    weather = Weather()

    async def story(proxy):
        for _ in range(200 if FULL else 20):
            await asyncio.sleep(world.random.uniform(0, 0.08))
            weather.down = world.random.random() < 0.3
            proxy.cut()
            await asyncio.sleep(world.random.uniform(0, 0.05))
            weather.down = False

    assert through(world, weather, story)
    check(world)
    assert sum(radio.connections for radio in world.fleet.radios) > 30


def test_a_half_open_connection_loses_nothing(zygote, tmp_path):
    """The cable is out, nobody is told, the device comes again beside the dead link."""
    world = World(tmp_path, zygote, devices=4, seed=7)
    weather = Weather(silent=True)
    opened = []

    async def story(proxy):
        for _ in range(10 if FULL else 3):
            weather.frozen = True
            await asyncio.sleep(0.2)
            for radio in world.fleet.radios:
                radio.cut()
            weather.frozen = False
            await asyncio.sleep(0.3)
        opened.append(proxy.connections)

    assert through(world, weather, story)
    check(world)
    assert opened[0] >= 16


@pytest.mark.parametrize("qos", [0, 1])
def test_acknowledgements_may_be_lost_for_long(zygote, tmp_path, qos):
    """Data gets through, answers do not: the device keeps all, all is stored once."""
    world = World(tmp_path, zygote, devices=4, qos=qos, seed=8, retry=0.2)
    weather = Weather(mute=lambda topic: topic.endswith("/ack"))
    before = []

    async def story(proxy):
        await asyncio.sleep(3 * LONG)
        before.append(sum(b.low for d in world.devices for b in d.boots.values()))

    assert through(world, weather, story)
    assert before == [0], "nothing may be deleted without an acknowledgement"
    check(world, duplicates=True)


def test_acknowledgements_of_one_device_lost_do_not_stop_the_others(zygote, tmp_path):
    world = World(tmp_path, zygote, devices=4, seed=9, retry=0.2)
    deaf = world.devices[0]
    weather = Weather(mute=lambda topic: deaf.name in topic)
    seen = []

    async def story(proxy):
        await asyncio.sleep(2 * LONG)
        seen.extend(d.current.low for d in world.devices)

    assert through(world, weather, story)
    assert seen[0] == 0
    assert min(seen[1:]) > 50
    check(world)
