#!/usr/bin/env python3
"""scan-vms and register-vm --all-unregistered against libvirt's own test driver and an xe that plays XenServer.

usage: test_scan_vms.py VGPU_ADMIN"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "admin"))
from harness import Checks, Host, libvirt_is_here  # noqa: E402

WEB = "5e2f0b7c-1111-4a52-9d0f-0123456789ab"
DB = "5e2f0b7c-2222-4a52-9d0f-0123456789ab"
BOX = "5e2f0b7c-3333-4a52-9d0f-0123456789ab"
GONE = "5e2f0b7c-4444-4a52-9d0f-0123456789ab"

XE = f"""#!/bin/sh
[ "$1" = vm-list ] || exit 1
cat <<'END'
uuid ( RO)                  : {BOX.upper()}
            name-label ( RW): box
           power-state ( RO): halted
     is-control-domain ( RO): false


uuid ( RO)                  : 00000000-0000-4a52-9d0f-0123456789ab
            name-label ( RW): Control domain on host: xcp
           power-state ( RO): running
     is-control-domain ( RO): true
END
"""

SCANNED = f"""\
=== Physical GPUs ===
GPU 0: NVIDIA H100 80GB PCIe | Pool: A | Status: Online | Utilization: <number>%
GPU 1: NVIDIA H100 80GB PCIe | Pool: B | Status: Online | Utilization: <number>%

=== Registered VMs (3) ===
UUID: {WEB} | Name: VM-1 | Pool: A → GPU 0 | Priority: high | VM ID: 1 | Power: running | Hypervisor: <libvirt>
UUID: abc123 | Name: VM-2 | Pool: A → GPU 0 | Priority: medium | VM ID: 2
UUID: {GONE} | Name: VM-8 | Pool: B → GPU 1 | Priority: high | VM ID: 8

=== Unregistered VMs (2) ===
UUID: {BOX} | Name: box | Status: Not registered | Power: shut off | Hypervisor: xe
UUID: {DB} | Name: db | Status: Not registered | Power: paused | Hypervisor: <libvirt>

=== Vanished VMs (1) ===
UUID: {GONE} | Name: VM-8 | Status: Registered, but no hypervisor knows it
"""

PANEL_END = """\
Unregistered VMs: 2
  box, db (not assigned to any pool)

Vanished VMs: 1
  VM-8 (registered, but no hypervisor knows them)

Queue:
"""


def domain(name, uuid, state):
    return (f"<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>8192</memory>"
            "<os><type>hvm</type></os><test:runstate xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>"
            f"{state}</test:runstate></domain>")


def make_libvirt(host, *domains):
    """The URI of a libvirt that has these VMs."""
    path = host.root / "node.xml"
    path.write_text("<node>" + "".join(domain(*one) for one in domains) + "</node>")
    path.chmod(0o644)
    return f"test://{path}"


def make_xe(host, script=XE):
    folder = host.root / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "xe").write_text(script)
    (folder / "xe").chmod(0o755)
    host.env["PATH"] = f"{folder}:{os.environ['PATH']}"


def normalised(text, uri):
    lines = text.replace(uri, "<libvirt>").splitlines(keepends=True)
    return "".join(line[:line.index("Utilization: ")] + "Utilization: <number>%\n" if "Utilization: " in line else line
                   for line in lines)


def prepare(host):
    host.expect("scan-gpus")
    host.expect("assign-gpu --gpu-id=0 --pool=A")
    host.expect("assign-gpu --gpu-id=1 --pool=B")
    host.expect(f"register-vm --vm-uuid={WEB.upper()} --pool=A --priority=high")
    host.expect("register-vm --vm-uuid=abc123 --pool=A --priority=medium")
    host.expect(f"register-vm --vm-uuid={GONE} --pool=B --priority=high --vm-id=8")


def check_scan(checks, host, uri):
    before = host.dump()
    checks.equal(normalised(host.expect("scan-vms"), uri), SCANNED, "scan-vms")
    panel = host.expect("status")
    checks.check(PANEL_END in panel, f"status tells of unregistered and vanished VMs:\n{panel}")
    checks.equal(host.dump(), before, "looking changes nothing")
    document = json.loads(host.expect("scan-vms --json"))
    states = {vm["vm_uuid"]: (vm["state"], vm["power"]) for vm in document["vms"]}
    checks.equal(states, {WEB: ("registered", "running"), "abc123": ("registered", None), GONE: ("vanished", None),
                          BOX: ("unregistered", "shut off"), DB: ("unregistered", "paused")}, "scan-vms --json")
    checks.equal([(one["name"], one["answered"], one["vm_count"]) for one in document["hypervisors"]],
                 [(uri, True, 2), ("xe", True, 1)], "hypervisors in JSON")
    status = json.loads(host.expect("status --json"))
    checks.equal([vm["vm_name"] for vm in status["unregistered_vms"]], ["box", "db"], "status --json, unregistered")
    checks.equal([vm["vm_name"] for vm in status["vanished_vms"]], ["VM-8"], "status --json, vanished")


def check_register_all(checks, host):
    before = host.dump()
    for wrong, status in [("--pool=Q --priority=low", 1), ("--pool=A", 2), ("--pool=A --priority=low --vm-id=5", 2),
                          ("--vm-uuid=a --pool=A --priority=low", 2)]:
        done = host.call("register-vm", "--all-unregistered", *wrong.split())
        checks.equal((done.returncode, done.stdout), (status, b""), f"register-vm --all-unregistered {wrong}")
    checks.equal(host.dump(), before, "a refused registration changes nothing")
    checks.equal(host.expect("register-vm --all-unregistered --pool=B --priority=low"),
                 f"Registered box ({BOX}): VM ID 3, pool B, priority low, served by GPU 1\n"
                 f"Registered db ({DB}): VM ID 4, pool B, priority low, served by GPU 1\n", "register all")
    checks.equal(host.expect("register-vm --all-unregistered --pool=B --priority=low"),
                 "Every VM that the hypervisors have is registered already\n", "register all again")
    checks.check("=== Unregistered VMs (0) ===\n" in host.expect("scan-vms"), "none is left")


def check_silence(checks, host, uri):
    """One that hangs costs its time and no more; what is registered is listed all the same."""
    make_xe(host, "#!/bin/sh\nsleep 1000\n")
    begin = time.monotonic()
    panel = host.expect("status")
    checks.check(time.monotonic() - begin < 30, "status does not wait for a hypervisor that hangs")
    checks.check("  The VMs of xe are not known: it does not answer within 2 s" in panel, f"status says so:\n{panel}")
    checks.check("Vanished" not in panel, "while one is silent no VM is called vanished")
    make_xe(host, "#!/bin/sh\necho 'You must be root' >&2\nexit 1\n")
    scanned = host.expect("scan-vms")
    checks.check("The VMs of xe are not known: You must be root\n" in scanned, f"its own words are passed on:\n{scanned}")
    env = {"VGPU_HYPERVISOR_URIS": "xe"}
    done = host.call("register-vm", "--all-unregistered", "--pool=A", "--priority=low", env=env)
    checks.equal((done.returncode, done.stderr.decode()),
                 (1, "vgpu-admin: register-vm: no hypervisor answers; xe: You must be root\n"), "register of nobody")
    for uris, words in [("none", "No hypervisor is asked for its VMs"), (f"{uri},qemu:///nowhere", "are not known: ")]:
        done = host.call("scan-vms", env={"VGPU_HYPERVISOR_URIS": uris})
        checks.equal(done.returncode, 0, f"exit status with {uris}")
        checks.check(words in done.stdout.decode(), f"{words!r} with {uris}:\n{done.stdout.decode()}")
        checks.check("=== Registered VMs (5) ===" in done.stdout.decode(), f"registered VMs with {uris}")
    done = host.call("scan-vms", env={"VGPU_HYPERVISOR_URIS": "vmware"})
    checks.equal(done.returncode, 2, "a setting that names no hypervisor is wrong usage")
    checks.check("'vmware' names no hypervisor" in done.stderr.decode(), done.stderr.decode())
    checks.equal(host.call("status", env={"VGPU_HYPERVISOR_URIS": "vmware"}).returncode, 0, "the panel stands above it")


def main():
    if not libvirt_is_here():
        print("libvirt is not here")
        return 77
    checks = Checks()
    with Host(sys.argv[1]) as host:
        make_xe(host)
        uri = make_libvirt(host, ("web", WEB, 1), ("db", DB, 3))
        host.env["VGPU_HYPERVISOR_URIS"] = f"{uri}, xe"
        prepare(host)
        check_scan(checks, host, uri)
        check_register_all(checks, host)
        check_silence(checks, host, uri)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
