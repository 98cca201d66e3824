#!/usr/bin/env python3
"""What the worker sees to: that work of a higher class goes before a running kernel where the driver lets time slices be
set, and waits where it does not; that a VM's limits hold for it and for nobody else; that GPU time is counted.

    test_preemption.py --build=DIR [TEST...]"""

import argparse
import json
import pathlib
import re
import select
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "gpu"))
from testbed import Host, Installation, TestbedError, wait_until  # noqa: E402

TIMED_OUT = "CUDA_ERROR_LAUNCH_TIMEOUT"


class Guest:
    """bench-neighbour in a VM: commands in, results out."""

    def __init__(self, host, build, vm, transport=None):
        self.words = open(host.folder / f"{vm}.stderr", "a+", encoding="utf-8")
        self.process = subprocess.Popen(
            host.guest_command(vm, str(build / "bench/bench-neighbour"), "--blocks=1", "--threads=32",
                               "--iterations-per-us=10"),
            env=dict(host.environment, **({"VGPU_TRANSPORT": transport} if transport else {})),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.words, text=True, start_new_session=True)
        host.guests.append(self.process)
        line = self.process.stdout.readline()
        if line.strip() != "ready":
            raise TestbedError(f"the guest of {vm} did not start: {line}")

    def say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": "it has ended"}

    def ask(self, command):
        self.say(command)
        return self.hear()

    def stderr(self):
        self.words.seek(0)
        return self.words.read()


def live(host, vm):
    """What vgpu-admin says about a VM."""
    return json.loads(host.admin("show-vm", f"--vm-uuid={vm}", "--json"))["vms"][0]["activity"]


def expect(condition, what):
    if not condition:
        raise TestbedError(what)


def limit(host, vm, *limits):
    host.admin("set-limits", f"--vm-uuid={vm}", *limits)
    expect(host.reload(), "vgpud does not answer")


def a_high_vm_goes_before_a_kernel_that_never_ends(host, build):
    low = Guest(host, build, "low")
    low.say("endless")
    wait_until(lambda: live(host, "low")["gpu_calls"] > 0, "the endless kernel")
    high = Guest(host, build, "high")
    result = high.ask("stream 100 1000 0.3")
    expect(result.get("count", 0) > 0, f"the high VM's requests: {result}")
    expect("drain_timeout" not in host.log() and len(host.workers()) == 2, "the low VM's worker has been ended")


def who_does_not_drain_stands_still_and_goes_on(host, build):
    lows = []
    for vm in ("low", "low2", "low3"):
        if vm != "low":
            host.register(vm, "A", "low")
        lows.append(Guest(host, build, vm))
    for low in lows:
        low.say("saturate 10000000 3")
    time.sleep(1)
    high = Guest(host, build, "high")
    result = high.ask("stream 100 2000 0.3")
    expect(result.get("count", 0) > 0, f"the high VM's requests: {result}")
    work = [low.hear().get("work_us", 0) for low in lows]
    expect(min(work) * 20 > max(work), f"three kernels that do not end got {work} us of work done in 3 s")
    log = host.log()
    expect("stands still" in log and "goes on" in log, "none of them stood still")


def all_get_on(host, build, pauses):
    """After so many pauses of each process the driver refuses them, and who should stand still shares the gaps."""
    lows = []
    for vm in ("low", "low2", "low3"):
        if vm != "low":
            host.register(vm, "A", "low")
        lows.append(Guest(host, build, vm))
    low_workers = set(host.workers())

    def who_says(words):
        return [int(pid) for pid in re.findall(rf"vgpu-worker\[(\d+)\] {words}", host.log())]

    def warned():
        return who_says("warning: what this process runs cannot be put away")

    def all_are_warned():
        for low in lows:
            low.say("saturate 300000 0.1")  # kernels that last for longer than it takes to be paused
        for low in lows:
            low.hear()
        return set(warned()) == low_workers

    wait_until(all_are_warned, "a warning of each low VM's worker")
    high = Guest(host, build, "high")
    wait_until(lambda: high.ask("saturate 200000 0.1")["work_us"] > 0, "the first of the high VM's work")

    def work_beside_the_high_one():
        """What the low VMs get done while it always has work; the high one's own."""
        while True:
            high.say("saturate 200000 1.5")
            for low in lows:
                low.say("saturate 300000 0.5")
            low_work = [low.hear()["work_us"] for low in lows]
            in_time = not select.select([high.process.stdout], [], [], 0)[0]
            high_work = high.hear()["work_us"]
            if in_time:  # else a busy machine had their time outlast its own
                return low_work, high_work

    low_work, high_work = work_beside_the_high_one()
    expect(sum(low_work) < high_work / 3, f"the low VMs got {low_work} us of work done, the high one {high_work}")
    for guest in [high, *lows]:
        result = guest.ask("stream 1 1 0.01")  # after all that it has launched
        expect(result.get("count", 0) > 0, f"work that is not done: {result}")
    expect(len(warned()) == len(set(warned())), f"not one warning of each worker: {warned()}")
    stood_still = who_says("debug: what this process runs stands still")
    expect(all(stood_still.count(worker) == pauses for worker in low_workers),
           f"not {pauses} pauses of each low VM's worker: {stood_still}")
    expect(set(host.workers()) > low_workers, "a worker has been ended")


def where_pausing_is_refused_all_get_on(host, build):
    all_get_on(host, build, 0)


def where_pausing_is_refused_later_all_get_on(host, build):
    all_get_on(host, build, 2)


def a_low_vm_gets_what_a_high_one_leaves(host, build):
    low, high = Guest(host, build, "low"), Guest(host, build, "high")
    low.say("saturate 20000 2")
    high.say("saturate 200000 2")
    low_work, high_work = low.hear()["work_us"], high.hear()["work_us"]
    expect(low_work < high_work * 0.7, f"the low VM got {low_work} us of work done, the high one {high_work}")


def without_time_slices_the_holder_is_ended_after_the_drain_timeout(host, build):
    low = Guest(host, build, "low")
    low.say("endless")
    wait_until(lambda: live(host, "low")["gpu_calls"] > 0, "the endless kernel")
    high = Guest(host, build, "high")
    result = high.ask("stream 100 1000 0.2")
    expect(result.get("count", 0) > 0, f"the high VM's requests: {result}")
    expect("drain_timeout" in host.log(), "the low VM's worker has not been ended")


def a_long_queue_of_work_stays_with_the_worker(host, build):
    """The simulated driver takes a thousand pieces of work at once; what it has taken must be waited for."""
    host.register("equal", "A", "low")
    low = Guest(host, build, "low")
    low.say("pile 2000 1500")
    wait_until(lambda: live(host, "low")["gpu_calls"] > 10, "the first of the work")
    time.sleep(0.3)
    taken = live(host, "low")["gpu_calls"]
    expect(taken < 800, f"the driver was given {taken} pieces of work in 0.3 s")
    expect("error" not in Guest(host, build, "equal").ask("stream 100 1000 0.1"), "the other VM has no turn")


def work_beyond_the_time_limit_ends_its_process_alone(host, build, transport=None):
    neighbour = Guest(host, build, "high")
    limit(host, "low", "--time-limit=400ms")
    low = Guest(host, build, "low", transport)
    low.say("endless")
    expect(low.ask("calibrate").get("error") == TIMED_OUT, "calls after the time limit return something else")
    expect("time limit" in low.stderr(), f"the guest was not told why: {low.stderr()}")
    expect(live(host, "low")["timeouts"] == 1, "the timeout was not counted")
    again = Guest(host, build, "low", transport)
    expect("error" not in again.ask("stream 100 1000 0.1"), "the VM cannot start again")
    expect("error" not in neighbour.ask("stream 100 1000 0.1"), "the neighbour has noticed")


def short_pieces_never_reach_the_time_limit(host, build):
    limit(host, "low", "--time-limit=500ms")
    low = Guest(host, build, "low")
    for command in ("small 0.8", "stream 10 20 0.8"):
        result = low.ask(command)
        expect("error" not in result, f"{command}: {result}")
    expect(live(host, "low")["timeouts"] == 0, "a timeout was counted")


def time_that_others_take_does_not_count_against_the_limit(host, build):
    limit(host, "low", "--time-limit=1500ms")
    low, high = Guest(host, build, "low"), Guest(host, build, "high")
    low.say("calibrate")  # some pieces of work: the limit is looked after
    expect("error" not in low.hear(), "the low VM's own work")
    high.say("saturate 20000 2.5")
    result = low.ask("stream 20000 60000 2.5")
    expect("error" not in result, f"the low VM was ended for what the high VM took: {result}")
    expect("error" not in high.hear(), "the high VM")


def calls_are_slowed_to_their_rate(host, build):
    other = Guest(host, build, "high")
    low = Guest(host, build, "low")
    limit(host, "low", "--call-rate=500", "--call-burst=10")
    result = low.ask("stream 1 1 0.5")
    rate = result["count"] * 1e6 / result["elapsed_us"]
    expect(rate < 600, f"{rate:.0f} requests, of more than one call each, at 500 calls a second")
    expect(live(host, "low")["limited_calls"] > 0, "the wait was not counted")
    other.ask("stream 1 1 0.1")
    expect(live(host, "high")["limited_calls"] == 0, "the other VM was limited")
    limit(host, "low", "--call-rate=none", "--call-burst=none")
    expect("error" not in low.ask("stream 1 1 0.1"), "the limit's end was not survived")


def one_call_at_a_time_may_be_the_queue_depth(host, build):
    limit(host, "low", "--queue-depth=1")
    low = Guest(host, build, "low")
    for command in ("small 0.1", "saturate 1000 0.2"):
        result = low.ask(command)
        expect("error" not in result, f"{command}: {result}")


def memory_beyond_the_quota_is_refused(host, build):
    limit(host, "low", "--memory=64M")
    low = Guest(host, build, "low")
    low.say("allocate")
    wait_until(lambda: live(host, "low")["refused_allocations"] > 0, "a refused allocation")
    used = live(host, "low")["device_memory_bytes"]
    expect(32 << 20 <= used <= 64 << 20, f"{used} bytes are in use")
    high = Guest(host, build, "high")
    expect("error" not in high.ask("stream 100 1000 0.1"), "the neighbour has no memory left")


def gpu_time_is_what_was_used(host, build):
    low = Guest(host, build, "low")
    low.ask("stream 100 1000 0.05")
    before = live(host, "low")["gpu_time_us"]
    time.sleep(1)
    idle = live(host, "low")["gpu_time_us"] - before
    expect(idle < 300000, f"{idle} us of GPU time in a second of nothing")
    start = time.monotonic()
    low.ask("saturate 5000 1")
    low.ask("stream 100 1000 0.05")
    passed = (time.monotonic() - start) * 1e6
    busy = live(host, "low")["gpu_time_us"] - before - idle
    expect(0.05 * 1e6 < busy <= passed * 1.05, f"{busy} us of GPU time in {passed:.0f} us, of which 1 s busy")


TESTS = {
    test.__name__: (test, environment)
    for test, environment in (
        (a_high_vm_goes_before_a_kernel_that_never_ends, {}),
        (who_does_not_drain_stands_still_and_goes_on, {"VGPU_LOG_LEVEL": "debug"}),
        (where_pausing_is_refused_all_get_on, {"VGPU_SIM_PAUSES": "0", "VGPU_LOG_LEVEL": "debug"}),
        (where_pausing_is_refused_later_all_get_on, {"VGPU_SIM_PAUSES": "2", "VGPU_LOG_LEVEL": "debug"}),
        (a_low_vm_gets_what_a_high_one_leaves, {}),
        (without_time_slices_the_holder_is_ended_after_the_drain_timeout,
         {"VGPU_SIM_TIME_SLICES": "0", "VGPU_DRAIN_TIMEOUT": "1s"}),
        (a_long_queue_of_work_stays_with_the_worker, {"VGPU_SIM_TIME_SLICES": "0"}),
        (work_beyond_the_time_limit_ends_its_process_alone, {}),
        (short_pieces_never_reach_the_time_limit, {}),
        (time_that_others_take_does_not_count_against_the_limit, {}),
        (calls_are_slowed_to_their_rate, {}),
        (one_call_at_a_time_may_be_the_queue_depth, {}),
        (memory_beyond_the_quota_is_refused, {}),
        (gpu_time_is_what_was_used, {}),
    )
}


def run(build, name):
    test, environment = TESTS[name]
    host = Host(Installation(build), "simulated", warm_workers=0)
    host.environment.update(environment)
    with host:
        host.set_up([("low", "A", "low"), ("high", "A", "high")])
        try:
            test(host, build)
        except (TestbedError, KeyError) as error:
            print(f"{name}: {error!r}\n{host.log()[-3000:]}", flush=True)
            return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("tests", nargs="*", metavar="TEST")
    options = parser.parse_args()
    failed = 0
    for name in options.tests or TESTS:
        start = time.monotonic()
        good = run(pathlib.Path(options.build).resolve(), name)
        failed += not good
        print(f"{name:70} {'done' if good else 'failed':8} {time.monotonic() - start:5.1f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
