"""The whole firmware on fake hardware with a broker and a server, on either Python.

bench = Whole()
bench.run(2 * 3_600_000)
bench.server.records
"""

import json

from fakes import ClosedAir, FakeHardware, run
from fakes_broker import FakeBroker, FakeServer
from tilth_chamber import keep
from tilth_chamber.app import App

KEY = bytes(range(32))
SECRET = {
    "mqtt_host": "broker",
    "mqtt_password": "p",
    "ntp_host": "ntp",
    "command_key": "".join([f"{byte:02x}" for byte in KEY]),
}


class Whole:
    """A chamber over soil with a flux, its broker and its server."""

    def __init__(self, flux=0.78, seed=1, loc="5.10.A", **hardware):
        self.hw = hw = FakeHardware(seed=seed, **hardware)
        hw.fs.capacity = 16 * 1024 * 1024
        hw.air = ClosedAir(hw, flux)
        hw.fs.put("/secret.json", json.dumps(SECRET).encode())
        keep.folder(hw.fs, "/state")
        keep.save(hw.fs, "/state/label.json", loc)
        hw.net.latency_ms = 20
        hw.net.serve_ntp()
        self.broker = FakeBroker(hw, seed)
        hw.net.peers[("broker", 8883)] = self.broker
        self.server = FakeServer(self.broker)
        self.app = None

    def run(self, ms):
        """Let time pass."""
        end = self.hw.true_ms + ms
        self.app = run(self.hw, lambda: App(self.hw), end, self.app)
        return self.app

    def samples(self, boot=None):
        """What the server has: (tick, values) of each sample of a boot, by number."""
        rows = self.server.records[boot or self.app.queue.boot]
        found = [rows[n] for n in sorted(rows)]
        return [row for row in found if len(row[1]) == 9]
