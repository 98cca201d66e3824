#!/usr/bin/env python3
"""A hostile guest beside a good one: whatever it does, the daemon lives, the other VM's checked work goes on, its own
worker answers or ends, and nothing of it stays behind.

    test_hostile.py --build=DIR [--fuzz=SECONDS] [--seed=N] [--window] [--limited] [ATTACK...]

Without --fuzz: every attack that `hostile` knows, or those named. With it: random ones for so many seconds; the seed
is printed, so that a run can be repeated."""

import argparse
import os
import pathlib
import random
import re
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "gpu"))
from testbed import Host, Installation, TestbedError, wait_until  # noqa: E402

# Its worker is looked for among all processes: a name that no other run has.
ATTACKER, NEIGHBOUR = f"attacker-{os.getpid()}", "neighbour"
LOG_LINES_OF_AN_ATTACK = 2  # a worker that ends says why, in one line; another says that the guest broke the protocol
LIMITS = ("--time-limit=20s", "--queue-depth=8", "--memory=1G", "--call-rate=200000", "--byte-rate=4G", "--max-faults=none")
SANITIZERS = re.compile(r"Sanitizer|runtime error:|DEADLYSIGNAL")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Fight:
    """A host with both VMs, and the neighbour at work."""

    def __init__(self, host, programs, window):
        self.host = host
        self.path = str(self.host.folder / "run" / "guests" / f"{ATTACKER}.sock")
        if window:
            self.path = f"tcp:{host.addresses[ATTACKER].rpartition(':')[2]}:{host.window_path(ATTACKER)}"
        self.hostile = str(programs / "tests" / "system" / "hostile" / "hostile")
        host.set_up([(ATTACKER, "A", "medium"), (NEIGHBOUR, "A", "medium")])
        self.neighbour = host.start_guest(NEIGHBOUR, str(programs / "tests" / "gpu" / "guest-work"), "steady",
                                          stdout=open(host.folder / "neighbour.txt", "wb"))
        wait_until(lambda: self.rounds() > 0, "the neighbour's first rounds")
        self.meet_attacker()
        self.descriptors = descriptors(host.daemon.pid)
        self.logged = len(host.log())
        self.failures = 0

    def meet_attacker(self):
        """What the daemon keeps of a VM that has had a process is there."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.host.folder / "run" / "guests" / f"{ATTACKER}.sock"))
            connection.sendall(b"V")
            wait_until(lambda: len(self.host.workers()) == 2, "the attacker's first worker")
        wait_until(lambda: len(self.host.workers()) == 1, "the end of the attacker's first worker")

    def rounds(self):
        text = (self.host.folder / "neighbour.txt").read_text(errors="replace")
        return text.count("round ")

    def run(self, name, *arguments, seconds=120):
        """One attack; prints a line."""
        before = self.rounds()
        start = time.monotonic()
        try:
            done = subprocess.run([self.hostile, self.path, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, errors="replace", timeout=seconds, check=False)
            said, status = (done.stdout + done.stderr).strip(), done.returncode
        except subprocess.TimeoutExpired:
            said, status = f"not done within {seconds} s", -1
        problems = self.look(before)
        if status != 0:
            problems.insert(0, f"the attacker ended with status {status}: {said}")
        print(f"{name:<34} {'failed' if problems else said.splitlines()[-1] if said else 'done':<10} "
              f"{time.monotonic() - start:6.1f} s", flush=True)
        for problem in problems:
            print(f"    {problem}", flush=True)
        self.failures += bool(problems)

    def look(self, rounds_before):
        """What the others noticed."""
        problems = []

        def check(condition, what):
            try:
                wait_until(condition, what)
            except TestbedError as error:
                problems.append(str(error))

        if self.host.daemon.poll() is not None:
            raise TestbedError(f"vgpud ended with status {self.host.daemon.returncode}:\n{self.host.log()[-4000:]}")
        check(lambda: self.host.reload(), "an answer of vgpud")
        check(lambda: self.rounds() > rounds_before or self.neighbour.poll() is not None, "the neighbour's next rounds")
        if self.neighbour.poll() is not None:
            raise TestbedError(f"the neighbour ended with status {self.neighbour.returncode}")
        check(lambda: len(self.host.workers()) == 1, "the end of the attacker's worker")
        check(lambda: descriptors(self.host.daemon.pid) <= self.descriptors, "vgpud's descriptors closed")
        text = self.host.log()
        added, self.logged = text[self.logged:], len(text)
        complaints = [line for line in added.splitlines()
                      if "vgpu-worker" in line and "guest process" not in line]
        if SANITIZERS.search(added):
            problems.append("a sanitizer's report:\n" + added[-6000:])
        elif len(complaints) > LOG_LINES_OF_AN_ATTACK * max(1, added.count("guest process")):
            problems.append(f"{len(complaints)} lines in the log:\n" + "\n".join(complaints[:20]))
        elif "was ended by signal" in added and "signal 9" not in added:
            problems.append("a worker crashed:\n" + added[-2000:])
        return problems

    def finish(self):
        self.neighbour.terminate()
        if self.neighbour.wait(60) != 0:
            raise TestbedError(f"the neighbour ended with status {self.neighbour.returncode}: "
                               f"{(self.host.folder / 'neighbour.txt').read_text()[-500:]}")
        self.host.stop_daemon()
        if SANITIZERS.search(self.host.log()):
            raise TestbedError("a sanitizer's report:\n" + self.host.log()[-6000:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="build directory")
    parser.add_argument("--installation", help="where the programs under attack are (default: BUILD)")
    parser.add_argument("--fuzz", type=float, metavar="SECONDS")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--window", action="store_true", help="with --fuzz: the attacker comes through a window")
    parser.add_argument("--limited", action="store_true", help="the attacker's VM has every limit that there is")
    parser.add_argument("attacks", nargs="*", metavar="ATTACK")
    arguments = parser.parse_args()
    programs = pathlib.Path(arguments.build).resolve()
    try:
        with Host(Installation(arguments.installation or programs), "simulated", warm_workers=0,
                  far_vms=[ATTACKER], window_size="64M") as host:
            fight = Fight(host, programs, arguments.window)
            if arguments.limited:
                host.admin("set-limits", f"--vm-uuid={ATTACKER}", *LIMITS)
            if arguments.fuzz:
                seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 32)
                end = time.monotonic() + arguments.fuzz
                while time.monotonic() < end or not seed:
                    milliseconds = int(min(5000, max(500, (end - time.monotonic()) * 1000)))
                    fight.run(f"fuzz, seed {seed}", "fuzz", str(seed), str(milliseconds))
                    seed += 1
                    if fight.failures:
                        break
            else:
                known = subprocess.run([fight.hostile, "-", "list"], capture_output=True, text=True,
                                       check=True).stdout.split()
                for name in arguments.attacks or known:
                    fight.run(name, "attack", name)
            if arguments.window and "(attacker), shared memory, in a window" not in host.log():
                raise TestbedError("the attacker has not come through a window")
            fight.finish()
            print(f"{fight.rounds()} times ten checked rounds of the neighbour; {fight.failures} failed")
            return 1 if fight.failures else 0
    except TestbedError as error:
        print(f"test_hostile: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
