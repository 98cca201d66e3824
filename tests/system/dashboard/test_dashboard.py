#!/usr/bin/env python3
"""The dashboard as a person sees it: driven in tmux at three sizes, its screen compared, every change by its keys looked up
in the database afterwards.

    test_dashboard.py VGPU_ADMIN VGPUD"""

import fcntl
import os
import pathlib
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unicodedata

SKIPPED = 77
PATIENCE_S = 120  # guards against hanging alone


class Failure(Exception):
    pass


def require(condition, what):
    if not condition:
        raise Failure(what)


class Host:
    """A daemon and a database of our own, two simulated GPUs, four VMs."""

    def __init__(self, admin, daemon, gpus=2):
        self.admin_path, self.daemon_path = admin, daemon
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vgpu-dash-", dir="/tmp"))
        self.environment = dict(
            os.environ, VGPU_CONFIG="/dev/null", VGPU_STATE_DIR=str(self.folder / "state"),
            VGPU_RUN_DIR=str(self.folder / "run"), VGPU_DRIVER="simulated", VGPU_SIM_GPUS=f"NVIDIA H100 80GB PCIe*{gpus}",
            VGPU_SIM_STATE_DIR=str(self.folder), LC_ALL="C.UTF-8", TZ="UTC")
        self.environment.pop("NO_COLOR", None)
        self.daemon = None

    def start_daemon(self):
        with open(self.folder / "vgpud.log", "ab") as log:
            self.daemon = subprocess.Popen([self.daemon_path], env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while not (self.folder / "run" / "admin.sock").exists():
            require(time.monotonic() < deadline and self.daemon.poll() is None, "vgpud does not start")
            time.sleep(0.02)

    def __enter__(self):
        for name in ("state", "run"):
            (self.folder / name).mkdir()
        self.start_daemon()
        self.admin("scan-gpus")
        self.admin("assign-gpu", "--gpu-id=0", "--pool=A")
        self.admin("assign-gpu", "--gpu-id=1", "--pool=B")
        for number, (pool, priority) in enumerate((("A", "high"), ("A", "low"), ("B", "medium"), ("B", "high")), 1):
            self.admin("register-vm", f"--vm-uuid=vm{number}", f"--pool={pool}", f"--priority={priority}")
        self.admin("register-vm", "--vm-uuid=utf8", "--vm-name=Zürich", "--pool=B", "--priority=low")
        return self

    def __exit__(self, kind, value, trace):
        self.daemon.terminate()
        self.daemon.wait(PATIENCE_S)
        shutil.rmtree(self.folder, ignore_errors=True)

    def admin(self, *arguments):
        done = subprocess.run([self.admin_path, *arguments], env=self.environment, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=PATIENCE_S, check=False)
        require(done.returncode == 0, f"vgpu-admin {arguments}: {done.stderr}")
        return done.stdout


class Terminal:
    """tmux with a server of its own, and the dashboard in it."""

    count = 0

    def __init__(self, host, width, height, command=None, **environment):
        self.host = host
        Terminal.count += 1
        self.base = ["tmux", "-S", str(host.folder / f"tmux-{Terminal.count}"), "-f", "/dev/null", "-u"]
        command = command or f"'{host.admin_path}' dashboard; echo \"ended with $?\"; cat"
        self.tmux("new-session", "-d", "-x", str(width), "-y", str(height), command,
                  environment=dict(host.environment, TERM="xterm-256color", **environment))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.tmux("kill-server")

    def tmux(self, *arguments, environment=None):
        done = subprocess.run([*self.base, *arguments], env=environment or self.host.environment, text=True,
                              capture_output=True, timeout=PATIENCE_S, check=False)
        return done.stdout

    def screen(self, *options):
        return self.tmux("capture-pane", "-p", *options).rstrip("\n").split("\n")

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def wait_until(self, condition, what):
        """The screen, as soon as the condition holds for its lines."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            screen = self.screen()
            if condition(screen):
                return screen
            time.sleep(0.05)
        raise Failure(f"{what}:\n" + "\n".join(self.screen()))

    def wait_for(self, text, what=None):
        """The screen, as soon as it shows the text."""
        return self.wait_until(lambda lines: any(text in line for line in lines),
                               f"{what or 'the screen'} never shows '{text}'")

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))


def normal(line):
    """Without what differs from run to run: times, and what a GPU draws and how warm it is."""
    line = re.sub(r"\d\d:\d\d:\d\d$", "HH:MM:SS", line)
    line = re.sub(r"vgpud up .*?  +", "vgpud up T  ", line)
    line = re.sub(r" +\d+%( [▁▂▃▄▅▆▇█_.=+*%# -]*)?", " N% ", line)
    line = re.sub(r" +\d+°?C [▁▂▃▄▅▆▇█_.=+*%# -]*", " NC ", line)
    line = re.sub(r" +\d+W [▁▂▃▄▅▆▇█_.=+*%# -]*", " NW", line)
    line = re.sub(r" +\d+[MG]B/80GB [▁▂▃▄▅▆▇█_.=+*%# -]*", " M/80GB ", line)
    return re.sub(r" +", " ", line).rstrip()


EXPECTED_80 = """\
vgpu 2 GPUs 5 VMs driver simulated vgpud up T HH:MM:SS
GPU 0 NVIDIA H100 80GB PCIe 0000:01:00.0 pool A online
 util N% mem M/80GB temp NC pwr NW
 free; nobody waits
GPU 1 NVIDIA H100 80GB PCIe 0000:02:00.0 pool B online
 util N% mem M/80GB temp NC pwr NW
 free; nobody waits
 ID^ NAME POOL GPU CLASS STATE GPU% MEM CALLS/S WAIT P50 P99
 1 VM-1 A 0 high - - - - - -
 2 VM-2 A 0 low - - - - - -
 3 VM-3 B 1 medium - - - - - -
 4 VM-4 B 1 high - - - - - -
 5 Zürich B 1 low - - - - - -""".split("\n")


def check_80x24(host):
    with Terminal(host, 80, 24) as terminal:
        screen = terminal.wait_until(
            lambda lines: len(lines) == 24 and [normal(line) for line in lines][:len(EXPECTED_80)] == EXPECTED_80,
            "80x24 never shows\n" + "\n".join(EXPECTED_80) + "\nbut")
        require(screen[23].startswith(" q quit"), "the keys stand in the last line")
        require(all(len(line) <= 80 for line in screen), "no line is longer than the screen")


def check_other_sizes(host):
    with Terminal(host, 132, 43) as terminal:
        terminal.wait_until(
            lambda lines: len(lines) == 43 and lines[42].startswith(" q quit") and any("WAIT P50" in line for line in lines),
            "132x43: all columns, and the keys in the last line")
        terminal.resize(50, 12)
        terminal.wait_for("q quit")
        small = terminal.wait_until(
            lambda lines: len(lines) == 12 and lines[11].startswith(" q quit") and any("VM-1" in line for line in lines),
            "50x12: not drawn anew")
        require(not any("WAIT P50" in line for line in small), "50x12 leaves out what has no room")
        terminal.resize(30, 6)
        terminal.wait_for("Too small")
        terminal.resize(80, 24)
        terminal.wait_for("Zürich")


def check_keys(host):
    with Terminal(host, 80, 24) as terminal:
        terminal.wait_for("Zürich")
        terminal.keys("m")
        terminal.wait_for("Select a VM first")
        terminal.keys("Down", "Down", "p")  # VM-2
        terminal.wait_for("Priority of VM-2, now low")
        terminal.keys("h", "Enter")
        terminal.wait_for("Give VM-2 priority high? (y/n)")
        terminal.keys("n", "Enter")
        terminal.wait_for("Nothing was changed")
        require("Priority: low" in host.admin("show-vm", "--vm-uuid=vm2"), "a no changes nothing")
        terminal.keys("p")
        terminal.wait_for("Priority of VM-2")
        terminal.keys("h", "Enter")
        terminal.wait_for("Give VM-2 priority high? (y/n)")
        terminal.keys("y", "Enter")
        terminal.wait_for("VM-2 has priority high now")
        require("Priority: high" in host.admin("show-vm", "--vm-uuid=vm2"), "a yes changes it")
        terminal.keys("m")
        terminal.wait_for("Move VM-2 from pool A to pool")
        terminal.keys("z", "Enter")
        terminal.wait_for("Move VM-2 from pool A to pool Z? (y/n)")
        terminal.keys("y", "Enter")
        terminal.wait_for("there is no pool Z")
        terminal.keys("m")
        terminal.wait_for("Move VM-2 from pool A to pool (")
        terminal.keys("b", "Enter")
        terminal.wait_for("to pool B? (y/n)")
        terminal.keys("y", "Enter")
        terminal.wait_for("VM-2 is in pool B now")
        terminal.keys("P")
        terminal.wait_for("Pause VM-2?")
        terminal.keys("y", "Enter")
        terminal.wait_for("VM-2 is paused")
        terminal.wait_for(" paused ")
        terminal.keys("P")
        terminal.wait_for("Let VM-2 go on?")
        terminal.keys("y", "Enter")
        terminal.wait_for("VM-2 goes on")
        terminal.keys("x")
        terminal.wait_for("Put VM-2 into quarantine?")
        terminal.keys("y", "Enter")
        terminal.wait_for("VM-2 is in quarantine")
        terminal.wait_for(" quarant ")
        terminal.keys("x")
        terminal.wait_for("Release VM-2 from quarantine?")
        terminal.keys("y", "Enter")
        terminal.wait_for("VM-2 is released")
        terminal.keys("Tab", "Down", "a")
        terminal.wait_for("GPU 1 shall serve the pools")
        terminal.keys("A,B", "Enter")
        terminal.wait_for("(y/n)")
        terminal.keys("y", "Enter")
        terminal.wait_for("GPU 1 serves A,B now")
        require("A, B" in host.admin("show-gpu", "--gpu-id=1"), "the GPU serves both pools")
        terminal.keys("m", "Escape")
        terminal.wait_for("q quit")


def check_order(host):
    with Terminal(host, 80, 24) as terminal:
        terminal.wait_for("Zürich")
        terminal.keys("S")
        terminal.wait_for("IDv")
        wanted, names = ["Zürich", "VM-4", "VM-3", "VM-2", "VM-1"], []
        deadline = time.monotonic() + PATIENCE_S
        while names != wanted and time.monotonic() < deadline:  # a screen may be looked at while it is drawn
            names = [line.split()[1] for line in terminal.screen() if re.match(r" +\d+ \S", line)]
        require(names == wanted, f"by falling number: {names}")
        terminal.keys("/")
        terminal.wait_for("Show only VMs with:")
        terminal.keys("nobody", "Enter")
        terminal.wait_for("No VM passes the filter")
        terminal.keys("/", "C-h", "BSpace", "BSpace", "BSpace", "BSpace", "BSpace", "ZüX", "BSpace", "r", "Enter")
        terminal.wait_until(lambda lines: any("Filter: Zür (1 of 5 VMs)" in line for line in lines)
                            and not any("VM-1" in line for line in lines[8:20]), "only what passes is shown")
        terminal.keys("?")
        terminal.wait_for("Every change asks before it is made")
        terminal.keys("x")
        terminal.wait_for("Zürich")


def aligned(screen, name):
    """Whether what stands behind the names begins in the same column of the screen in the heading and in this row."""
    def columns(text):
        return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    heading = next(line for line in screen if " NAME" in line and "POOL" in line)
    row = next(line for line in screen if name in line)
    place = re.search(r" ([AB]) +[01-]? *(low|medium|high) ", row)
    return columns(heading[:heading.index("POOL")]) == columns(row[:place.start(1)])


def check_many(host):
    """More GPUs than have room, long and wide names, narrow screens."""
    with Host(host.admin_path, host.daemon_path, gpus=8) as large:
        large.admin("register-vm", "--vm-uuid=wide", "--vm-name=東京の仮想機械の長い名前", "--pool=A", "--priority=low",
                    "--vm-id=1234567")
        large.admin("register-vm", "--vm-uuid=long", "--vm-name=" + "long-" * 12, "--pool=A", "--priority=low")
        with Terminal(large, 80, 24) as terminal:
            terminal.wait_for("1234567")
            screen = terminal.wait_for(" q quit")  # drawn last
            require(all(any(line.startswith(f"GPU {number} ") for line in screen) for number in range(8)),
                    "eight GPUs on 80x24, a line each:\n" + "\n".join(screen))
            require("(" not in screen[0] and "8 GPUs" in screen[0], "all are shown: " + screen[0])
            for name in ("東京", "long", "VM-1", "Zürich"):
                require(aligned(screen, name), f"the columns behind {name} stand in line:\n" + "\n".join(screen))
            terminal.resize(40, 10)
            screen = terminal.wait_until(
                lambda lines: len(lines) == 10 and lines[9].startswith(" q quit") and "(1-2 shown)" in lines[0],
                "40x10: not drawn anew")
            require(screen[3].split()[:2] == ["ID^", "NAME"], "a line of the screen is one line: " + screen[3])
            terminal.keys("Tab", "End")
            terminal.wait_for("(7-8 shown)")
            terminal.keys("Tab", "End", "m")
            terminal.wait_until(lambda lines: lines[-1].endswith(":"), "of a long question one sees where to type")
            large.admin("remove-vm", "--vm-uuid=wide")
            terminal.keys("B", "Enter")
            terminal.wait_for("(y/n)")
            terminal.keys("y", "Enter")
            terminal.wait_for("wide")
            require("VM-1" in large.admin("list-vms"), "the others are as they were")


def check_end(host):
    with Terminal(host, 80, 24, NO_COLOR="1") as terminal:
        terminal.wait_for("Zürich")
        plain = "\n".join(terminal.screen("-e"))
        require(not re.search(r"\x1b\[(3[0-7]|38;5;)", plain), "NO_COLOR: no colours")
        terminal.keys("q")
        screen = terminal.wait_for("ended with 0")
        require(not any("Zürich" in line for line in screen), "the screen is given back")
    with Terminal(host, 80, 24) as terminal:
        terminal.wait_for("Zürich")
        require("\x1b[3" in "\n".join(terminal.screen("-e")), "colours where the terminal has them")
        terminal.keys("C-c")
        terminal.wait_for("ended with 0")
    with Terminal(host, 80, 24, LC_ALL="C", LANG="C") as terminal:
        terminal.wait_for("Z?rich")


def check_elsewhere(host):
    panel = host.admin("dashboard")
    require("GPU Virtualization Control Panel" in panel, "off a terminal it prints what status prints")
    done = subprocess.run(["script", "-qec", f"'{host.admin_path}' dashboard", "/dev/null"],
                          env=dict(host.environment, TERM="no-such-terminal"), text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=PATIENCE_S, check=False)
    require(done.returncode == 1 and "TERM=no-such-terminal" in done.stdout,
            f"an unknown terminal: status {done.returncode}, {done.stdout}")


def check_terminal(host):
    """Stopped and continued by the shell's keys; the terminal closed without a signal that says so."""
    with Terminal(host, 80, 24, command="env PS1='shell> ' bash --norc -i") as terminal:
        terminal.wait_for("shell>")
        terminal.keys(f"'{host.admin_path}' dashboard", "Enter")
        terminal.wait_for("Zürich")
        terminal.keys("C-z")
        terminal.wait_for("Stopped")
        terminal.keys("fg", "Enter")
        terminal.wait_for("q quit")
        terminal.keys("?")
        terminal.wait_for("Every change asks before it is made")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    dashboard = subprocess.Popen([host.admin_path, "dashboard"], env=dict(host.environment, TERM="xterm"), stdin=theirs,
                                 stdout=theirs, stderr=subprocess.DEVNULL, start_new_session=True)
    os.close(theirs)
    try:
        shown = b""
        while b"quit" not in shown:
            require(select.select([ours], [], [], PATIENCE_S)[0], "the dashboard starts on a plain terminal")
            shown += os.read(ours, 65536)
        os.close(ours)
        require(dashboard.wait(PATIENCE_S) == 0, "a terminal that has gone ends the dashboard")
    except subprocess.TimeoutExpired:
        raise Failure("the dashboard outlives its terminal") from None
    finally:
        dashboard.kill()
        dashboard.wait()


def check_without_daemon(host):
    with Terminal(host, 80, 24) as terminal:
        terminal.wait_for("vgpud up")
        host.daemon.kill()
        host.daemon.wait(PATIENCE_S)
        terminal.wait_for("vgpud is not there")
        terminal.wait_for("queue: not known without the daemon")
        (host.folder / "run" / "admin.sock").unlink(missing_ok=True)
        host.start_daemon()
        terminal.wait_for("vgpud up")
        terminal.wait_for("free; nobody waits")
        host.daemon.terminate()
        host.daemon.wait(PATIENCE_S)
        terminal.wait_for("vgpud is not there")
        terminal.keys("q")
        terminal.wait_for("ended with 0")


def main():
    if shutil.which("tmux") is None or shutil.which("script") is None:
        print("tmux or script is not installed")
        return SKIPPED
    checks = (check_80x24, check_other_sizes, check_many, check_order, check_keys, check_end, check_elsewhere,
              check_terminal, check_without_daemon)
    failed = 0
    with Host(*map(os.path.abspath, sys.argv[1:3])) as host:
        for check in checks:
            try:
                check(host)
                print(f"ok   {check.__name__}")
            except Failure as failure:
                failed += 1
                print(f"FAIL {check.__name__}: {failure}")
    return 1 if failed else 0


sys.exit(main())
