"""The server is killed at any moment: what it acknowledged is stored, and once."""

import asyncio

import pytest
from lives import FULL, World
from zygote import Zygote


@pytest.fixture(scope="module")
def zygote():
    with Zygote() as zygote:
        yield zygote


@pytest.mark.parametrize(
    ("kills", "qos"), [(1000, 1), (300, 0)] if FULL else [(200, 1), (20, 0)]
)
def test_nothing_acknowledged_is_lost_however_often_the_server_is_killed(
    zygote, tmp_path, kills, qos
):
    """Most die while they serve, some while they open the journal."""
    world = World(tmp_path, zygote, qos=qos, seed=kills)

    async def story():
        for _ in range(kills):
            served = world.random.random() < 0.85
            pid = await world.start(wait=served)
            await asyncio.sleep(world.random.uniform(0, 0.08))
            await world.kill(pid)

    assert asyncio.run(world.live(story))
    count = world.verify()
    assert world.kills == kills + 1
    assert count.deleted == count.stored == count.generated > 10 * kills


def test_nothing_is_lost_between_commit_and_acknowledgement(zygote, tmp_path):
    """The server dies exactly there, having passed there up to a few times."""
    world = World(tmp_path, zygote, seed=1, devices=4)
    places = ("opening", "before_commit", "after_commit", "between_acks")

    async def story():
        for i in range(200 if FULL else 20):
            place = places[i % 4]
            after = 0 if place == "opening" else i // 4 % 6
            pid = await world.start(wait=False, die=place, after=after)
            await asyncio.to_thread(zygote.wait, pid, 30.0)

    assert asyncio.run(world.live(story))
    count = world.verify()
    assert count.deleted == count.stored == count.generated > 0


def test_a_server_that_is_told_to_stop_leaves_a_clean_journal(zygote, tmp_path):
    world = World(tmp_path, zygote, seed=2)

    async def story():
        for _ in range(3):
            pid = await world.start()
            await world.fleet.connected()
            await asyncio.sleep(0.1)
            await world.kill(pid, 15)
            assert not (tmp_path / "journal.sqlite-wal").exists()

    assert asyncio.run(world.live(story))
    assert world.verify().deleted > 0


def test_a_device_that_restarts_too_sends_what_its_earlier_boots_hold(zygote, tmp_path):
    world = World(tmp_path, zygote, seed=3, devices=4)

    async def story():
        for _ in range(12):
            pid = await world.start()
            await asyncio.sleep(world.random.uniform(0, 0.1))
            for radio in world.random.sample(world.fleet.radios, 2):
                radio.cut()
                radio.device.power_on()
            await world.kill(pid)

    assert asyncio.run(world.live(story))
    count = world.verify()
    assert count.deleted == count.stored == count.generated
    assert sum(len(device.boots) for device in world.devices) == 4 + 24


def test_the_whole_service_may_be_killed_too(tmp_path, credentials):
    """With credentials, live fluxes, archive and all else that ``tilth serve`` runs."""
    with Zygote(whole=True) as zygote:
        world = World(
            tmp_path,
            zygote,
            seed=4,
            devices=3,
            password=lambda name: credentials.enrol(name).password,
        )
        start = world.start
        world.start = lambda **options: start(whole=True, **options)

        async def story():
            for _ in range(100 if FULL else 8):
                pid = await world.start()
                await asyncio.sleep(world.random.uniform(0, 0.3))
                await world.kill(pid)

        assert asyncio.run(world.live(story))
    count = world.verify()
    assert count.deleted == count.stored == count.generated > 0
