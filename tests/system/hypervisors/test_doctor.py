#!/usr/bin/env python3
"""doctor: a well installation has no fault; each thing that is broken is found, and the advice says what to do.

usage: test_doctor.py VGPU_ADMIN VGPUD"""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "admin"))
from harness import Checks, Host, libvirt_is_here  # noqa: E402

VGPUD = sys.argv[2]

DEVICES = """\
# libvirt, among <devices>:
<vsock model='virtio'><cid auto='no' address='7'/></vsock>
# libvirt finds windows in /dev/shm alone: set window_dir so, or pass QEMU's arguments
# QEMU:
-device vhost-vsock-pci,guest-cid=7
-object memory-backend-file,id=vgpu,share=on,mem-path={folder}/vgpu-abc123,size=67108864
-device ivshmem-plain,memdev=vgpu
"""
DEVICES_OF_BOTH = """\
# libvirt, among <devices>:
<vsock model='virtio'><cid auto='no' address='7'/></vsock>
<shmem name='vgpu-abc123'>
  <model type='ivshmem-plain'/>
  <size unit='M'>64</size>
</shmem>
# QEMU:
-device vhost-vsock-pci,guest-cid=7
-object memory-backend-file,id=vgpu,share=on,mem-path=/dev/shm/vgpu-abc123,size=67108864
-device ivshmem-plain,memdev=vgpu
"""


def examine(host, env=None):
    """Exit status, and the findings as (level, area, text)."""
    done = host.call("doctor", "--json", env=env)
    findings = json.loads(done.stdout)["findings"]
    return done.returncode, [(one["level"], one["area"], one["text"]) for one in findings]


def expect_finding(checks, host, level, area, words, env=None):
    status, findings = examine(host, env)
    found = [text for one, of, text in findings if (one, of) == (level, area) and words in text]
    listing = "\n".join(" ".join(one) for one in findings)
    checks.check(found, f"no {level} of {area} says {words!r}:\n{listing}")
    if level == "fault":
        checks.equal(status, 1, f"exit status with a fault of {area}")


def faults(host, env=None):
    return [one for one in examine(host, env)[1] if one[0] == "fault"]


@contextlib.contextmanager
def daemon(host):
    with open(host.root / "vgpud.log", "wb") as log:
        process = subprocess.Popen([VGPUD], env=host.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not (host.run_dir / "guests/abc123.sock").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(60)


def check_before_anything(checks, host):
    before = sorted(host.root.rglob("*"))
    status, findings = examine(host)
    checks.equal(status, 1, "exit status without a daemon")
    checks.check(("warning", "database", f"there is no {host.database} yet; run: vgpu-admin scan-gpus") in findings,
                 f"no database yet: {findings}")
    checks.equal(sorted(host.root.rglob("*")), before, "doctor makes nothing")


def check_well(checks, host):
    host.expect("scan-gpus")
    host.expect("assign-gpu --gpu-id=0 --pool=A")
    host.expect("assign-gpu --gpu-id=1 --pool=B")
    host.expect("register-vm --vm-uuid=abc123 --pool=A --priority=high")
    with daemon(host):
        done = host.call("doctor")
        log = (host.root / "vgpud.log").read_text()
        checks.equal((done.returncode, done.stderr), (0, b""), f"a well host:\n{done.stdout.decode()}\n{log}")
        lines = done.stdout.decode().splitlines()
        checks.check(all(line.startswith(("ok ", "warning ")) for line in lines), "\n".join(lines))
        checks.check(any("1 of 1 sockets of VMs are as they should be" in line for line in lines), "\n".join(lines))
        checks.check(any("vgpud runs (version " in line for line in lines), "\n".join(lines))
        socket = host.run_dir / "guests/abc123.sock"
        socket.chmod(0o666)
        expect_finding(checks, host, "warning", "sockets", "has mode 0666")
        socket.chmod(0o660)
        socket.rename(host.root / "elsewhere")
        expect_finding(checks, host, "fault", "sockets", "guests/abc123.sock (VM VM-1): No such file")
        (host.root / "elsewhere").rename(socket)
        checks.equal(faults(host), [], "faults after it is put right")
        expect_finding(checks, host, "fault", "daemon", "vgpud uses the simulated driver, the settings say nvidia",
                       env={"VGPU_DRIVER": "nvidia"})
    expect_finding(checks, host, "fault", "daemon", "no daemon is running")


def check_configuration(checks, host):
    path = host.root / "vgpu.conf"
    env = {"VGPU_CONFIG": str(path)}
    for text, level, area, words in [
        ("quantum = soon\n", "fault", "configuration", f"{path}:1: quantum: 'soon'"),
        ("quantun = 20ms\n", "fault", "configuration", "did you mean 'quantum'"),
        ("quantum = 5s\n", "warning", "configuration", "quantum (5s) is longer than ageing (2s)"),
        ("min_hold = 1s\n", "warning", "configuration", "min_hold (1s) is longer than quantum (20ms)"),
        ("drain_timeout = 1ms\n", "warning", "configuration", "is longer than drain_timeout (1ms)"),
        ("max_guests = 10\n", "warning", "configuration", "max_guests_per_vm (64) is more than max_guests (10)"),
        ("guest_socket_mode = 0666\n", "warning", "configuration", "lets every user of this host be any VM"),
        ("guest_socket_mode = 0440\n", "warning", "configuration", "lets nobody but root open"),
        ("guest_socket_owner = nobody-here\n", "fault", "configuration", "there is no user 'nobody-here'"),
        ("guest_socket_owner = root:nobody-here\n", "fault", "configuration", "there is no group 'nobody-here'"),
        ("metrics_address = 0.0.0.0:9877\n", "warning", "configuration", "who reaches 0.0.0.0:9877 reads"),
        ("time_limit = 10us\n", "fault", "configuration", "time_limit: 10us is out of range"),
        ("listen_tcp = 0.0.0.0:7000=abc123\n", "warning", "configuration", "who reaches 0.0.0.0:7000=abc123 is"),
    ]:
        path.write_text(text)
        path.chmod(0o644)
        expect_finding(checks, host, level, area, words, env=env)
    path.write_text("quantum = 30ms\n")
    path.chmod(0o666)
    expect_finding(checks, host, "fault", "configuration", f"run: chmod o-w {path}", env=env)
    path.chmod(0o644)
    expect_finding(checks, host, "ok", "configuration", "the settings fit together", env=env)
    expect_finding(checks, host, "fault", "configuration", "nowhere.conf", env={"VGPU_CONFIG": "/nowhere.conf"})


def check_files(checks, host):
    folder = host.root / "guest"
    folder.mkdir()
    env = {"VGPU_GUEST_DIR": str(folder)}
    expect_finding(checks, host, "fault", "files", "cannot be read", env=env)
    (folder / "libcuda.so.1").write_text("not a library")
    expect_finding(checks, host, "fault", "files", "is not of vgpu", env=env)
    (folder / "libcuda.so.1").write_bytes(b"\0vgpu release: 0.0.1\0more")
    expect_finding(checks, host, "fault", "files", "is of version 0.0.1", env=env)
    (folder / "libcuda.so.1").write_bytes(b"\0vgpu release: 9")  # cut off
    expect_finding(checks, host, "fault", "files", "is of version 9", env=env)
    expect_finding(checks, host, "fault", "files", "vgpu-worker", env={"VGPU_WORKER": "/nowhere/vgpu-worker"})


def check_driver(checks, host):
    if not Path("/dev/nvidiactl").exists():
        expect_finding(checks, host, "fault", "driver", "no NVIDIA kernel module is loaded",
                       env={"VGPU_DRIVER": "nvidia"})
        expect_finding(checks, host, "warning", "driver", "no GPU driver is loaded, so programs run on the CPU",
                       env={"VGPU_DRIVER": ""})
    expect_finding(checks, host, "ok", "driver", "simulated, as VGPU_DRIVER says")
    expect_finding(checks, host, "fault", "driver", "simulated driver", env={"VGPU_SIMULATED_DIR": "/nowhere"})
    expect_finding(checks, host, "fault", "gpus", "GPU 1 (NVIDIA H100 80GB PCIe) is offline",
                   env={"VGPU_SIM_HIDE": "1"})
    host.expect("unassign-gpu --gpu-id=1")
    expect_finding(checks, host, "warning", "gpus", "run: vgpu-admin assign-gpu --gpu-id=1 --pool=A")
    host.expect("assign-gpu --gpu-id=0 --pool=B")
    expect_finding(checks, host, "fault", "gpus", "pool A has 1 VM(s) and no GPU")
    host.expect("assign-gpu --gpu-id=0 --pool=A")
    host.expect("assign-gpu --gpu-id=1 --pool=B")


def check_database(checks, host):
    host.database.chmod(0o666)
    expect_finding(checks, host, "fault", "database", f"run: chmod o-w {host.database}")
    host.database.chmod(0o640)
    host.state.chmod(0o777)
    expect_finding(checks, host, "fault", "database", f"run: chmod o-w {host.state}")
    host.state.chmod(0o750)
    saved = host.root / "saved.db"
    shutil.copy(host.database, saved)
    with contextlib.closing(sqlite3.connect(host.database)) as connection, connection:
        connection.execute("PRAGMA user_version = 9999")
    expect_finding(checks, host, "fault", "database", "newer")
    shutil.copy(saved, host.database)
    with contextlib.closing(sqlite3.connect(host.database)) as connection, connection:
        connection.execute("UPDATE vms SET gpu_id = 77")
    expect_finding(checks, host, "fault", "database", "is damaged (a row of vms refers to one of gpus")
    for beside in host.state.glob("vgpu.db-*"):
        beside.unlink()
    host.database.write_bytes(b"This is no database. " * 400)
    expect_finding(checks, host, "fault", "database", "is damaged or no database")
    shutil.copy(saved, host.database)
    expect_finding(checks, host, "ok", "database", "is whole; it knows 2 GPU(s) and 1 VM(s)")


def check_sockets(checks, host):
    deep = host.root / ("d" * 100)
    deep.mkdir()
    expect_finding(checks, host, "fault", "sockets", "set a shorter run_dir", env={"VGPU_RUN_DIR": str(deep)})
    expect_finding(checks, host, "warning", "sockets", "vgpud makes it when it starts",
                   env={"VGPU_RUN_DIR": str(host.root / "nowhere")})
    host.run_dir.chmod(0o777)
    expect_finding(checks, host, "fault", "sockets", f"every user may write in {host.run_dir}")
    host.run_dir.chmod(0o755)


def check_virtual_machines(checks, host):
    host.expect("update-vm --vm-uuid=abc123 --vsock-cid=7")
    expect_finding(checks, host, "warning", "vsock", "set listen_vsock_port")
    if not os.path.exists("/dev/vsock"):
        expect_finding(checks, host, "fault", "vsock", "run: modprobe vsock", env={"VGPU_LISTEN_VSOCK_PORT": "7000"})
    expect_finding(checks, host, "ok", "windows", "not used")
    expect_finding(checks, host, "fault", "windows", "name a folder on a tmpfs",
                   env={"VGPU_WINDOW_SIZE": "1G", "VGPU_WINDOW_DIR": "/proc"})
    expect_finding(checks, host, "fault", "windows", "/nowhere: No such file",
                   env={"VGPU_WINDOW_SIZE": "1G", "VGPU_WINDOW_DIR": "/nowhere"})
    expect_finding(checks, host, "warning", "windows", "leaves none to others", env={"VGPU_WINDOW_SIZE": "1T"})
    expect_finding(checks, host, "warning", "windows", "no way to vgpud", env={"VGPU_WINDOW_SIZE": "64M"})
    host.env["VGPU_WINDOW_SIZE"], host.env["VGPU_LISTEN_VSOCK_PORT"] = "64M", "0"
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        host.env["VGPU_WINDOW_DIR"] = folder
        with daemon(host):
            expect_finding(checks, host, "ok", "windows", "1 VM(s) have one, of 64 MiB")
            checks.check(f"Window: {folder}/vgpu-abc123, 64 MiB" in host.expect("show-vm --vm-uuid=abc123"), "show-vm")
            (shown,) = json.loads(host.expect("show-vm --vm-uuid=abc123 --json"))["vms"]
            checks.equal(shown["window"], {"path": f"{folder}/vgpu-abc123", "bytes": 64 << 20}, "show-vm --json")
            checks.equal(host.expect("show-devices --vm-uuid=abc123"), DEVICES.format(folder=folder), "show-devices")
            os.unlink(f"{folder}/vgpu-abc123")
            expect_finding(checks, host, "fault", "windows", f"has no window {folder}/vgpu-abc123")
    host.env["VGPU_WINDOW_DIR"] = "/dev/shm"
    checks.equal(host.expect("show-devices --vm-uuid=abc123"), DEVICES_OF_BOTH, "show-devices in /dev/shm")
    host.env["VGPU_WINDOW_SIZE"] = "0"
    host.expect("register-vm --vm-uuid=bare --pool=A --priority=low")
    shown = host.expect("show-devices --vm-uuid=bare")
    host.expect("remove-vm --vm-uuid=bare")
    checks.check(shown.startswith("# no device: it has no vsock CID"), f"show-devices without any: {shown}")
    for name in ("VGPU_WINDOW_SIZE", "VGPU_WINDOW_DIR", "VGPU_LISTEN_VSOCK_PORT"):
        del host.env[name]
    expect_finding(checks, host, "ok", "hypervisors", "none is asked (hypervisor_uris is none)")
    if libvirt_is_here():
        expect_finding(checks, host, "ok", "hypervisors", "test:///default answers: 1 VM(s)",
                       env={"VGPU_HYPERVISOR_URIS": "test:///default"})
    else:
        checks.skipped.append("a hypervisor that answers: libvirt is not here")
    expect_finding(checks, host, "warning", "hypervisors", "test:///nowhere: ",
                   env={"VGPU_HYPERVISOR_URIS": "test:///nowhere"})
    expect_finding(checks, host, "fault", "hypervisors", "'vmware' names no hypervisor",
                   env={"VGPU_HYPERVISOR_URIS": "vmware"})


def main():
    checks = Checks()
    with Host(sys.argv[1]) as host:
        check_before_anything(checks, host)
        check_well(checks, host)
        check_configuration(checks, host)
        check_files(checks, host)
        check_driver(checks, host)
        check_database(checks, host)
        check_sockets(checks, host)
        check_virtual_machines(checks, host)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
