"""What the bench scripts share: native and queued runs of one program that prints `name value unit` lines, alternating in
one run, and the table of medians with ratios."""

import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str((HERE / "../tests/gpu").resolve()))
from testbed import Host, Installation  # noqa: E402, F401

VM = "bench"


class Bench(Host):
    """A host with the VM `bench`, which is reached as on the host (`queue`), and as from a virtual machine: through a
    window of shared memory (`window`) and over TCP alone (`tcp`)."""

    def __init__(self, installation, driver):
        super().__init__(installation, driver, far_vms=[VM], window_size="4G")
        self.driver = driver

    def __enter__(self):
        super().__enter__()
        self.set_up([(VM, "A", "high")])
        return self

    def run(self, way, command):
        """Runs the program natively or in a way; {name: (value, unit)}."""
        if way != "native":
            return measure(*self.way(VM, command, "shared" if way == "queue" else way))
        environment = dict(self.environment)
        if self.driver == "simulated":
            environment["LD_LIBRARY_PATH"] = self.installation.folder("simulated")
        return measure(command, environment)


def measure(command, environment, seconds=500):
    """Runs the program; {name: (value, unit)}. Lines that are no figure are left out."""
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=seconds, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: status {done.returncode}: {done.stderr.strip()[-2000:]}")
    figures = {}
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) == 3:
            figures[words[0]] = (float(words[1]), words[2])
    return figures


def alternate(bench, commands, rounds, ways, uncounted=()):
    """Runs every command natively and in each way, `rounds` times in turn: {way: [{name: (value, unit)}, ...]}. Before
    that the uncounted ones once each: files and memory that a host has touched before are there faster. An interrupt
    (SIGINT) ends it early, with the rounds that are whole."""
    results = {way: [] for way in ("native", *ways)}
    try:
        for way in results:
            for command in uncounted:
                bench.run(way, command)
        for _ in range(rounds):
            for way, runs in results.items():
                figures = {}
                for command in commands:
                    figures.update(bench.run(way, command))
                runs.append(figures)
    except KeyboardInterrupt:
        whole = min(len(runs) for runs in results.values())
        if whole == 0:
            sys.exit("interrupted before the first round was over")
        print(f"interrupted after {whole} of {rounds} rounds", flush=True)
        for runs in results.values():
            del runs[whole:]
    return results


def print_table(results):
    """One row a figure: the native median, then each way's and its ratio to native."""
    ways = [way for way in results if way != "native"]
    print(f"{'':24}{'native':>12}" + "".join(f"{way:>12}{'ratio':>8}" for way in ways))
    for name, (_, unit) in results["native"][0].items():
        median = {way: statistics.median(run[name][0] for run in runs) for way, runs in results.items()}
        line = f"{name:24}{median['native']:12.3f}"
        for way in ways:
            ratio = median[way] / median["native"] if median["native"] else float("nan")
            line += f"{median[way]:12.3f}{ratio:8.3f}"
        print(f"{line}  {unit}", flush=True)
