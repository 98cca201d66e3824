#!/usr/bin/env python3
"""The ways to print: --json of every command against docs/vgpu-admin.schema.json, --columns, --no-header, -o wide,
colours, --watch on a terminal and in a pipe.

usage: test_output.py VGPU_ADMIN PRINT_COMMANDS SCHEMA"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

from harness import Checks, Host, fake_daemon, on_terminal
from schema import Schema

STATE = {
    "ok": True,
    "daemon": {"version": "0.1.0", "pid": 7, "uptime_us": 1000000, "driver": "simulated"},
    "gpus": [
        {"gpu_id": 0, "gpu_uuid": "GPU-0", "generation": 17, "holder": "vm-1", "held_us": 12000,
         "background": "vm-2", "preemption": "hardware time slices", "places": 4, "handovers": 9, "preemptions": 3,
         "waited_us": 170000, "ended_hold_us": 34000, "ended_grants": 17, "wait_p50_us": 300, "hold_p99_us": 4000,
         "waiting": [{"vm_uuid": "vm-2", "priority": 1, "waiting_us": 3000},
                     {"vm_uuid": "gone", "priority": 0, "waiting_us": 1}]},
        # As an older daemon tells it, without what came later.
        {"gpu_id": 1, "gpu_uuid": "GPU-1", "generation": 0, "holder": None, "held_us": 0, "waiting": []},
    ],
    "vms": [{"vm_uuid": "vm-1", "processes": 2, "grants": 17, "wait_us": 90000, "hold_us": 70000,
             "calls": 123456, "gpu_calls": 1000, "device_memory_bytes": 1 << 30, "waiting": 1,
             "gpu_time_us": 60000, "preemptions": 3, "timeouts": 1, "limited_calls": 5, "limited_us": 7000,
             "refused_allocations": 2, "faults": 4, "wait_p50_us": 4000, "wait_p95_us": 8000, "wait_p99_us": None,
             "hold_p50_us": 3000, "hold_p95_us": 5000, "hold_p99_us": 6000}],
}

# One command line that works for every command that has --json, in an order in which they work.
LINES = [
    "scan-gpus",
    "assign-gpu --gpu-id=0 --pool=A",
    "assign-gpu --gpu-id=1 --pool=A,B",
    "unassign-gpu --gpu-id=1 --pool=A",
    "add-pool --pool=C",
    "register-vm --vm-uuid=vm-1 --pool=A --priority=high",
    "register-vm --vm-uuid=vm-2 --vm-name=Büro --pool=C --priority=low --vsock-cid=7",
    "set-pool --vm-id=1-2 --pool=B",
    "set-priority --vm-name=Büro --priority=medium",
    "set-vm-id --vm-uuid=vm-2 --vm-id=9",
    "rename-vm --vm-id=9 --vm-name=web",
    "update-vm --vm-name=web --pool=A",
    "pause --vm-id=1,9",
    "resume --vm-id=1",
    "set-limits --vm-id=1,9 --weight=4 --memory=16G --time-limit=10s",
    "set-limits --pool=A --mode=shared:4 --ageing=500ms --call-rate=1000/s --byte-rate=2G",
    "show-limits",
    "show-limits --vm-id=1,9",
    "show-limits --pool=A",
    "quarantine --vm-id=9 --reason=coins",
    "show-vm --vm-id=9",
    "release --vm-id=9",
    "show-devices --vm-id=9",
    "remove-pool --pool=C",
    "scan-vms",
    "dashboard",
    "list-gpus",
    "list-gpus --pool=B",
    "show-gpu --gpu-id=1",
    "list-vms",
    "show-vm --vm-id=1,9",
    "list-pools",
    "status",
    "queue",
    "metrics",
    "history",
    "history --changes",
    "history --changes --grants --vm-uuid=vm-2 --since=1h",
    "import {export} --dry-run",
    "import {export}",
    "remove-vm --vm-id=1-9",
    "list-vms",
]
# export prints JSON of another kind; doctor may end with 1.
OTHERS = {"export", "doctor"}


def set_up(host):
    for line in ["scan-gpus", "assign-gpu --gpu-id=0 --pool=A", "assign-gpu --gpu-id=1 --pool=B",
                 "register-vm --vm-uuid=vm-1 --pool=A --priority=high",
                 "register-vm --vm-uuid=vm-2 --vm-name=仮想 --pool=B --priority=low"]:
        host.expect(line)


def check_json(checks, admin, commands, schema):
    with Host(admin) as host, fake_daemon(host, STATE):
        exported = host.root / "export.json"
        seen = set()
        for line in LINES:
            if "{export}" in line:
                text = host.expect("export").replace("vm-1", "vm-x")
                exported.write_text(text)
            line = line.format(export=exported)
            words = line.split()
            seen.add(words[0])
            printed = host.expect(f"{line} --json")
            document = json.loads(printed)
            faults = schema.faults(document)
            checks.equal(faults, [], f"{line} --json against the schema")
            checks.equal(document["command"], words[0], f"{line}: the command in it")
        findings = json.loads(host.call("doctor", "--json").stdout)
        checks.equal(schema.faults(findings), [], "doctor --json against the schema")
        with_json = {command["name"] for command in commands
                     if any(option["name"] == "json" for option in command["options"])}
        checks.equal(with_json - seen - OTHERS, set(), "commands whose JSON no line above looks at")
        silent = {command["name"] for command in commands} - with_json - OTHERS
        checks.equal(silent, set(), "commands without --json")
        same = host.expect("list-vms -o json")
        checks.equal(same, host.expect("list-vms --json"), "-o json and --json")
        check_schema_is_strict(checks, schema, json.loads(host.expect("status --json")))


def check_schema_is_strict(checks, schema, status):
    """The validator does find what is wrong."""
    for spoil in (lambda s: s.pop("gpus"), lambda s: s.update(more=1), lambda s: s["gpus"][0].update(gpu_id="0"),
                  lambda s: s["gpus"][0].update(status="fine"), lambda s: s["pools"][0].pop("pool"),
                  lambda s: s["gpus"][0].update(created_at="yesterday"), lambda s: s.update(format=2)):
        spoiled = json.loads(json.dumps(status))
        spoil(spoiled)
        checks.check(schema.faults(spoiled), f"a spoiled status passes the schema: {spoiled}")


def check_values(checks, admin):
    """JSON tells what the tables tell, and what is not known is null."""
    with Host(admin) as host:
        set_up(host)
        document = json.loads(host.expect("list-vms --json"))
        checks.equal([(vm["vm_id"], vm["vm_uuid"], vm["vm_name"], vm["pool"], vm["priority"], vm["gpu_id"],
                       vm["vsock_cid"]) for vm in document["vms"]],
                     [(1, "vm-1", "VM-1", "A", "high", 0, None), (2, "vm-2", "仮想", "B", "low", 1, None)],
                     "list-vms --json")
        status = json.loads(host.expect("status --json"))
        checks.equal((status["daemon"], status["queue"]), (None, []), "status --json without a daemon")
        checks.check("vgpud" in status["daemon_note"], f"why: {status['daemon_note']}")
        changes = json.loads(host.expect("history --changes --json --limit=1"))["changes"]
        checks.equal([(c["action"], c["subject"], c["new_value"]) for c in changes],
                     [("register-vm", "vm vm-2", "vm-id 2, pool B, low")], "history --changes --json")
        host.expect("quarantine --vm-uuid=vm-1 --reason=coins")
        checks.check(re.search(r"QUARANTINE\n *1 .* coins\n *2 .* -\n$", host.expect("list-vms")),
                     "list-vms has quarantine in sight where there is some")
        host.expect("release --vm-uuid=vm-1")
        checks.check("QUARANTINE" not in host.expect("list-vms"), "list-vms without quarantine")
        moved = json.loads(host.expect("set-pool --vm-uuid=vm-1 --pool=B --json"))["vms"]
        checks.equal([(vm["before"]["pool"], vm["after"]["pool"]) for vm in moved], [("A", "B")], "set-pool --json")
        gone = json.loads(host.expect("remove-vm --vm-uuid=vm-1 --json"))["vms"]
        checks.equal([(vm["before"]["vm_id"], vm["after"]) for vm in gone], [(1, None)], "remove-vm --json")
        gpu = json.loads(host.call("scan-gpus", "--json", env={"VGPU_SIM_GPUS": "1"}).stdout)["missing"][0]
        checks.equal((gpu["status"], gpu["memory_used_mib"], gpu["temperature_c"]), ("offline", None, None),
                     "a GPU that vanished")


def check_columns(checks, admin, commands):
    with Host(admin) as host, fake_daemon(host, STATE):
        set_up(host)
        checks.equal(host.expect("list-vms --columns=name,vm-id,gpu"),
                     "NAME  VM ID  GPU\nVM-1      1  GPU 0\n仮想      2  GPU 1\n", "--columns")
        checks.equal(host.expect("list-vms --columns=vm-id --no-header"), "1\n2\n", "--columns --no-header")
        checks.equal(host.expect("list-pools --no-header"),
                     "A  GPU 0  1  1  0  0  exclusive\nB  GPU 1  1  0  0  1  exclusive\n", "--no-header")
        for command in commands:
            if not command["tables"]:
                continue
            name = command["name"]
            plain = host.expect(name).splitlines()[0]
            wide = host.expect(f"{name} -o wide").splitlines()[0]
            checks.check(len(wide.split()) >= len(plain.split()), f"{name} -o wide has fewer columns")
            for column in command["tables"][0]:
                lines = host.expect(f"{name} --columns={column}").splitlines()
                if name != "history":  # which has no grants to show
                    checks.equal(lines[0].strip(), column.upper().replace("-", " "), f"{name}: {column}")
        checks.equal(host.expect("history --changes --columns=what,of,to --limit=1"),
                     "WHAT         OF       TO\nregister-vm  vm vm-2  vm-id 2, pool B, low\n", "history --changes")


def plain_of(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def check_colours(checks, admin):
    with Host(admin) as host:
        set_up(host)
        for line in ("status", "list-vms", "list-gpus", "show-gpu --gpu-id=0"):
            piped = host.expect(line)
            checks.check("\x1b" not in piped, f"{line} in a pipe has colours")
            _, coloured = on_terminal(host, 200, *line.split(), env={"NO_COLOR": ""})
            checks.check("\x1b[" in coloured, f"{line} on a terminal has no colours")
            _, without = on_terminal(host, 200, *line.split(), env={"NO_COLOR": "1"})
            checks.check("\x1b" not in without, f"{line} with NO_COLOR has colours")
            checks.equal(plain_of(coloured), without, f"{line} with and without colours")
            _, dumb = on_terminal(host, 200, *line.split(), env={"TERM": "dumb"})
            checks.check("\x1b" not in dumb, f"{line} on a dumb terminal has colours")


def wait_for(read, wanted, seconds=20):
    """Reads until wanted(all read so far) holds; returns all that was read."""
    got = b""
    end = time.monotonic() + seconds
    while not wanted(got) and time.monotonic() < end:
        if select.select([read], [], [], 0.5)[0]:
            try:
                piece = os.read(read, 65536)
            except OSError:
                break
            if not piece:
                break
            got += piece
    return got


def watch_in_pipe(checks, host, line, enough):
    with subprocess.Popen([host.admin, *line.split()], env=host.env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        printed = wait_for(process.stdout.fileno(), enough)
        process.send_signal(signal.SIGINT)
        printed += process.stdout.read()
        checks.equal((process.wait(20), process.stderr.read()), (0, b""), f"{line}: how it ends")
    return printed.decode()


def check_watch_in_pipe(checks, admin):
    with Host(admin) as host, fake_daemon(host, STATE):
        set_up(host)
        once = host.expect("list-pools")
        printed = watch_in_pipe(checks, host, "list-pools --watch=0.1", lambda got: got.count(b"POOL") >= 3)
        blocks = printed.split("\n\n")
        checks.equal({block.rstrip("\n") + "\n" for block in blocks}, {once}, "blocks of list-pools --watch")
        checks.check(len(blocks) >= 3, f"{len(blocks)} blocks")
        printed = watch_in_pipe(checks, host, "queue --watch=0.1 --json", lambda got: got.count(b"\n") >= 3)
        checks.equal({json.loads(line)["command"] for line in printed.splitlines()}, {"queue"},
                     "one document a line with --json --watch")
    with Host(admin) as host:
        done = host.call("queue", "--watch")
        checks.equal((done.returncode, done.stdout, done.stderr.count(b"\n")), (1, b"", 1),
                     "queue --watch without a daemon")


def check_watch_on_terminal(checks, admin):
    """A screen of its own, cut to the terminal, redrawn in place; Ctrl-C restores the terminal."""
    with Host(admin) as host:
        set_up(host)
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 60, 0, 0))
        before = termios.tcgetattr(theirs)
        with subprocess.Popen([host.admin, "status", "--watch=0.1"], env={**host.env, "TERM": "xterm", "NO_COLOR": "1"},
                              stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                              preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)) as process:
            printed = wait_for(ours, lambda got: got.count(b"\x1b[H") >= 3)
            os.write(ours, b"\x03")  # Ctrl-C
            printed += wait_for(ours, lambda got: b"\x1b[?1049l" in got)
            checks.equal(process.wait(20), 0, "exit status of --watch after Ctrl-C")
        checks.equal(termios.tcgetattr(theirs), before, "the terminal's settings after --watch")
        os.close(ours)
        os.close(theirs)
        text = printed.decode()
        checks.check(text.startswith("\x1b[?1049h\x1b[?25l"), f"--watch does not take a screen: {text[:40]!r}")
        checks.check("\x1b[?25h\x1b[?1049l" in text, f"--watch does not give the screen back: {text[-40:]!r}")
        for frame in text.split("\x1b[H")[1:3]:  # Ctrl-C may have cut the third
            rows = frame.split("\x1b[J")[0].replace("\x1b[K", "").split("\n")
            checks.check(len(rows) <= 10, f"{len(rows)} rows on a terminal of 10")
            checks.check("more lines" in rows[-2], f"what does not fit is not said: {rows[-2]!r}")


def main():
    admin, print_commands, schema = sys.argv[1:]
    commands = json.loads(subprocess.run([print_commands], stdout=subprocess.PIPE, check=True).stdout)
    checks = Checks()
    check_json(checks, admin, commands, Schema(schema))
    check_values(checks, admin)
    check_columns(checks, admin, commands)
    check_colours(checks, admin)
    check_watch_in_pipe(checks, admin)
    check_watch_on_terminal(checks, admin)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
