"""Time of day: from the clock chip at start, from the network from then on.

.. math:: utc = utc_0 + (tick - tick_0)(1 + r)

with the rate error r learned from successive answers. Whole numbers only. What is not
plausible is not used: no date before this firmware was made, none more than ten years
after, and no jump of a clock that was right unless three answers in a row say so.

References: Mills et al. (2010), RFC 5905; Mills (2006), RFC 4330 (SNTP).
"""

BUILD_MS = 1_735_689_600_000  # 2025-01-01: no clock of this firmware shows less
SPAN_MS = 10 * 366 * 86_400_000
SINCE_1900 = 2_208_988_800  # s from 1900 to 1970

ANSWER_MS = 2_000
RETRY_MS = (2_000, 64_000)
RESYNC_MS = 3_600_000
KISSED_MS = 900_000  # RFC 4330, section 10: a server that says so is left alone
CONFIRM_MS = 20_000
CONFIRM_TIMES = 3
MAX_RTT_MS = 1_000
MAX_ROOT = 1 << 16  # 1 s in 16.16 fixed point, root delay / 2 + dispersion
MAX_RATE = 500_000  # ppb: a crystal is within 300 ppm
MIN_BASE_MS = 1_800_000  # shorter spans do not tell a rate
STEP_MS = 500  # plus drift and round trip: more is a jump
RTC_WRONG_MS = 2_000


def milliseconds(data, at):
    """Return a timestamp of a reply as UTC in ms, None if it is not set.

    The 32 bits of seconds end in 2036; what lies before this firmware was made
    belongs to the next era.
    """
    seconds = int.from_bytes(data[at : at + 4], "big")
    fraction = int.from_bytes(data[at + 4 : at + 8], "big")
    if not seconds and not fraction:
        return None
    seconds -= SINCE_1900
    if seconds * 1000 < BUILD_MS:
        seconds += 1 << 32
    return seconds * 1000 + (fraction * 1000 >> 32)


def is_plausible(utc):
    """Tell whether a date can be now for this firmware."""
    return utc is not None and BUILD_MS <= utc < BUILD_MS + SPAN_MS


def read_reply(data, nonce, sent, now):
    """Read an answer of a time server.

    Parameters
    ----------
    data : bytes
        As it came.
    nonce : bytes
        The 8 bytes sent as transmit time; the answer must carry them back.
    sent, now : int
        Ticks of question and answer.

    Returns
    -------
    utc : int or None
        UTC at `now`, ms since 1970; None if the answer must not be used.
    rtt : int or str
        Time on the way in ms; where utc is None, the reason.
    """
    if len(data) < 48 or data[24:32] != nonce:
        return None, "stranger"
    leap, version, mode = data[0] >> 6, data[0] >> 3 & 7, data[0] & 7
    stratum = data[1]
    if mode != 4 or not 1 <= version <= 4:
        return None, "mode"
    if stratum == 0:
        return None, "kiss"
    if leap == 3 or stratum > 15:
        return None, "unsynchronised"
    delay = int.from_bytes(data[4:8], "big")
    dispersion = int.from_bytes(data[8:12], "big")
    if (delay >> 1) + dispersion > MAX_ROOT:
        return None, "dispersion"
    received, answered = milliseconds(data, 32), milliseconds(data, 40)
    if received is None or answered is None or answered < received:
        return None, "stamps"
    rtt = now - sent - (answered - received)
    if rtt < -1 or rtt > MAX_RTT_MS:
        return None, "late"
    rtt = max(rtt, 0)
    utc = answered + rtt // 2
    if not is_plausible(utc):
        return None, "date"
    return utc, rtt


class Clock:
    """The device's time of day, as a function of ticks.

    Parameters
    ----------
    hw : object
        The hardware layer.
    settings : dict
        ntp_host.

    Attributes
    ----------
    syncs : list of (tick, dict)
        What to tell the server, for events "sync" and "alarm"; the link takes them.
    """

    def __init__(self, hw, settings):
        self._hw = hw
        self._set = settings
        self._tick = self._utc = None
        self._rate = 0  # ppb by which this chip's ticks are too slow
        self._source = "none"
        self._anchor = None  # (tick, utc) the rate is measured from
        self._jumps = []
        self._conn = None
        self._retry = RETRY_MS[0]
        self._rtt = 0
        self.syncs = []
        now = hw.ticks_ms()
        self._due = now + hw.random32() % 2000
        utc = hw.rtc_read()
        if is_plausible(utc):
            self._set_to(now, utc, "rtc", 0)

    def utc(self, tick):
        """Return the UTC of a tick in ms since 1970, None if it is not known."""
        if self._tick is None:
            return None
        utc = self._at(tick)
        return utc if is_plausible(utc) else None

    def _at(self, tick):
        elapsed = tick - self._tick
        return self._utc + elapsed + elapsed * self._rate // 1_000_000_000

    def source(self):
        """Return where the time comes from: ``"ntp"``, ``"rtc"`` or ``"none"``."""
        return self._source

    def step(self, now):
        """Ask, listen, give up, as it is due; return the tick of the next call."""
        if self._conn is not None:
            return self._listen(now)
        if now < self._due:
            return self._due
        try:
            if not self._hw.net.up():
                self._due = now + 1000
                return self._due
            self._ask(now)
        except (OSError, MemoryError):
            self._close()
            self._wait(now)
            return self._due
        return self._listen(now)

    def _ask(self, now):
        self._conn = self._hw.net.udp(self._set["ntp_host"], 123)
        word = self._hw.random32
        self._nonce = word().to_bytes(4, "big") + word().to_bytes(4, "big")
        self._sent = None
        self._asked = now

    def _listen(self, now):
        try:
            if self._sent is None and self._conn.ready():
                # The transmit time is noise: nobody on the way learns our clock,
                # and nobody who has not seen it can answer.
                self._sent = self._hw.ticks_ms()
                self._conn.send(b"\x23" + bytes(39) + self._nonce)
            data = self._conn.recv(128) if self._sent is not None else None
            while data:
                if self._heard(data, self._hw.ticks_ms()):
                    return self._due
                data = self._conn.recv(128)
        except (OSError, MemoryError):
            self._asked = now - ANSWER_MS - 1
        if now - self._asked > ANSWER_MS:
            self._close()
            self._wait(now)
            return self._due
        return now + 5

    def _heard(self, data, now):
        """Use an answer; False if it is not one to our question."""
        utc, rtt = read_reply(data, self._nonce, self._sent, now)
        if utc is None and rtt == "stranger":
            return False
        self._close()
        if utc is None:
            self._wait(now, KISSED_MS if rtt == "kiss" else 0)
        else:
            self._judge(now, utc, rtt)
        return True

    def _judge(self, now, utc, rtt):
        """Take over an answer, unless it is a jump that is not confirmed yet."""
        self._retry = RETRY_MS[0]
        if self._source == "ntp":
            error = utc - self._at(now)
            drift = (now - self._tick) * 600 // 1_000_000
            if abs(error) > STEP_MS + drift + rtt + self._rtt:
                self._jumps = [j for j in self._jumps if abs(j - error) <= 500]
                self._jumps.append(error)
                if len(self._jumps) < CONFIRM_TIMES:
                    self._due = now + CONFIRM_MS
                    return
                self._tell(now, {"what": "clock_jump", "ms": error})
                self._anchor = None
                self._rate = 0
        self._jumps = []
        self._learn_rate(now, utc)
        self._set_to(now, utc, "ntp", rtt)
        chip = self._hw.rtc_read()
        if chip is None or abs(chip - utc) > RTC_WRONG_MS:
            try:
                self._hw.rtc_write(utc)
            except OSError:
                pass
        self._due = now + RESYNC_MS - RESYNC_MS // 20
        self._due += self._hw.random32() % (RESYNC_MS // 10)

    def _learn_rate(self, now, utc):
        if self._anchor is None:
            self._anchor = (now, utc)
            return
        elapsed = now - self._anchor[0]
        if elapsed >= MIN_BASE_MS:
            rate = (utc - self._anchor[1] - elapsed) * 1_000_000_000 // elapsed
            plausible = abs(rate) <= MAX_RATE  # a leap second is no rate
            if plausible:
                self._rate = rate
            if not plausible or elapsed >= 6 * RESYNC_MS:  # it warms and cools
                self._anchor = (now, utc)

    def _set_to(self, now, utc, source, rtt):
        self._tick, self._utc, self._source, self._rtt = now, utc, source, rtt
        self._tell(now, {"tick": now, "utc": utc, "src": source, "rtt": rtt})

    def _tell(self, now, body):
        self.syncs.append((now, body))
        if len(self.syncs) > 8:
            self.syncs.pop(0)

    def _wait(self, now, least=0):
        wait = max(self._retry, least)
        self._due = now + wait + self._hw.random32() % (wait // 2)
        self._retry = min(2 * self._retry, RETRY_MS[1])

    def _close(self):
        if self._conn is not None:
            try:
                self._conn.close()
            except OSError:
                pass
            self._conn = None
