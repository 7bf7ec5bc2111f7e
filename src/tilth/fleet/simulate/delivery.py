"""When the records of a simulated device reach the server: outages, lateness."""

from __future__ import annotations

import numpy as np

from tilth.fleet.simulate.plan import WHOLE_FLEET, Episode

#: A live batch is sent every so many ms.
BATCH_MS = 15_000
#: Samples a device that was cut off sends per second when it is back: four batches of
#: 200 in flight, answered within about a second.
BACKLOG_RATE = 800.0
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
        Of the latencies.
    """

    def __init__(self, episodes, devices: int, seed: int) -> None:
        self.seed = seed
        self.cuts: list[np.ndarray] = []
        self.held: list[list[Episode]] = []
        for device in range(devices):
            mine = [e for e in episodes if e.device in (device, WHOLE_FLEET)]
            spans = [(e.t_from, e.t_to) for e in mine if e.kind in _CUTS]
            for e in mine:
                if e.kind == "ap_flap":
                    down = int(1000 * min(e.size, 55.0))
                    spans += [(t, t + down) for t in range(e.t_from, e.t_to, 60_000)]
            self.cuts.append(_merged(spans))
            self.held.append([e for e in mine if e.kind == "late"])

    def received(self, device: int, t: np.ndarray) -> np.ndarray:
        """Return when samples of these times arrive.

        Parameters
        ----------
        device : int
            Number of the device.
        t : numpy.ndarray
            UTC ms of the samples, rising.

        Returns
        -------
        numpy.ndarray
            UTC ms, int64, not before `t`.
        """
        if not len(t):
            return t.copy()
        rng = np.random.default_rng([self.seed, 7, device, int(t[0] // 1000)])
        # Samples of one batch travel together.
        shift = 7919 * device
        first = (int(t[0]) + shift) // BATCH_MS
        edges = (
            np.arange(first, (int(t[-1]) + shift) // BATCH_MS + 1) * BATCH_MS - shift
        )
        each = np.diff(np.searchsorted(t, edges), append=len(t))
        latency = 20.0 + 30.0 * np.exp(0.5 * rng.standard_normal(len(edges)))
        sent = np.repeat(edges + BATCH_MS, each)
        recv = np.repeat(edges + BATCH_MS + latency.astype(np.int64), each)
        for episode in self.held[device]:
            hit = (t >= episode.t_from) & (t < episode.t_to)
            recv[hit] += int(1000 * abs(episode.size))
        cuts = self.cuts[device]
        if len(cuts):
            at = np.searchsorted(cuts[:, 0], sent, side="right") - 1
            cut = (at >= 0) & (sent < cuts[np.maximum(at, 0), 1])
            if cut.any():
                back = cuts[at[cut], 1]
                # Live first, the newest of the backlog last: in order of age.
                waited = (t[cut] - cuts[at[cut], 0]) / 3000.0
                recv[cut] = back + 200 + (1000 * waited / BACKLOG_RATE).astype(np.int64)
        return recv


def _merged(spans: list[tuple[int, int]]) -> np.ndarray:
    """Return spans sorted and merged where they meet, shape (span, 2)."""
    merged: list[list[int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    return np.array(merged, np.int64).reshape(-1, 2)
