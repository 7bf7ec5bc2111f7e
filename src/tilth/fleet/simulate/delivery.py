"""When the records of a simulated device reach the server: outages, lateness, repeats.

The vectorised simulator knows no packets. This is the model of the way it uses; in
the loop the firmware's own link, over real connections, takes its place.
"""

from __future__ import annotations

import random

import numpy as np

from tilth.fleet.simulate.plan import WHOLE_FLEET, Episode

#: Samples a device that was cut off sends per second when it is back: four batches of
#: 200 in flight, answered within about a second.
BACKLOG_RATE = 800.0
#: A batch that is overtaken arrives this much later, ms; one that comes twice does so
#: after the device has waited for its acknowledgement.
OVERTAKEN_MS, AGAIN_MS = 20_000, 5_000
#: Faults that cut the device from the server.
_CUTS = ("wifi_loss", "dns_failure", "broker_down")


class Delivery:
    """When records arrive.

    Parameters
    ----------
    episodes : iterable of Episode
        Faults; those of the link matter here.
    devices : int
        Size of the fleet.
    seed : int
        Of the latencies and of which batches are hit.
    batch_ms : int
        A live batch is sent every so many ms.
    """

    def __init__(
        self, episodes, devices: int, seed: int, batch_ms: int = 15_000
    ) -> None:
        self.seed, self.batch_ms = seed, batch_ms
        self.cuts: list[np.ndarray] = []
        self.meddled: list[list[Episode]] = []
        for device in range(devices):
            mine = [e for e in episodes if e.device in (device, WHOLE_FLEET)]
            spans = [(e.t_from, e.t_to) for e in mine if e.kind in _CUTS]
            for e in mine:
                if e.kind == "ap_flap":
                    down = int(1000 * min(e.size, 55.0))
                    spans += [(t, t + down) for t in range(e.t_from, e.t_to, 60_000)]
            self.cuts.append(_merged(spans))
            kinds = ("late", "duplicate", "reordered")
            self.meddled.append([e for e in mine if e.kind in kinds])

    def received(self, device: int, t: np.ndarray) -> np.ndarray:
        """Return when samples of these times arrive first, UTC ms, int64."""
        return self.journey(device, t)[1]

    def journey(self, device: int, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return when records of these times are sent and when they arrive.

        Parameters
        ----------
        device : int
            Number of the device.
        t : numpy.ndarray
            UTC ms of the records, not falling.

        Returns
        -------
        sent, recv : numpy.ndarray
            UTC ms, int64; `recv` is never before `t`. Records of one batch share
            both.
        """
        if not len(t):
            return t.copy(), t.copy()
        every = self.batch_ms
        shift = 7919 * device % every
        first = (int(t[0]) + shift) // every
        edges = np.arange(first, (int(t[-1]) + shift) // every + 1)
        # The latency belongs to the batch, whatever part of it is asked for.
        noise = np.random.default_rng([self.seed, 7, device, int(first) & 0xFFFFFFFF])
        latency = 20.0 + 30.0 * np.exp(0.5 * noise.standard_normal(len(edges)))
        edges = edges * every - shift
        each = np.diff(np.searchsorted(t, edges), append=len(t))
        sent = np.repeat(edges + every, each)
        recv = np.repeat(edges + every + latency.astype(np.int64), each)
        for episode in self.meddled[device]:
            if episode.kind == "late":
                hit = (sent >= episode.t_from) & (sent < episode.t_to)
                recv[hit] += int(1000 * abs(episode.size))
        cuts = self.cuts[device]
        if len(cuts):
            at = np.searchsorted(cuts[:, 0], sent, side="right") - 1
            cut = (at >= 0) & (sent < cuts[np.maximum(at, 0), 1])
            if cut.any():
                since, back = cuts[at[cut], 0], cuts[at[cut], 1]
                # Whole batches of the backlog, in order of age.
                waited = np.maximum(t[cut] - since, 0) // 3000 // 200
                delay = 200 + (1000 * 200 * waited / BACKLOG_RATE).astype(np.int64)
                recv[cut] = back + delay
        return sent, recv

    def arrivals(self, device: int, sent: int, recv: int, seq: int) -> list[int]:
        """Return when one batch arrives: once, later than others, or twice."""
        when = [recv]
        for episode in self.meddled[device]:
            if episode.kind == "late" or not episode.t_from <= sent < episode.t_to:
                continue
            draw = random.Random(f"{self.seed} {device} {sent} {seq} {episode.kind}")
            if draw.random() < episode.size:
                if episode.kind == "duplicate":
                    when.append(recv + AGAIN_MS)
                else:
                    when = [w + OVERTAKEN_MS for w in when]
        return when


def _merged(spans: list[tuple[int, int]]) -> np.ndarray:
    """Return spans sorted and merged where they meet, shape (span, 2)."""
    merged: list[list[int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    return np.array(merged, np.int64).reshape(-1, 2)
