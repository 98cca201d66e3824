#!/usr/bin/env python3
"""The model of the grant protocol (docs/models/grant.pml): spin finds nothing in it, and finds each mutant.

usage: test_grant.py MODEL

Exits 77 where spin or a C compiler is missing."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MODEL = Path(sys.argv[1]).resolve()

# Shapes whose states are all visited. With FAIR: also that a lane that waits is granted.
SOUND = [
    ("one lane a worker", ["-DLAST=1", "-DCRASHES=0"]),
    ("a worker crashes", ["-DLAST=1", "-DCRASHES=1"]),
    ("who waits is granted", ["-DLAST=1", "-DCRASHES=0", "-DFAIR"]),
]
# Shapes with too many states for a test: a few hundred thousand of them are visited, by bitstate hashing.
SAMPLED = [
    ("two lanes, a crash", ["-DLAST=1", "-DLANES_0=2", "-DCRASHES=1"]),
    ("two workers of a VM, a crash", ["-DLAST=2", "-DCRASHES=1"]),
    ("all that the protocol allows", ["-DLAST=1", "-DLANES_0=2", "-DCRASHES=1", "-DLOOSE"]),
    ("two workers of a VM, all that the protocol allows", ["-DLAST=2", "-DCRASHES=1", "-DLOOSE"]),
    ("two classes with time slices, a crash", ["-DLAST=1", "-DCRASHES=1", "-DSLICES"]),
    ("two workers and a higher class with time slices", ["-DLAST=2", "-DCRASHES=1", "-DSLICES"]),
    ("two classes with time slices, at rest", ["-DLAST=1", "-DCRASHES=0", "-DSLICES", "-DQUIET", "-DCALLS=1"]),
]
# Which error each mutant has, in a shape that shows it; a word of what spin says of it.
TWO_HOLDERS = "work["
ARROW = "state[w]"
LOST = "invalid end state"
UNASKED = "asked[w]"
NOT_HELD = "about==generation"
NO_HOLDER = "holders["
ALONE = ["-DLAST=1", "-DCRASHES=0"]
PAIR = ["-DLAST=1", "-DCRASHES=0", "-DLANES_0=2"]
LOOSE = [*PAIR, "-DLOOSE"]
SLICES = ["-DLAST=1", "-DCRASHES=0", "-DSLICES"]
SLICE = "slice[w]"
NOT_SET = "slice_set[0]"
MUTANTS = {
    "DRAIN_NOT_AWAITED": (ALONE, TWO_HOLDERS),
    "LANES_NOT_AWAITED": (PAIR, TWO_HOLDERS),
    "NO_MEMBARRIER": (ALONE, TWO_HOLDERS),
    "WANT_SENT_STAYS": (ALONE, LOST),
    "NO_WAKE_BY_WORKER": (ALONE, LOST),
    "NO_WAKE_BY_DAEMON": (ALONE, LOST),
    "GENERATION_STANDS": (ALONE, ARROW),
    "BLIND_STORE": (ALONE, ARROW),
    "WANT_UNCHECKED": (LOOSE, UNASKED),
    "WANT_NOT_KEPT": (LOOSE, LOST),
    "WANT_AT_ONCE": ([*ALONE, "-DLOOSE"], LOST),
    "RELEASED_UNCHECKED": (LOOSE, NOT_HELD),
    "FIRST_FREES": (["-DLAST=2", "-DCRASHES=0"], TWO_HOLDERS),
    "REVOKED_IS_FREE": (ALONE, TWO_HOLDERS),
    "FREE_AT_HANGUP": (["-DLAST=1", "-DCRASHES=1"], TWO_HOLDERS),
    "DRAINING_UNTOLD": (SLICES, SLICE),
    "DRAINING_REOPENED": (SLICES, ARROW),
    "LATE_SLICE": (["-DLAST=2", "-DCRASHES=0", "-DSLICES", "-DQUIET", "-DCALLS=2"], SLICE),
    "NO_WAKE_FOR_SLICE": ([*SLICES, "-DQUIET", "-DCALLS=2"], NOT_SET),
    "ASKED_FOR_EVER": (["-DLAST=2", "-DLANES_1=0", "-DLANES_2=0", "-DCRASHES=1", "-DLOOSE"], NO_HOLDER),
}

def verify(name, switches, compiler_switches, *pan_switches):
    """pan's answer: its error in words ('' for none), and what it printed."""
    fair = "-DFAIR" in switches
    compiler_switches = [*compiler_switches, "-DNFAIR=3" if fair else "-DSAFETY"]
    pan_switches = [*pan_switches, *(["-a", "-f"] if fair else [])]
    with tempfile.TemporaryDirectory(prefix="vgpu-model-") as folder:
        def run(*words):
            return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)

        made = run("spin", "-a", *switches, str(MODEL))
        if made.returncode != 0:
            sys.exit(f"{name}: spin: {made.stdout}{made.stderr}")
        made = run("cc", "-w", "-DMEMLIM=2000", *compiler_switches, "-o", "pan", "pan.c")
        if made.returncode != 0:
            sys.exit(f"{name}: cc: {made.stderr}")
        text = run("./pan", *pan_switches).stdout
    found = re.search(r"^pan:\d+: (.*)$", text, flags=re.M)
    if found:
        return found[1], text
    if "errors: 0" not in text:
        return "no answer", text
    if "-DBITSTATE" not in compiler_switches and re.search("not completed|max search depth|MEMLIM", text):
        return "not all states were visited", text
    return "", text


def main():
    if not shutil.which("spin") or not shutil.which("cc"):
        print("spin or cc is missing; nothing was checked")
        sys.exit(77)
    failed = 0
    for shapes, how in ((SOUND, ["-O1"]), (SAMPLED, ["-O0", "-DBITSTATE"])):
        for name, switches in shapes:
            size = ["-m3000000", "-w22"] if shapes is SOUND else ["-m100000", "-w19"]
            error, text = verify(name, switches, how, *size)
            states = re.search(r"(\d+) states, stored", text)
            print(f"{'ok  ' if not error else 'FAIL'} {name}: {error or states[1] + ' states'}", flush=True)
            failed += bool(error)
    for mutant, (switches, expected) in MUTANTS.items():
        error, _ = verify(mutant, [*switches, f"-DMUTANT={mutant}"], ["-O0"], "-m3000000", "-w20")
        found = expected in error
        print(f"{'ok  ' if found else 'FAIL'} mutant {mutant}: {error[:60] or 'not found'}", flush=True)
        failed += not found
    sys.exit(1 if failed else 0)


main()
