"""The firmware on real MicroPython, compiled to WebAssembly, under Node.

The tests of the firmware's own parts are run there as they are, with the stand-ins in
`chip/` for what MicroPython does not have.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
FIRMWARE = HERE.parents[1] / "firmware"
FULL = bool(os.environ.get("TILTH_FULL"))
PACKAGE = "node_modules/@micropython/micropython-webassembly-pyscript"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or shutil.which("npm") is None,
    reason="needs Node: apt-get install nodejs npm",
)


@pytest.fixture(scope="session")
def micropython(request, tmp_path_factory):
    """Folder of the npm package, installed once as the lock file says."""
    lock = FIRMWARE / "package-lock.json"
    place = request.config.cache.mkdir("micropython") / str(hash_of(lock))
    if not place.exists():
        fresh = tmp_path_factory.mktemp("npm")
        for name in ("package.json", "package-lock.json"):
            shutil.copy(FIRMWARE / name, fresh)
        command = ["npm", "ci", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=fresh, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        try:
            shutil.move(fresh, place)
        except OSError:  # another worker was faster
            assert place.exists()
    return place / PACKAGE


def hash_of(path):
    """Name of a folder for the content of a file."""
    import zlib

    return f"{zlib.crc32(path.read_bytes()):08x}"


def run(package, script):
    """Run a script on MicroPython with the firmware and the tests on its path."""
    start = "import sys\nsys.path[:0] = ['/chip', '/tests', '/firmware']\n"
    command = ["node", HERE / "chip" / "micropython.mjs", package, start + script]
    for target, folder in (
        ("/chip", HERE / "chip"),
        ("/tests", HERE),
        ("/firmware", FIRMWARE),
    ):
        command.append(f"{target}={folder}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


def test_it_is_micropython(micropython):
    code, out = run(micropython, "print(sys.implementation.name, sys.version)")
    assert code == 0
    assert out.startswith("micropython 3.4.0; MicroPython v1.27.0")


def test_an_exception_there_is_a_failure_here(micropython):
    code, out = run(micropython, "raise ValueError('seen')")
    assert code == 1
    assert "seen" in out


# Modules, how many tests at least run there, and those that take long there.
MODULES = {
    "test_queue": (
        18,
        [
            "test_a_power_cut_at_any_change_of_the_flash_loses_nothing_returned_for",
            "test_every_single_flipped_bit_is_found_and_only_its_record_is_given_up",
            "test_a_hundred_brownouts_keep_a_hundred_boots_apart",
            "test_a_full_queue_drops_the_oldest_and_says_so",
        ],
    ),
    "test_mqtt": (
        30,
        [
            "test_a_hundred_thousand_messages_with_acknowledgements_do_not_hang_it",
            "test_it_comes_back_by_itself_after_an_hour",
            "test_attempts_back_off_to_a_minute_with_jitter",
        ],
    ),
    "test_clock": (
        25,
        [
            "test_a_crystal_that_is_off_is_learned_and_the_time_stays_right",
            "test_thirty_days_over_a_wrap_of_the_counter_keep_the_time",
            "test_it_asks_again_every_hour_with_jitter",
            "test_one_wrong_answer_moves_nothing",
        ],
    ),
    "test_link": (
        10,
        [
            "test_a_link_down_for_days_is_caught_up_and_live_records_do_not_wait",
            "test_no_memory_for_a_batch_makes_smaller_ones",
            "test_a_server_away_for_hours_behind_a_working_broker",
            "test_a_restart_in_the_middle_of_a_backfill_repeats_little",
            "test_poison_in_the_backlog_of_an_earlier_boot_does_not_stop_it",
            "test_whatever_goes_wrong_nothing_is_deleted_before_the_server_has_it",
            "test_a_full_queue_and_a_dead_link_leave_no_unexplained_gap",
            "test_power_cuts_while_offline_leave_boots_that_all_arrive",
            "test_acknowledgements_lost_for_hours_cost_nothing_but_repetition",
            "test_a_slow_or_absent_server_makes_no_poison",
            "test_an_idle_link_is_woken_seldom",
            "test_the_status_says_who_and_what_is_pending_and_comes_hourly",
            "test_a_flash_that_refuses_does_not_stop_delivery",
            "test_a_broker_that_forgets_messages_costs_time_only",
        ],
    ),
}


@pytest.mark.parametrize("module", MODULES)
def test_the_tests_of_a_part_pass_on_micropython(micropython, module):
    least, slow = MODULES[module]
    left_out = [] if FULL else slow
    script = f"import run_tests\nassert run_tests.run({module!r}, {left_out!r})"
    code, out = run(micropython, script)
    assert code == 0, out
    ran = int(out.split("ran ")[1].split()[0])
    assert ran >= least


def test_signatures_are_checked_the_same_on_micropython(micropython):
    from test_ed25519 import RFC8032, keys

    cases = [(p, m, s, True) for _, p, m, s in RFC8032[1 if FULL else 3 :]]
    private, public = keys(bytes(range(32)))
    cases.append((public.hex(), b"tilth".hex(), private.sign(b"tilth").hex(), True))
    cases.append((public.hex(), b"Tilth".hex(), private.sign(b"tilth").hex(), False))
    script = f"""
from tilth_chamber.ed25519 import verify
for public, message, signature, right in {cases!r}:
    parts = [bytes.fromhex(part) for part in (public, message, signature)]
    assert verify(*parts) is right
print("same")
"""
    code, out = run(micropython, script)
    assert (code, out) == (0, "same\n")


def test_commands_and_acknowledgements_are_read_the_same_on_micropython(micropython):
    from test_wire import GOOD_ACK

    from tilth.fleet.protocol import Command, encode_command

    command = encode_command(bytes(32), Command("c-" + "7" * 16, "open", {}, 0, 9))
    script = f"""
import json
from tilth_chamber import sign, wire
command = {command!r}
assert sign.is_signed(command, bytes(32))
assert not sign.is_signed(command, bytes(31) + b"1")
assert wire.read_command(command)["cmd"] == "open"
assert wire.read_ack(json.dumps({GOOD_ACK!r}).encode())[1] == 5
bad = [b"", b"[]", b"null", b"{{", b"\\xff\\xfe", b"[" * 3000, b'{{"v":1,"seq":NaN}}']
bad += [b'{{"v":1,"boot":"2a-9f3c1d77","seq":1e3,"have":[]}}', command]
for payload in bad:
    try:
        wire.read_ack(payload)
    except wire.Refused:
        continue
    raise AssertionError(payload)
print("same")
"""
    code, out = run(micropython, script)
    assert (code, out) == (0, "same\n")


LOADER = """
import os
from boot import loader, slots

loader.REST_MS = 0
flash = loader.Flash()

def fill(slot, version, code):
    for folder in ("/" + slot, "/" + slot + "/tilth_chamber"):
        try:
            os.mkdir(folder)
        except OSError:
            pass
    files = {"__init__.py": "", "start.py": "def run(slots, boot):\\n    " + code}
    names = []
    for name in files:
        with open("/" + slot + "/tilth_chamber/" + name, "w") as f:
            f.write(files[name])
        names.append(["tilth_chamber/" + name, len(files[name])])
    about = {"version": version, "serial": 1, "files": names}
    slots.save(flash, "/" + slot + "/slot.json", about)

def start():
    path = list(sys.path)
    loader.main(lambda: print("reset"))
    sys.path[:] = path
    for name in [n for n in sys.modules if n.startswith("tilth_chamber")]:
        del sys.modules[name]

start()
fill("a", "1.0.0", "print('one', boot)")
fill("b", "1.1.0", "raise ValueError('lost')")
now = slots.Slots(flash)
now.choose()
assert now.try_spare()
start()
start()
print(open("/crash.txt").read().split()[-2:], slots.Slots(flash).failed())
fill("b", "1.2.0", "print('two'); slots.confirm()")
assert slots.Slots(flash).try_spare()
start()
start()
"""


def test_the_loader_tries_a_slot_and_returns_to_the_good_one(micropython):
    code, out = run(micropython, LOADER)
    assert code == 0, out
    assert out.splitlines() == [
        "No whole firmware in /a or /b: see firmware/README.md",
        "reset",
        "one 1",
        "reset",
        "['ValueError:', 'lost'] 1.1.0",
        "two",
        "reset",
        "two",
        "reset",
    ]


CYCLE_MS = 1_500_000


def test_a_whole_cycle_measures_and_delivers_the_same_numbers(micropython):
    from whole import Whole

    bench = Whole()
    bench.run(CYCLE_MS)
    script = f"""
from whole import Whole
bench = Whole()
bench.run({CYCLE_MS})
for sample in bench.samples():
    print(sample)
"""
    code, out = run(micropython, script)
    assert code == 0, out
    here = [repr(sample) for sample in bench.samples()]
    assert len(here) > 480
    assert out.splitlines() == here
