#!/usr/bin/python3
"""The requirement's workflow example, typed line by line, and its control panel; how the panel looks on terminals
of several widths, in a loop, and with a daemon that has a queue to tell of.

usage: test_workflow.py VGPU_ADMIN"""

import re
import subprocess
import sys
import unicodedata

from harness import TWO_H100, Checks, Host, fake_daemon, on_terminal

SCANNED = """\
Found 2 GPUs:
GPU 0: NVIDIA H100 80GB PCIe | PCI: 0000:01:00.0 | Status: Online
GPU 1: NVIDIA H100 80GB PCIe | PCI: 0000:02:00.0 | Status: Online
"""

PANEL = """\
================================================================================
                    GPU Virtualization Control Panel
================================================================================

Physical GPUs:
--------------
GPU 0: NVIDIA H100 80GB PCIe
  PCI: 0000:01:00.0
  Pool: A
  Status: Online
  Memory: 80GB (<size> used, <size> free)
  Utilization: <number>%
  Temperature: <number>°C
  VMs Assigned: 7 (3 high, 2 medium, 2 low)

GPU 1: NVIDIA H100 80GB PCIe
  PCI: 0000:02:00.0
  Pool: B
  Status: Online
  Memory: 80GB (<size> used, <size> free)
  Utilization: <number>%
  Temperature: <number>°C
  VMs Assigned: 13 (5 high, 6 medium, 2 low)

Pool Summary:
-------------
Pool A (GPU 0): 7 VMs
  High Priority: 3 VMs (VM-1, VM-2, VM-3)
  Medium Priority: 2 VMs (VM-4, VM-5)
  Low Priority: 2 VMs (VM-6, VM-7)

Pool B (GPU 1): 13 VMs
  High Priority: 5 VMs (VM-9, VM-10, VM-11, VM-12, VM-13)
  Medium Priority: 6 VMs (VM-8, VM-14, VM-15, VM-16, VM-17, VM-18)
  Low Priority: 2 VMs (VM-19, VM-20)

Unregistered VMs: 0 known
  (no hypervisor is asked for its VMs)

Queue:
------
"""

# VMs 1-7 go to pool A, 8-20 to pool B; VM 8 is medium, as the example has it.
PRIORITIES = ["high"] * 3 + ["medium"] * 2 + ["low"] * 2 + ["medium"] + ["high"] * 5 + ["medium"] * 5 + ["low"] * 2
IDENTIFIERS = {1: "abc123", 2: "def456", 8: "ghi789"}


def identifier(number):
    return IDENTIFIERS.get(number, f"vm-{number}")


def normalised(text):
    text = re.sub(r"\(\d+[GM]B used, \d+[GM]B free\)", "(<size> used, <size> free)", text)
    text = re.sub(r"Utilization: \d+%", "Utilization: <number>%", text)
    return re.sub(r"Temperature: \d+°C", "Temperature: <number>°C", text)


def width(line):
    """Columns of a line, near enough for what these tests print."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def type_workflow(checks, host):
    checks.equal(host.expect("scan-gpus"), SCANNED, "scan-gpus")
    checks.equal(host.expect("assign-gpu --gpu-id=0 --pool=A"),
                 "GPU 0 (NVIDIA H100 80GB PCIe) now serves pool A\n", "assign-gpu 0")
    checks.equal(host.expect("assign-gpu --gpu-id=1 --pool=B"),
                 "GPU 1 (NVIDIA H100 80GB PCIe) now serves pool B\n", "assign-gpu 1")
    for number, priority in enumerate(PRIORITIES, start=1):
        pool, gpu = ("A", 0) if number <= 7 else ("B", 1)
        uuid = identifier(number)
        said = host.expect(f"register-vm --vm-uuid={uuid} --pool={pool} --priority={priority} --vm-id={number}")
        checks.equal(said, f"Registered VM-{number} ({uuid}): VM ID {number}, pool {pool}, priority {priority}, "
                           f"served by GPU {gpu} (NVIDIA H100 80GB PCIe)\n", f"register-vm {number}")
    panel = normalised(host.expect("status"))
    checks.equal(panel[: len(PANEL)], PANEL, "status")
    checks.check(re.fullmatch(r"[^\n]*vgpud[^\n]*\n", panel[len(PANEL):]),
                 f"status without a daemon says so in one line: {panel[len(PANEL):]!r}")


def check_listings(checks, host):
    rows = host.expect("list-vms --pool=A --priority=high").splitlines()
    checks.equal([row.split()[:6] for row in rows[1:]],
                 [[str(n), f"VM-{n}", identifier(n), "A", "high", "GPU"] for n in (1, 2, 3)], "list-vms")
    checks.equal(len(host.expect("list-vms").splitlines()), 21, "lines of list-vms")
    checks.equal([row.split()[0] for row in host.expect("list-gpus").splitlines()], ["GPU", "0", "1"], "list-gpus")
    checks.equal([row.split()[0] for row in host.expect("list-gpus --pool B").splitlines()], ["GPU", "1"],
                 "list-gpus --pool B")
    checks.equal(host.expect("list-pools"),
                 "POOL  GPUS   VMS  HIGH  MEDIUM  LOW  MODE\n"
                 "A     GPU 0    7     3       2    2  exclusive\n"
                 "B     GPU 1   13     5       6    2  exclusive\n", "list-pools")
    shown = host.expect("show-vm --vm-uuid=abc123")
    for line in ["VM-1\n", "  UUID: abc123\n", "  VM ID: 1\n", "  Pool: A\n", "  GPU: 0 (NVIDIA H100 80GB PCIe)\n",
                 "  GPU Status: Online\n", "  Priority: high\n", f"  Socket: {host.run_dir}/guests/abc123.sock\n"]:
        checks.check(line in shown, f"show-vm lacks {line!r}:\n{shown}")
    shown = host.expect("show-gpu --gpu-id=0")
    for line in ["GPU 0: NVIDIA H100 80GB PCIe\n", "  PCI: 0000:01:00.0\n", "  Pool: A\n", "  Status: Online\n",
                 "  VMs Assigned: 7 (3 high, 2 medium, 2 low)\n",
                 "  VMs: VM-1, VM-2, VM-3, VM-4, VM-5, VM-6, VM-7\n", "  Mode: exclusive (of pool A)\n", "  UUID: GPU-"]:
        checks.check(line in shown, f"show-gpu lacks {line!r}:\n{shown}")
    checks.check(host.expect("history").startswith("No grant is on record"), "history of nothing")


def check_changes(checks, host):
    """What an administrator reads after each change, and that it is there afterwards."""
    steps = [
        ("set-pool --vm-uuid=abc123 --pool=B",
         "VM-1 (abc123): pool B (was A), served by GPU 1 (NVIDIA H100 80GB PCIe)\n"),
        ("set-pool --vm-uuid=abc123 --pool=B",
         "VM-1 (abc123): pool B (as before), served by GPU 1 (NVIDIA H100 80GB PCIe)\n"),
        ("set-priority --vm-uuid=abc123 --priority=low", "VM-1 (abc123): priority low (was high)\n"),
        ("set-vm-id --vm-uuid=abc123 --vm-id=21", "VM-21 (abc123): VM ID 21 (was 1), name VM-21 (was VM-1)\n"),
        ("update-vm --vm-uuid=abc123 --pool=A --priority=high --vm-id=1 --vm-name=web --vsock-cid=9",
         "web (abc123): pool A (was B), priority high (was low), VM ID 1 (was 21), name web (was VM-21), vsock CID 9 "
         "(was none), served by GPU 0 (NVIDIA H100 80GB PCIe)\n"),
        ("remove-vm --vm-uuid=abc123", "Removed web (abc123): it was VM ID 1, pool A, priority high\n"),
        ("register-vm --vm-uuid=abc123 --vm-name=Büro-仮想 --pool=A --priority=high",
         "Registered Büro-仮想 (abc123): VM ID 1, pool A, priority high, served by GPU 0 (NVIDIA H100 80GB PCIe)\n"),
        ("assign-gpu --gpu-id=0 --pool=B",
         "GPU 0 (NVIDIA H100 80GB PCIe) now serves pool B; before: pool A\n"
         "Pool A has no GPU now and its 7 VMs cannot run; give it one with 'vgpu-admin assign-gpu --gpu-id=<id> "
         "--pool=A'\n"),
        ("register-vm --vm-uuid=late --pool=A --priority=low",
         "Registered VM-21 (late): VM ID 21, pool A, priority low\n"
         "Pool A has no GPU, so the VM cannot run yet; assign one with 'vgpu-admin assign-gpu --gpu-id=<id> "
         "--pool=A'\n"),
        ("assign-gpu --gpu-id=0 --pool=A,B",
         "GPU 0 (NVIDIA H100 80GB PCIe) now serves pools A and B; before: pool B\n"),
    ]
    for line, expected in steps:
        checks.equal(host.expect(line), expected, line)
    checks.check("Büro-仮想" in host.expect("list-vms"), "a name outside ASCII in the list")
    checks.check("Pool: A, B (time-sliced)" in host.expect("status"), "a GPU that serves two pools in the panel")


def check_terminals(checks, host):
    for columns in (60, 80, 132, 200):
        for line in ("status", "list-vms", "list-gpus", "list-pools"):
            status, printed = on_terminal(host, columns, line, env={"NO_COLOR": "1"})
            checks.equal(status, 0, f"exit status of {line} on a terminal of {columns}")
            widest = max(width(row) for row in printed.splitlines() if "vgpud" not in row)
            checks.check(widest <= columns, f"{line} is {widest} wide on a terminal of {columns}:\n{printed}")
            checks.check("\x1b" not in printed, f"{line} prints escape sequences")
    piped = host.expect("list-vms")
    checks.equal(on_terminal(host, 200, "list-vms", env={"NO_COLOR": "1"})[1], piped, "list-vms on a wide terminal and in a pipe")


def check_loop(checks, host):
    panels = {normalised(host.expect("status")) for _ in range(5)}
    checks.equal(len(panels), 1, "different panels in a loop")


def check_queue(checks, host):
    gpu = {"gpu_uuid": "GPU-0", "generation": 17}
    state = {
        "ok": True,
        "daemon": {"version": "0.1.0", "pid": 1, "uptime_us": 1000000, "driver": "simulated"},
        "gpus": [
            {**gpu, "gpu_id": 0, "holder": "vm-3", "held_us": 12000,
             "waiting": [{"vm_uuid": "vm-4", "priority": 1, "waiting_us": 3000},
                         {"vm_uuid": "vm-6", "priority": 0, "waiting_us": 2500000}]},
            {**gpu, "gpu_id": 1, "holder": None, "held_us": 0, "waiting": []},
        ],
        "vms": [{"vm_uuid": "vm-3", "processes": 2, "grants": 17, "wait_us": 90000, "hold_us": 70000,
                 "calls": 123456, "gpu_calls": 1000, "device_memory_bytes": 1 << 30}],
    }
    with fake_daemon(host, state):
        panel = host.expect("status")
        checks.equal(panel[panel.index("Queue:"):],
                     "Queue:\n------\n"
                     "GPU 0: held by VM-3 (high) for 12 ms; 2 waiting: VM-4 (medium) 3 ms,\n"
                     "  VM-6 (low) 2.5 s\n"
                     "GPU 1: free; nobody waits\n", "the queue in the panel")
        rows = [row.split() for row in host.expect("queue").splitlines()]
        checks.equal([row[:5] for row in rows[1:]],
                     [["0", "holds", "VM-3", "vm-3", "high"], ["0", "waits", "VM-4", "vm-4", "medium"],
                      ["0", "waits", "VM-6", "vm-6", "low"], ["1", "free", "-", "-", "-"]], "queue")
        checks.equal([row[-2:] for row in rows[1:]], [["12", "ms"], ["3", "ms"], ["2.5", "s"], ["-", "-"]],
                     "queue: for how long")
        shown = host.expect("show-vm --vm-uuid=vm-3")
        for line in ["Guest Processes: 2\n", "Grants: 17 (waited 90 ms, held 70 ms in all)\n",
                     "Calls: 123456 (1000 of them GPU work)\n", "Device Memory: 1GB\n"]:
            checks.check(line in shown, f"show-vm lacks {line!r}:\n{shown}")


def check_scan_again(checks, host):
    """A GPU that vanished stays known; one that comes back is the same GPU, with its pool."""
    gone = host.call("scan-gpus", env={"VGPU_SIM_GPUS": "NVIDIA H100 80GB PCIe"}).stdout.decode()
    checks.check(gone.startswith("Found 1 GPU:\nGPU 0: ") and "\nKnown from before, not found now:\nGPU 1: " in gone
                 and "Status: Offline (" in gone, f"scan-gpus with one GPU gone:\n{gone}")
    checks.equal(host.expect("scan-gpus"), SCANNED, "scan-gpus with both back")
    checks.check("Pool: B" in host.expect("show-gpu --gpu-id=1"), "the pool of the GPU that came back")


def check_written(checks, host):
    """A listing that cannot be written is a failure; one that nobody reads to the end is none to speak of."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([host.admin, "list-vms"], env=host.env, stdout=full, stderr=subprocess.PIPE, check=False)
    checks.equal(done.returncode, 1, "exit status with a full disk under the output")
    checks.equal(done.stderr.count(b"\n"), 1, f"lines about it: {done.stderr}")


# The requirement's COMPLETE COMMAND LIST, each form with every option it writes, and without what it writes in brackets.
COMMAND_LIST = [
    "scan-gpus",
    "show-gpu --gpu-id=0",
    "assign-gpu --gpu-id=0 --pool=A",
    "assign-gpu --gpu-id=1 --pool=B",
    "list-gpus",
    "list-gpus --pool=A",
    "scan-vms",
    "register-vm --vm-uuid=abc123 --pool=A --priority=high",
    "register-vm --vm-uuid=def456 --vm-name=web --pool=B --priority=medium --vm-id=8",
    "show-vm --vm-uuid=abc123",
    "list-vms",
    "list-vms --pool=A",
    "list-vms --priority=high",
    "list-vms --pool=B --priority=medium",
    "set-pool --vm-uuid=abc123 --pool=B",
    "set-priority --vm-uuid=abc123 --priority=low",
    "set-vm-id --vm-uuid=abc123 --vm-id=9",
    "update-vm --vm-uuid=abc123 --pool=A --priority=high --vm-id=1",
    "update-vm --vm-uuid=abc123 --pool=B",
    "update-vm --vm-uuid=abc123 --priority=medium",
    "update-vm --vm-uuid=abc123 --vm-id=2",
    "remove-vm --vm-uuid=abc123",
    "status",
    "dashboard",
    "list-pools",
]


def check_command_list(checks, admin):
    with Host(admin) as host:
        for line in COMMAND_LIST:
            checks.check(host.expect(line), f"{line} says nothing")
        checks.equal(host.expect("list-vms --columns=vm-id,name,uuid,pool,priority --no-header"),
                     "8  web  def456  B  medium\n", "what is left of the command list")
        checks.equal(normalised(host.expect("dashboard")), normalised(host.expect("status")),
                     "dashboard off a terminal")


def check_scanned_vms(checks, host):
    """The layout of ADDITION 2; what hypervisors add to it is tested with hypervisors."""
    scanned = host.expect("scan-vms").splitlines()
    start = scanned.index("=== Registered VMs (20) ===")
    checks.equal(re.sub(r"\d+%", "<number>%", "\n".join(scanned[:start])),
                 "=== Physical GPUs ===\n"
                 "GPU 0: NVIDIA H100 80GB PCIe | Pool: A | Status: Online | Utilization: <number>%\n"
                 "GPU 1: NVIDIA H100 80GB PCIe | Pool: B | Status: Online | Utilization: <number>%\n", "scan-vms: GPUs")
    checks.equal([scanned[start + n] for n in (1, 2, 8)],
                 ["UUID: abc123 | Name: VM-1 | Pool: A → GPU 0 | Priority: high | VM ID: 1",
                  "UUID: def456 | Name: VM-2 | Pool: A → GPU 0 | Priority: high | VM ID: 2",
                  "UUID: ghi789 | Name: VM-8 | Pool: B → GPU 1 | Priority: medium | VM ID: 8"], "scan-vms: VMs")
    checks.check("=== Unregistered VMs (0) ===" in scanned, "scan-vms: what is not registered")


def main():
    (admin,) = sys.argv[1:]
    checks = Checks()
    with Host(admin, gpus=TWO_H100) as host:
        checks.check("register one" in host.expect("list-vms"), "list-vms before anything is registered")
        checks.check("scan-gpus" in host.expect("list-gpus"), "list-gpus before anything is scanned")
        type_workflow(checks, host)
        check_scanned_vms(checks, host)
        check_listings(checks, host)
        check_terminals(checks, host)
        check_loop(checks, host)
        check_scan_again(checks, host)
        check_written(checks, host)
        check_queue(checks, host)
        check_changes(checks, host)
    check_command_list(checks, admin)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
