"""The live stream: each reader at its own pace, none in the way of another."""

import asyncio
import threading
import time

import httpx
import pytest
from generated_fleet import Queue

from tilth.core.errors import TilthError
from tilth.web.app import make_app
from tilth.web.feed import LiveQueue
from tilth.web.live import KINDS, LiveHub
from tilth.web.server import WebServer
from tilth.web.settings import WebSettings


@pytest.fixture
def hub():
    return LiveHub(Queue, size=8, heartbeat_s=0.05, gather_s=0.0)


def numbers(text):
    return [
        int(line.rpartition("-")[2]) - 1
        for line in text.splitlines()
        if line.startswith("id:")
    ]


def test_a_reader_gets_what_came_since_its_position(hub):
    for i in range(5):
        hub.publish({"kind": "device", "device": "a", "n": i})
    text, position = hub.read(2, KINDS)
    assert numbers(text) == [2, 3, 4]
    assert position == 5
    assert hub.read(position, KINDS) == ("", 5)


def test_a_slow_reader_is_told_how_much_it_missed_and_then_goes_on(hub):
    for i in range(20):
        hub.publish({"kind": "device", "device": "a", "n": i})
    text, position = hub.read(3, KINDS)
    assert text.startswith('event: missed\ndata: {"count":9}\n\n')
    assert numbers(text) == list(range(12, 20))
    assert position == 20
    assert hub.skipped == 9


def test_only_what_was_asked_for_is_sent(hub):
    hub.publish({"kind": "device", "device": "a"})
    hub.publish({"kind": "flux", "device": "b"})
    hub.publish({"kind": "alarm"})
    assert numbers(hub.read(0, ("flux",))[0]) == [1]
    assert numbers(hub.read(0, KINDS, "a")[0]) == [0, 2]


def test_a_page_goes_on_after_the_last_event_it_heard(hub):
    for i in range(4):
        hub.publish({"kind": "device", "n": i})
    assert hub.position("") == 4
    text, _ = hub.read(1, KINDS)
    heard = text.partition("\n")[0].removeprefix("id: ")
    assert numbers(hub.read(hub.position(heard), KINDS)[0]) == [2, 3]
    assert hub.position(f"{hub.run}-0") == 0
    assert hub.position(f"{hub.run}-4") == 4


@pytest.mark.parametrize(
    "name", ["other-1", "{run}-99", "{run}-x", "x", "{run}--1", "-"]
)
def test_an_event_of_another_run_makes_the_page_load_anew(hub, name):
    hub.publish({"kind": "device"})
    assert hub.position(name.format(run=hub.run)) is None


def test_text_of_a_device_cannot_break_out_of_its_event(hub):
    hub.publish({"kind": "device", "loc": "x\n\nevent: reload\ndata: {}\n\n"})
    text, _ = hub.read(0, KINDS)
    assert text.count("\n\n") == 1
    assert "\nevent: reload" not in text


def test_publishing_never_waits_for_readers(hub):
    begun = time.perf_counter()
    for i in range(20_000):
        hub.publish({"kind": "device", "device": "a", "n": i})
    assert time.perf_counter() - begun < 2.0
    assert len(hub._ring) == 8


async def collect(hub, count, last="", **more):
    out = []
    stream = hub.stream(last, KINDS, **more)
    async for part in stream:
        out.append(part)
        if len(out) == count:
            break
    await stream.aclose()
    return out


def test_a_stream_begins_with_its_position_and_lives_on_comments(hub):
    async def run():
        hub.start()
        try:
            return await collect(hub, 3)
        finally:
            hub.close()

    first, *rest = asyncio.run(run())
    assert f"id: {hub.run}-" in first
    assert rest == [": still here\n\n"] * 2
    assert hub.clients == 0


def test_what_another_thread_publishes_is_sent_at_once(hub):
    hub.heartbeat_s = 30.0

    async def run():
        hub.start()
        threading.Timer(0.1, hub.publish, [{"kind": "flux", "device": "a"}]).start()
        try:
            return await asyncio.wait_for(collect(hub, 2), 5.0)
        finally:
            hub.close()

    assert "event: flux" in asyncio.run(run())[1]


def test_closing_ends_every_stream(hub):
    hub.heartbeat_s = 30.0

    async def run():
        hub.start()
        streams = [asyncio.create_task(collect(hub, 99)) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert hub.clients == 3
        await asyncio.to_thread(hub.close)
        await asyncio.wait_for(asyncio.gather(*streams), 5.0)

    asyncio.run(run())
    assert hub.clients == 0


# A queue between the service and the hub


def test_a_queue_nobody_reads_keeps_the_newest():
    queue = LiveQueue(size=3)
    for i in range(10):
        queue.put({"n": i})
    assert [queue.get(0)["n"] for _ in range(3)] == [7, 8, 9]
    assert queue.get(0.01) is None


def test_closing_a_queue_wakes_who_waits():
    queue = LiveQueue()
    threading.Timer(0.05, queue.close).start()
    begun = time.monotonic()
    assert queue.get(30.0) is None
    assert time.monotonic() - begun < 5


# Over the network


@pytest.fixture
def served(fleet, control):
    settings = WebSettings(max_live_clients=2)
    with WebServer(make_app(fleet, control, settings), port=0) as server:
        yield server


def lines_until(lines, word):
    seen = []
    for line in lines:
        seen.append(line)
        if word in line:
            return seen
    raise AssertionError(f"no {word}: {seen}")


def test_a_stream_is_sent_as_it_happens_and_is_never_packed(served, fleet):
    with httpx.stream(
        "GET", f"{served.url}/api/live?kinds=flux", headers={"accept-encoding": "gzip"}
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
        lines = answer.iter_lines()
        next(lines)
        fleet.say(kind="device", device="a", co2=1)
        fleet.say(kind="flux", device="a", flux=0.5)
        seen = lines_until(lines, '"flux":0.5')
        assert "event: flux" in seen
        assert "event: device" not in seen


def test_a_lost_connection_goes_on_without_a_gap(served, fleet):
    with httpx.stream("GET", f"{served.url}/api/live") as answer:
        first = lines_until(answer.iter_lines(), "id:")[-1]
    for i in range(3):
        fleet.say(kind="flux", device="a", n=i)
    time.sleep(0.3)
    headers = {"last-event-id": first.removeprefix("id: ")}
    with httpx.stream("GET", f"{served.url}/api/live", headers=headers) as answer:
        seen = lines_until(answer.iter_lines(), '"n":2')
    assert sum('"n":' in line for line in seen) == 3


def test_the_third_of_two_streams_is_told_to_come_back(served):
    url = f"{served.url}/api/live"
    with httpx.stream("GET", url) as one, httpx.stream("GET", url) as two:
        # Kept, for a stream ends when nobody holds its lines any more.
        held = [one.iter_lines(), two.iter_lines()]
        for lines in held:
            next(lines)
        third = httpx.get(url)
        assert third.status_code == 503
        assert third.headers["retry-after"] == "30"


def test_a_browser_that_reads_nothing_holds_nobody_up(served, fleet):
    import socket

    host, port = "127.0.0.1", served.port
    with socket.create_connection((host, port)) as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        idle.sendall(b"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        time.sleep(0.2)
        with httpx.stream("GET", f"{served.url}/api/live?kinds=flux") as answer:
            lines = answer.iter_lines()
            next(lines)
            for i in range(3_000):
                fleet.say(kind="device", device="a", text="x" * 500, n=i)
            fleet.say(kind="flux", device="a", n="last")
            begun = time.monotonic()
            lines_until(lines, "last")
            assert time.monotonic() - begun < 5
        assert httpx.get(f"{served.url}/healthz").status_code == 200


def test_the_server_stops_at_once_though_streams_are_open(fleet, control):
    server = WebServer(make_app(fleet, control), port=0)
    server.start()
    with httpx.stream("GET", f"{server.url}/api/live") as answer:
        lines = answer.iter_lines()
        next(lines)
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 4
    server.stop()


def test_a_port_that_is_taken_is_told_in_words(served, fleet, control):
    with pytest.raises(TilthError, match="another port"):
        WebServer(make_app(fleet, control), port=served.port).start()
