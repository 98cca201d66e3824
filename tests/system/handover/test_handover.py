#!/usr/bin/env python3
"""Handovers in the middle of what cannot simply be waited for: captures that waiting would end, and streams that stand
at a function of the program's.

    test_handover.py --build=DIR [TEST...]"""

import argparse
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "gpu"))
from testbed import Host, Installation, TestbedError  # noqa: E402

NEIGHBOUR = ("--blocks=1", "--threads=32", "--iterations-per-us=10")


def neighbour(host, build):
    """A VM that wants the GPU all the time; to be stopped by its stdin."""
    process = subprocess.Popen(host.guest_command("neighbour", str(build / "bench/bench-neighbour"), *NEIGHBOUR),
                               env=host.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               start_new_session=True)
    host.guests.append(process)
    if process.stdout.readline().strip() != "ready":
        raise TestbedError("the neighbour did not start")
    process.stdin.write("small 60\n")
    process.stdin.flush()
    return process


def suite_passes(host, build, suite, *cases):
    before = host.log().count("drain_timeout")
    neighbour(host, build)
    for _ in range(3):
        guest = host.start_guest("vm", str(build / "tests/gpu" / f"gpu-{suite}"), *cases)
        output, errors = guest.communicate(timeout=100)
        last = output.strip().splitlines()[-1] if output.strip() else ""
        if guest.returncode != 0 or " 0 failed" not in last:
            raise TestbedError(f"{suite} beside a neighbour: {last or errors}\n{output}")
    if host.log().count("drain_timeout") != before:
        raise TestbedError("a worker was ended because it did not drain")


def captures_outlive_handovers(host, build):
    suite_passes(host, build, "capture")
    suite_passes(host, build, "capture_rules")


def functions_of_the_program_do_not_hold_the_gpu(host, build):
    suite_passes(host, build, "callback", "waits_for_other_work", "in_order", "nodes", "many_threads")


def graphs_are_launched_in_turn(host, build):
    suite_passes(host, build, "graph", "chain", "launches_in_order", "update")
    suite_passes(host, build, "graph_node", "events")


TESTS = (captures_outlive_handovers, functions_of_the_program_do_not_hold_the_gpu, graphs_are_launched_in_turn)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("tests", nargs="*")
    arguments = parser.parse_args()
    failed = 0
    for test in TESTS:
        if arguments.tests and test.__name__ not in arguments.tests:
            continue
        try:
            with Host(Installation(arguments.build), "simulated") as host:
                host.set_up((("vm", "A", "medium"), ("neighbour", "A", "medium")))
                test(host, arguments.build.resolve())
            print(f"passed {test.__name__}", flush=True)
        except TestbedError as error:
            failed += 1
            print(f"FAILED {test.__name__}: {error}", flush=True)
    return 1 if failed else 0


sys.exit(main())
