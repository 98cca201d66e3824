"""Runs of the GPU test programs: what they print, case by case, what differs between two, and a table of them."""

import difflib
import os
import pathlib
import re
import subprocess
import time

from testbed import GPU

SUITE_SECONDS = 600


class Outcome:
    """One run of one program: its transcript, cut into cases."""

    def __init__(self, text, errors, status, seconds):
        self.text, self.errors, self.status, self.seconds = text, errors, status, seconds
        self.cases, self.results = {}, {}
        name = None
        for line in text.splitlines():
            start = re.match(r"== \w+/(\w+)$", line)
            if start:
                name = start[1]
                self.cases[name] = []
                self.results[name] = "failed"
            elif name:
                self.cases[name].append(line)
                if line.startswith("-- "):
                    self.results[name] = line[3:].split(",")[0]
                    name = None

    def count(self, result):
        return sum(1 for one in self.results.values() if one == result)


def run(command, environment):
    start = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
    try:
        text, errors = process.communicate(timeout=SUITE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        text, errors = process.communicate()
        text += f"\n!! stopped after {SUITE_SECONDS} seconds\n"
    return Outcome(text, errors, process.returncode, time.monotonic() - start)


def direct_environment(installation, driver, folder):
    environment = dict(os.environ, CUDA_DEVICE_ORDER="PCI_BUS_ID")
    environment.pop("LD_LIBRARY_PATH", None)
    if driver == "simulated":
        environment["LD_LIBRARY_PATH"] = installation.folder("simulated")
        environment["VGPU_SIM_GPUS"] = "1"
        environment["VGPU_SIM_STATE_DIR"] = folder
    else:
        environment.setdefault("CUDA_VISIBLE_DEVICES", str(GPU))
    return environment


def differing_cases(queued, direct):
    """(case, unified diff) of each case whose transcripts are not the same."""
    found = []
    for name in dict.fromkeys([*direct.cases, *queued.cases]):
        left, right = direct.cases.get(name, []), queued.cases.get(name, [])
        if left != right and "skipped" not in (direct.results.get(name), queued.results.get(name)):
            found.append((name, list(difflib.unified_diff(left, right, "direct", "queue", lineterm="", n=1))))
    return found


def indented(lines):
    return "\n".join("    " + line for line in lines)


class Report:
    """Collects and prints, suite by suite."""

    def __init__(self, transcripts):
        self.transcripts = pathlib.Path(transcripts) if transcripts else None
        self.passed = self.failed = self.skipped = 0
        if self.transcripts:
            self.transcripts.mkdir(parents=True, exist_ok=True)
        print(f"{'suite':<12} {'passed':>6} {'failed':>6} {'skipped':>7} {'seconds':>8}")

    def keep(self, suite, how, outcome):
        if self.transcripts:
            (self.transcripts / f"{suite}.{how}.txt").write_text(outcome.text)

    def add(self, suite, outcome, differences):
        failed = {name for name, result in outcome.results.items() if result == "failed"}
        failed |= {name for name, _ in differences}
        passed = sum(1 for name, result in outcome.results.items() if result == "passed" and name not in failed)
        crashed = outcome.status != 0 and not failed
        self.passed += passed
        self.failed += len(failed) + crashed
        self.skipped += outcome.count("skipped")
        print(f"{suite:<12} {passed:>6} {len(failed) + crashed:>6} {outcome.count('skipped'):>7} "
              f"{outcome.seconds:>8.1f}", flush=True)
        for name, result in outcome.results.items():
            if result == "failed" and name not in dict(differences):
                print(f"  failed: {suite}/{name}\n{indented(outcome.cases[name])}", flush=True)
        for name, difference in differences:
            print(f"  not as without the queue: {suite}/{name}\n{indented(difference)}", flush=True)
        if crashed:
            print(f"  {suite} ended with status {outcome.status}:\n{indented(outcome.text.splitlines()[-20:])}",
                  flush=True)
        if outcome.errors and (failed or crashed):
            print(f"  on stderr:\n{indented(outcome.errors.splitlines()[-20:])}", flush=True)

    def finish(self):
        print(f"\n{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        if self.failed:
            return 1
        return 0 if self.passed else 77 if self.skipped else 1  # 77: Meson's word for skipped
