"""From a device's sample to its acknowledgement: how many, how fast, how many lost.

Server and load generator share this machine. Batches of five samples are what a chamber
sends every 15 s; a hundred times the fleet of the article is 560 of them a second. The
peers are measured in the same run: the library's broker as it comes, with a client on
the loopback, and what scripts do with Mosquitto, a subscriber that commits what it
gets and devices that delete what the broker has acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Row

HELPERS = Path(__file__).parents[1] / "tests" / "fleet"
sys.path.insert(0, str(HELPERS))

from brokers import ROOMY, Mosquitto, find_mosquitto, free_port  # noqa: E402
from devices import names  # noqa: E402
from lives import World  # noqa: E402
from plain import PlainSubscriber, send_plainly  # noqa: E402
from zygote import Zygote  # noqa: E402

DEVICES = 85
#: A hundred times the article's fleet: batches of five, per second.
HUNDREDFOLD = 560
#: Batches of an hour of the article's fleet.
HOUR = DEVICES * 240

STOCK = """
import asyncio, sys
from amqtt.broker import Broker
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
import paho.mqtt.client as mqtt

class Auth(BaseAuthPlugin):
    async def authenticate(self, *, session):
        return True

class Topics(BaseTopicPlugin):
    async def topic_filtering(self, *, session=None, topic=None, action=None):
        return session.username == "tilth" or (session.username or "-") in topic

sys.modules["stock"] = sys.modules["__main__"]
port = int(sys.argv[1])

def ingest():
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "tilth")
    client.username_pw_set("tilth", "x")
    client.on_connect = lambda c, *_: c.subscribe("tilth/v1/+/d", 1)
    def answer(c, _, m):
        import json
        batch = json.loads(m.payload)
        ack = {"v": 1, "boot": batch["boot"], "have": []}
        ack["seq"] = batch["seq"] + batch["n"] - 1
        c.publish(m.topic[:-1] + "ack", json.dumps(ack))
    client.on_message = answer
    client.connect("127.0.0.1", port)
    client.loop_start()

async def main():
    broker = Broker({
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"stock.Auth": {}, "stock.Topics": {}},
    })
    await broker.start()
    await asyncio.to_thread(ingest)
    print("ready", flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


def load(port: int, **options) -> dict:
    """Run the load generator in a process of its own."""
    done = subprocess.run(
        [sys.executable, HELPERS / "radios.py", json.dumps({"port": port, **options})],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def resident(pid: int) -> float:
    """Return the memory a process holds now, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def embedded(zygote: Zygote, folder: Path) -> list[Row]:
    """Measure the embedded broker."""
    port = free_port()
    pid = zygote.spawn(folder / "embedded", port, group_ms=20)
    zygote.ready(pid)
    load(port, batches=100, seconds=2)
    before, begin = cpu_seconds(pid), time.monotonic()
    steady = load(port, batches=HUNDREDFOLD, seconds=20)
    cores = (cpu_seconds(pid) - before) / (time.monotonic() - begin)
    fives = load(port, total=40_000)
    fulls = load(port, total=3_000, size=200)
    zygote.kill(pid, signal.SIGTERM)
    zygote.wait(pid)
    stock = _stock(folder)
    at = f"embedded, {DEVICES} devices"
    return [
        Row(f"{at}, {HUNDREDFOLD} batches/s of 5: stored", steady["samples_per_s"],
            "samples/s", "amqtt as it comes", stock["samples_per_s"]),
        Row(f"{at}, {HUNDREDFOLD} batches/s: sample to ack, median", steady["p50_ms"],
            "ms", "amqtt as it comes", stock["p50_ms"]),
        Row(f"{at}, {HUNDREDFOLD} batches/s: sample to ack, 99 %", steady["p99_ms"],
            "ms", "amqtt as it comes", stock["p99_ms"]),
        Row(f"{at}, {HUNDREDFOLD} batches/s: server", cores, "cores"),
        Row(f"{at}, batches of 5, all they can: stored", fives["samples_per_s"],
            "samples/s"),
        Row(f"{at}, batches of 200, all they can: stored", fulls["samples_per_s"],
            "samples/s"),
    ]  # fmt: skip


def _stock(folder: Path) -> dict:
    """Load amqtt without Tilth's changes; nothing is stored there."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-c", STOCK, str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            return load(port, batches=HUNDREDFOLD, seconds=10)
        finally:
            process.kill()


def mosquitto(zygote: Zygote, folder: Path) -> list[Row]:
    """Measure the same server behind Mosquitto, beside a plain subscriber.

    With its defaults Mosquitto has 20 messages under way to a client; a server that
    acknowledges only what is on disk then gets 20 per commit. deploy/ sets 1000.
    """
    rows = []
    with Mosquitto(folder / "broker", ROOMY) as broker:
        each = _plain_rate(folder, broker.port, 0.0, 3_000)
        second = _plain_rate(folder, broker.port, 1.0, 20_000)
        for version, size in ((4, 5), (4, 1), (5, 5)):
            data = folder / f"mosquitto{version}{size}"
            pid = zygote.spawn(
                data, 0, remote=broker.port, group_ms=20, version=version
            )
            zygote.ready(pid)
            ours = load(broker.port, total=30_000, size=size, window=32)
            zygote.kill(pid, signal.SIGTERM)
            zygote.wait(pid)
            mqtt = {4: "3.1.1", 5: "5"}[version]
            name = f"Mosquitto, MQTT {mqtt}, {size} samples a message: acknowledged"
            peer, rate = {
                (4, 5): ("subscriber that commits each", each),
                (5, 5): ("subscriber that commits each second", second),
            }.get((version, size), (None, None))
            rows.append(Row(name, ours["messages_per_s"], "messages/s", peer, rate))
    return rows


def _plain_rate(folder: Path, port: int, every: float, n: int) -> float:
    """Return how many messages per second a plain subscriber stores."""
    store = folder / f"rate{every}.sqlite"
    subscriber = PlainSubscriber(store, port, every=every).start()
    begin = time.monotonic()
    asyncio.run(send_plainly(port, names(DEVICES), n // DEVICES))
    wanted = n // DEVICES * DEVICES
    last, since = 0, time.monotonic()
    while (now := subscriber.count()) < wanted and time.monotonic() - since < 5:
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.05)
    took = (since if now < wanted else time.monotonic()) - begin
    subscriber.stop()
    subscriber.close()
    return now / took


def losses(zygote: Zygote, folder: Path, kills: int = 10) -> list[Row]:
    """Kill Mosquitto (with its defaults) and the subscriber, ten times each.

    The same number of records both times. Each round the server is away when devices
    send, and the broker dies before it is back.
    """
    each = 60
    fleet = names(DEVICES)
    broker = Mosquitto(folder / "losses").start()
    subscriber = PlainSubscriber(folder / "losses.sqlite", broker.port)
    deleted = 0
    for _ in range(kills):
        subscriber.start()
        subscriber.stop()
        deleted += asyncio.run(send_plainly(broker.port, fleet, each // kills))
        broker.stop(signal.SIGKILL)
        broker.start()
    subscriber.start()
    time.sleep(2)
    subscriber.stop()
    plain_lost = 5 * (deleted - subscriber.count())
    subscriber.close()
    broker.stop(signal.SIGKILL)
    broker.wipe()
    broker.start()
    world = World(folder / "kept", zygote, devices=DEVICES, rate=0)
    world.address = ("127.0.0.1", broker.port)
    start = world.start
    world.start = lambda **options: start(remote=broker.port, **options)

    async def story() -> None:
        for _ in range(kills):
            pid = await world.start()
            await asyncio.sleep(0.2)
            await world.kill(pid)
            for device in world.devices:
                device.generate(5 * each // kills)
            await asyncio.sleep(0.3)
            broker.stop(signal.SIGKILL)
            broker.start()

    empty = asyncio.run(world.live(story, drain=120))
    count = world.verify()
    broker.stop()
    assert empty
    name = f"records lost of {count.generated:,}, {kills} SIGKILLs of broker and server"
    return [
        Row(name, count.deleted - count.stored, "records",
            "QoS 1 and a subscriber", plain_lost),
    ]  # fmt: skip


def memory(zygote: Zygote, folder: Path) -> list[Row]:
    """Send the messages of an hour, and see what the server holds before and after.

    Before it the journal is filled until SQLite's cache of pages, 64 MiB, is full.
    """
    port = free_port()
    pid = zygote.spawn(folder / "memory", port, group_ms=20)
    zygote.ready(pid)
    load(port, total=10_000, size=200)
    load(port, total=HOUR // 4)
    before = resident(pid)
    load(port, total=HOUR)
    after = resident(pid)
    zygote.kill(pid, signal.SIGTERM)
    zygote.wait(pid)
    return [
        Row("memory of the server with two million samples", before, "MiB"),
        Row(
            "its growth over the messages of an hour of the article's fleet",
            after - before,
            "MiB",
        ),
    ]


def run() -> list[Row]:
    """Measure and return the rows."""
    rows = []
    with tempfile.TemporaryDirectory() as name, Zygote() as zygote:
        folder = Path(name)
        rows += embedded(zygote, folder)
        rows += memory(zygote, folder)
        if find_mosquitto() is not None:
            rows += mosquitto(zygote, folder)
            rows += losses(zygote, folder)
    return rows
