"""Run the tests of a module on MicroPython: module name, then names to leave out."""

import sys
import time

import pytest


def run(name, leave_out):
    """Call every test; return how many ran."""
    module = __import__(name)
    n, failed = 0, []
    for attribute in sorted(dir(module)):
        test = getattr(module, attribute)
        if not attribute.startswith("test_") or attribute in leave_out:
            continue
        calls = test.all() if isinstance(test, pytest.Cases) else [(test, {})]
        if not (callable(test) or isinstance(test, pytest.Cases)):
            continue  # of hypothesis
        for call, values in calls:
            start = time.ticks_ms()
            try:
                call(**values)
                n += 1
            except Exception as error:
                failed.append(attribute)
                print(attribute, values)
                sys.print_exception(error)
            if time.ticks_diff(time.ticks_ms(), start) > 300:
                print(attribute, time.ticks_diff(time.ticks_ms(), start), "ms")
    print("ran", n, "failed", len(failed))
    return not failed
