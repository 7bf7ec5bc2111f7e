"""The part of `random` the tests use, as one small generator."""


class Random:
    """A linear congruential generator behind the names of `random.Random`."""

    def __init__(self, seed=0):
        self._state = (seed * 2654435761 + 12345) & 0xFFFFFFFF

    def getrandbits(self, n):
        out = 0
        for _ in range((n + 15) // 16):
            self._state = (self._state * 1664525 + 1013904223) & 0xFFFFFFFF
            out = out << 16 | self._state >> 16
        return out & ((1 << n) - 1)

    def randint(self, low, high):
        return low + self.getrandbits(32) % (high - low + 1)

    def randrange(self, low, high=None):
        if high is None:
            low, high = 0, low
        return self.randint(low, high - 1)

    def random(self):
        return self.getrandbits(24) / 16777216

    def choice(self, items):
        return items[self.getrandbits(32) % len(items)]

    def randbytes(self, n):
        return bytes([self.getrandbits(8) for _ in range(n)])

    def gauss(self, mean, deviation):
        return mean + deviation * (sum([self.random() for _ in range(12)]) - 6)
