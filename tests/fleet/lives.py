"""The lives of a server: started, loaded by devices, killed, again and again."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path

from brokers import free_port
from devices import Device, names
from oracle import Count, verify
from radios import Fleet, Radio
from zygote import Zygote

#: The whole matrix instead of a part of it.
FULL = bool(os.environ.get("TILTH_FULL"))


class World:
    """A fleet of devices and a data folder; servers come and go.

    Parameters
    ----------
    folder : Path
        Data folder of the server.
    zygote : Zygote
        Where servers come from.
    devices : int
        How many.
    rate : float
        Records per second and device.
    qos : int
        Of the devices' messages.
    seed : int
        Of everything random.
    password : callable, optional
        Gives the password of a device.
    options : keywords
        Of each `Device`.
    """

    def __init__(
        self,
        folder: Path,
        zygote: Zygote,
        *,
        devices: int = 6,
        rate: float = 100.0,
        qos: int = 1,
        seed: int = 0,
        password: Callable[[str], str] = lambda name: "pw",
        **options,
    ) -> None:
        self.folder = folder
        self.zygote = zygote
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.random = random.Random(seed)
        options = {"retry": 0.3, "seed": seed, **options}
        self.devices = [Device(name, **options) for name in names(devices)]
        for device in self.devices:
            device.power_on()
        radios = [
            Radio(
                device,
                password(device.name),
                lambda: self.address,
                qos=qos,
                backoff=(0.01, 0.1),
            )
            for device in self.devices
        ]
        self.fleet = Fleet(radios, rate)
        self.kills = 0

    async def start(self, *, wait: bool = True, **options) -> int:
        """Start a server; return its process number."""
        pid = self.zygote.spawn(self.folder, self.port, **options)
        if wait:
            await asyncio.to_thread(self.zygote.ready, pid)
        return pid

    async def kill(self, pid: int, number: int = 9) -> None:
        """End a server and wait until it has ended."""
        self.kills += 1
        self.zygote.kill(pid, number)
        await asyncio.to_thread(self.zygote.wait, pid)

    async def live(self, story: Callable[[], object], drain: float = 30.0) -> bool:
        """Let the devices measure and send while the story is told.

        Afterwards a last server is started and the devices are emptied.

        Returns
        -------
        bool
            Whether every device could delete all it had.
        """
        task = asyncio.ensure_future(story())
        try:
            await self.fleet.run(3600, done=task.done)
            await task
            pid = await self.start()
            empty = await self.fleet.run(0, drain=drain)
        finally:
            await self.fleet.leave()
        await self.kill(pid, 15)
        return empty

    def verify(self, **options) -> Count:
        """Ask the oracle."""
        return verify(self.folder / "journal.sqlite", self.devices, **options)
