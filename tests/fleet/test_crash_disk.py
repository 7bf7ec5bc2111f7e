"""The disk fills up, fails, loses power: what was acknowledged is on it."""

import asyncio
import os
import shutil

import pytest
from disk import build, rebuild
from lives import FULL, World
from zygote import Zygote


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    library = build(tmp_path_factory.mktemp("disk"))
    if library is None:
        text = "this test compiles a library that plays the disk: apt-get install gcc"
        if os.environ.get("TILTH_REQUIRE_DATA"):
            pytest.fail(text)
        pytest.skip(text)
    return library


@pytest.fixture(scope="module")
def zygote(library):
    with Zygote({"LD_PRELOAD": str(library)}) as zygote:
        yield zygote


class DiskWorld(World):
    """A world whose server writes to a disk that is watched."""

    def __init__(self, tmp_path, zygote, **options):
        self.data = tmp_path / "data"
        self.data.mkdir()
        self.before = tmp_path / "before"
        self.log = tmp_path / "log"
        self.lives = 0
        self.totals = {}
        super().__init__(self.data, zygote, **options)

    async def start(self, **options):
        self.log.unlink(missing_ok=True)
        shutil.rmtree(self.before, ignore_errors=True)
        shutil.copytree(self.data, self.before)
        return await super().start(disk=str(self.log), checkpoint=200_000, **options)

    def power_cut(self, seed):
        """Put the disk into a state that a power cut could have left."""
        counts = rebuild(self.log, self.before, self.data, seed)
        self.lives += 1
        for name, value in counts.items():
            self.totals[name] = self.totals.get(name, 0) + value
        return counts

    def flag(self, name):
        return self.log.with_name(f"{self.log.name}.{name}")


def check(world):
    count = world.verify()
    assert count.deleted == count.stored == count.generated > 0
    return count


def test_power_cuts_of_the_server_lose_nothing_acknowledged(zygote, tmp_path):
    """Of what was not flushed nothing survives, or any part of it."""
    world = DiskWorld(tmp_path, zygote, devices=4, rate=300, seed=21)

    async def story():
        for seed in range(300 if FULL else 25):
            pid = await world.start()
            await asyncio.sleep(world.random.uniform(0, 0.25))
            await world.kill(pid)
            world.power_cut(seed)

    assert asyncio.run(world.live(story))
    check(world)
    assert world.totals["flushes"] > 20
    assert world.totals["unflushed"] > 0, "there was something to lose"


def test_the_oracle_notices_a_journal_that_does_not_flush(zygote, tmp_path):
    """Otherwise the test before this proves nothing."""
    world = DiskWorld(tmp_path, zygote, devices=4, rate=300, seed=22)

    async def story():
        pid = await world.start()
        await world.fleet.connected()
        while world.devices[0].current.low < 50:
            await asyncio.sleep(0.01)
        await world.kill(pid)
        # As if every flush had been a lie.
        raw = world.log.read_bytes()
        assert raw.count(b"S") > 0
        _drop_flushes(world.log)
        world.power_cut(0)

    asyncio.run(world.live(story, drain=1.0))
    with pytest.raises(AssertionError, match=r"deleted|forgotten|\(0, 0, 0\)"):
        world.verify()


def _drop_flushes(log):
    from disk import _HEAD, _read

    kept = [item for item in _read(log) if item[0] not in "S"]
    with log.open("wb") as out:
        for op, path, offset, data in kept:
            head = _HEAD.pack(op.encode(), len(path), offset, len(data))
            out.write(head + path.encode() + data)


@pytest.mark.parametrize("torn", [False, True])
def test_the_server_may_die_at_any_change_of_a_file(zygote, tmp_path, torn):
    """Before the 1st, 2nd, 3rd ... write, flush or deletion, or in the middle."""
    world = DiskWorld(tmp_path, zygote, devices=3, rate=200, seed=23)

    async def story():
        changes = range(1, 250) if FULL else [*range(1, 24, 2), *range(24, 200, 30)]
        for die_at in changes:
            pid = await world.start(wait=False, die_at=die_at, torn=torn)
            await asyncio.to_thread(zygote.wait, pid, 60.0)
            world.power_cut(world.random.randrange(5))

    assert asyncio.run(world.live(story))
    check(world)


@pytest.mark.parametrize("survives", [0, 4])
def test_a_journal_whose_first_start_was_cut_off_opens_again(
    zygote, tmp_path, survives
):
    """At any change of the very first start; nothing or all of it is on the disk.

    There are 109: the file is made up to the 17th, its tables up to the 75th.
    """
    world = DiskWorld(tmp_path, zygote, devices=1, rate=0, seed=26)

    async def story():
        some = [*range(1, 20, 4), *range(69, 82, 2), 100]
        for die_at in range(1, 105) if FULL else some:
            shutil.rmtree(world.data)
            world.data.mkdir()
            pid = await world.start(wait=False, die_at=die_at)
            await asyncio.to_thread(zygote.wait, pid, 20.0)
            world.power_cut(survives)
            pid = await world.start()
            await world.kill(pid)

    assert asyncio.run(world.live(story))


def test_a_full_disk_acknowledges_nothing_and_goes_on_when_there_is_space(
    zygote, tmp_path
):
    world = DiskWorld(tmp_path, zygote, devices=4, rate=200, seed=24)

    async def story():
        pid = await world.start()
        for _ in range(10 if FULL else 2):
            await asyncio.sleep(0.3)
            world.flag("full").touch()
            await asyncio.sleep(0.2)
            before = [device.current.low for device in world.devices]
            await asyncio.sleep(0.5)
            assert [device.current.low for device in world.devices] == before
            world.flag("full").unlink()
            while world.devices[0].current.low == before[0]:
                await asyncio.sleep(0.01)
        world.flag("full").touch()
        await asyncio.sleep(0.2)
        await world.kill(pid)
        world.flag("full").unlink()
        world.power_cut(0)

    assert asyncio.run(world.live(story, drain=60))
    check(world)


def test_a_flush_that_fails_is_never_taken_for_one_that_worked(zygote, tmp_path):
    """After a failed flush Linux takes the lost pages for written ones."""
    world = DiskWorld(tmp_path, zygote, devices=4, rate=200, seed=25)

    async def story():
        for seed in range(40 if FULL else 4):
            pid = await world.start()
            await asyncio.sleep(0.2)
            world.flag("eio").touch()
            await asyncio.sleep(world.random.uniform(0.02, 0.3))
            world.flag("eio").unlink()
            await asyncio.sleep(world.random.uniform(0, 0.5))
            await world.kill(pid)
            world.power_cut(seed)

    assert asyncio.run(world.live(story, drain=60))
    check(world)
    assert world.totals["failed"] > 0
