"""The journal against a plain dictionary, whatever order things come in."""

import os
import tempfile
from pathlib import Path

import pytest
from batches_world import DEVICE, NOW, OTHER, batch, check, message, one, rows
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tilth.fleet.journal import Journal
from tilth.fleet.journal_files import StorageError
from tilth.fleet.journal_group import GRACE_MS, Group
from tilth.fleet.ledger import device_days, prove, recount
from tilth.fleet.protocol import Status, add_crc, encode_batch, encode_status, topic_of

FULL = bool(os.environ.get("TILTH_FULL"))
BOOTS = ("1-00000001", "2-00000002")
KEYS = [(d, b) for d in (DEVICE, OTHER) for b in BOOTS]

keys = st.sampled_from(KEYS)
numbers = st.integers(0, 40)
lengths = st.integers(1, 12)


class Model(RuleBasedStateMachine):
    """A journal, and what it should hold."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "journal.sqlite"
        self.now = NOW + 10_000_000
        self.journal = Journal(self.path, lambda: self.now)
        self.content = {key: {} for key in KEYS}  # number -> co2
        self.gone = {key: set() for key in KEYS}
        self.low = dict.fromkeys(KEYS, 0)
        self.known = dict.fromkeys(KEYS, -1)
        self.heard = set()
        self.bodies = {}
        self.conflicts = set()

    def teardown(self):
        self.journal.close()
        self.folder.cleanup()

    def note(self, key, first, n, low=None):
        self.heard.add(key)
        self.known[key] = max(self.known[key], first + n - 1)

    def put(self, key, first, n, shift=0):
        """Model the arrival of a batch."""
        self.note(key, first, n)
        for number in range(first, first + n):
            co2 = 4000 + number % 977 + shift
            kept = self.content[key].setdefault(number, co2)
            self.gone[key].discard(number)
            if kept != co2:
                self.conflicts.add((key, number, co2))

    def payload(self, key, first, n, shift=0, **more):
        made = batch(first, n, boot=key[1], **more)
        made.samples = [s._replace(co2=s.co2 + shift) for s in made.samples]
        return message(first, n, device=key[0], boot=key[1], recv=self.now)._replace(
            payload=encode_batch(made)
        )

    def answers(self, acks, wanted):
        assert {(a.device, a.boot) for a in acks} == set(wanted)
        for ack in acks:
            settled = self.settled((ack.device, ack.boot))
            watermark = -1
            while watermark + 1 in settled:
                watermark += 1
            assert ack.seq == watermark
            for low, high in ack.have:
                assert low > watermark + 1
                assert settled >= set(range(low, high + 1))

    def settled(self, key):
        return set(self.content[key]) | self.gone[key]

    # What can come

    @rule(batches=st.lists(st.tuples(keys, numbers, lengths), min_size=1, max_size=5))
    def batches_come(self, batches):
        messages = [self.payload(*one_) for one_ in batches]
        for key, first, n in batches:
            self.put(key, first, n)
        self.answers(self.journal.commit(messages), {key for key, _, _ in batches})

    @rule(key=keys, first=numbers, n=lengths)
    def another_version_comes(self, key, first, n):
        self.put(key, first, n, shift=5_000)
        self.answers(self.journal.commit([self.payload(key, first, n, 5_000)]), {key})

    @rule(key=keys, first=numbers, n=lengths)
    def poison_comes(self, key, first, n):
        bad = encode_batch(batch(first, n, boot=key[1])).replace(b'"q":[', b'"q":[7,')
        bad = add_crc(bad[: bad.rfind(b',"crc"')])
        poison = self.payload(key, first, n)._replace(payload=bad)
        self.note(key, first, n)
        self.gone[key] |= set(range(first, first + n)) - set(self.content[key])
        self.answers(self.journal.commit([poison]), {key})

    @rule(garbage=st.binary(max_size=30), leaf=st.sampled_from("ds"))
    def garbage_comes(self, garbage, leaf):
        bad = self.payload(KEYS[0], 0, 1)
        topic = topic_of(DEVICE, leaf)
        assert self.journal.commit([bad._replace(topic=topic, payload=garbage)]) == []

    @rule(
        key=keys,
        at=st.integers(60, 99),
        of=st.sampled_from(BOOTS),
        first=numbers,
        n=lengths,
    )
    def the_device_reports_a_drop(self, key, at, of, first, n):
        body = {"boot": of, "first": first, "last": first + n - 1, "reason": "overflow"}
        report = self.payload(key, at, 1, events=[(0, 0, "dropped", body)])
        about = (key[0], of)
        new = at not in self.content[key]
        self.note(key, at, 1)
        self.gone[key].discard(at)
        self.content[key].setdefault(at, "dropped")
        if self.bodies.setdefault((key, at), body) != body:
            self.conflicts.add((key, at, of, first, n))
        wanted = {key}
        if new:
            self.note(about, first, n)
            self.gone[about] |= set(range(first, first + n)) - set(self.content[about])
            wanted.add(about)
        self.answers(self.journal.commit([report]), wanted)

    @rule(key=keys, low=numbers)
    def the_device_no_longer_holds_what_is_missing(self, key, low):
        held = {k: self.known[k] for k in KEYS if k[0] == key[0] and k in self.heard}
        pending = [(b, 0, last) for (_, b), last in held.items() if b != key[1]]
        last = max(self.known[key], low)
        status = Status(True, key[1], pending=[*pending, (key[1], low, last)])
        hello = self.payload(key, 0, 1)._replace(
            topic=topic_of(key[0], "s"), payload=encode_status(status)
        )
        self.note(key, last, 1)
        self.low[key] = max(self.low[key], low)
        self.answers(self.journal.commit([hello]), {*held, key})
        self.now += GRACE_MS
        self.journal.tend()
        for one_ in KEYS:
            self.gone[one_] |= set(range(self.low[one_])) - set(self.content[one_])

    # What can happen to the server

    @rule()
    def the_server_restarts(self):
        self.journal.close()
        self.journal = Journal(self.path, lambda: self.now)

    @precondition(lambda self: self.heard)
    @rule(key=keys, first=numbers, n=lengths)
    def the_disk_fails_in_the_middle(self, key, first, n):
        message_ = self.payload(key, first, n)
        run = self.journal._connection.execute
        pages = run("PRAGMA page_count").fetchone()[0]
        run(f"PRAGMA max_page_count = {pages}")
        whole = Group.write

        def fails(group):
            whole(group)
            group._connection.execute("CREATE TABLE large(x)")
            group._connection.execute("INSERT INTO large VALUES(zeroblob(200000))")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Group, "write", fails)
            with pytest.raises(StorageError):
                self.journal.commit([message_])
        run("PRAGMA max_page_count = 1000000")

    # What must hold

    @invariant()
    def every_record_is_there_once_and_as_it_first_came(self):
        found = rows(
            self.journal,
            "SELECT d.name, b.boot, x.seq, x.co2 FROM (SELECT boot, seq, co2 FROM "
            "samples UNION ALL SELECT boot, seq, kind FROM events) x "
            "JOIN boots b ON b.id = x.boot JOIN devices d ON d.id = b.device",
        )
        assert len(found) == sum(map(len, self.content.values()))
        for device, boot, seq, co2 in found:
            assert self.content[device, boot][seq] == co2
        assert one(self.journal, "SELECT count(*) FROM conflicts") == len(
            self.conflicts
        )
        check(self.journal)

    @invariant()
    def the_ledger_says_so_too(self):
        reader = self.journal.reader()
        proofs = {(p.device, p.boot): p for p in prove(reader)}
        assert set(proofs) == self.heard
        for key, proof in proofs.items():
            every = set(range(self.known[key] + 1))
            missing = every - self.settled(key)
            assert proof.known == self.known[key]
            assert proof.stored == proof.counted == len(self.content[key])
            assert proof.outstanding == len(missing)
            assert proof.dropped + proof.quarantined + proof.lost == len(self.gone[key])
            assert proof.complete == (set(self.content[key]) == every)
            assert {
                n for low, high in proof.missing for n in range(low, high + 1)
            } == missing
        days = device_days(reader)
        assert sum(d.expected for d in days) == sum(n + 1 for n in self.known.values())
        assert sum(d.received for d in days) == sum(map(len, self.content.values()))
        assert recount(reader, {}) == []
        reader.close()


TestJournal = Model.TestCase
TestJournal.settings = settings(
    max_examples=400 if FULL else 8,
    stateful_step_count=40 if FULL else 10,
    deadline=None,
)
