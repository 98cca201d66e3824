#!/usr/bin/python3
"""The guest's libnvidia-ml.so.1: what programs in a VM are told of their GPU, and what hostile ones get.

    test_nvml.py --build=DIR --table=src/cuda/nvml.tbl"""

import argparse
import ctypes
import pathlib
import socket
import struct
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent.parent / "gpu"))
from testbed import PATIENCE_S, Host, Installation, wait_until  # noqa: E402

SUCCESS, UNINITIALIZED, INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, _, NOT_FOUND, INSUFFICIENT_SIZE = range(8)
DRIVER_NOT_LOADED, GPU_IS_LOST, VERSION_MISMATCH = 9, 15, 25
MIB = 1 << 20

# What runs in the guest: asks, and prints what it was told, one `name = value` a line.
ASK = r"""
import ctypes, os, sys
nvml = ctypes.CDLL("libnvidia-ml.so.1")
device = ctypes.c_void_p()

def ask(name, *arguments):
    return getattr(nvml, name)(*arguments)

def number(name, *arguments, kind=ctypes.c_uint):
    value = kind()
    result = ask(name, device, *arguments, ctypes.byref(value))
    return value.value if result == 0 else f"error {result}"

def text(name, *arguments, bytes=96):
    value = ctypes.create_string_buffer(bytes)
    result = ask(name, *arguments, value, bytes)
    return value.value.decode() if result == 0 else f"error {result}"

def say(name, value):
    print(f"{name} = {value}", flush=True)

class Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]

class Process(ctypes.Structure):
    _fields_ = [("pid", ctypes.c_uint), ("memory", ctypes.c_ulonglong), ("gi", ctypes.c_uint), ("ci", ctypes.c_uint)]

def memory():
    value = Memory()
    result = ask("nvmlDeviceGetMemoryInfo", device, ctypes.byref(value))
    return value if result == 0 else f"error {result}"

def processes():
    count = ctypes.c_uint(32)
    infos = (Process * 32)()
    result = ask("nvmlDeviceGetComputeRunningProcesses_v3", device, ctypes.byref(count), infos)
    return sorted((p.pid, p.memory) for p in infos[:count.value]) if result == 0 else f"error {result}"

def begin():
    say("init", ask("nvmlInit_v2"))
    count = ctypes.c_uint(99)
    say("count result", ask("nvmlDeviceGetCount_v2", ctypes.byref(count)))
    say("count", count.value)
    say("handle", ask("nvmlDeviceGetHandleByIndex_v2", 0, ctypes.byref(device)))

def use_gpu(bytes):
    cuda = ctypes.CDLL("libcuda.so.1")
    context, address = ctypes.c_void_p(), ctypes.c_uint64()
    results = [cuda.cuInit(0), cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0), cuda.cuCtxSetCurrent(context),
               cuda.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(bytes))]
    say("allocated", results)
    return cuda
"""


class Wrong(Exception):
    pass


def require(condition, what):
    if not condition:
        raise Wrong(what)


def guest(host, uuid, program, **environment):
    """Runs the program in the VM: a dictionary of what it has said, and its stderr."""
    process = host.start_guest(uuid, sys.executable, "-c", ASK + program, environment=environment)
    output, errors = process.communicate(timeout=PATIENCE_S)
    require(process.returncode == 0, f"the guest ended with {process.returncode}: {errors}")
    return dict(line.split(" = ", 1) for line in output.splitlines()), errors


def host_side(host, program):
    """The same program on the host, with the driver's own NVML."""
    environment = dict(host.environment, LD_LIBRARY_PATH=host.installation.folder("simulated"))
    done = subprocess.run([sys.executable, "-c", ASK + program], env=environment, capture_output=True, text=True,
                          timeout=PATIENCE_S, check=True)
    return dict(line.split(" = ", 1) for line in done.stdout.splitlines())


# NCCL begins with this; 5 is what a real GPU says of itself.
REACH = """
reach = ctypes.c_uint(99)
say("reach", (ask("nvmlDeviceGetP2PStatus", device, device, 0, ctypes.byref(reach)), reach.value))
"""

IDENTITY = """
begin()
say("name", text("nvmlDeviceGetName", device))
say("uuid", text("nvmlDeviceGetUUID", device))
say("serial", text("nvmlDeviceGetSerial", device, bytes=30))
say("vbios", text("nvmlDeviceGetVbiosVersion", device, bytes=32))
say("driver", text("nvmlSystemGetDriverVersion", bytes=80))
say("nvml", text("nvmlSystemGetNVMLVersion", bytes=80))
say("cuda", [ask("nvmlSystemGetCudaDriverVersion_v2", ctypes.byref(ctypes.c_int()))])
say("index", number("nvmlDeviceGetIndex"))
for name in ("BusWidth MemoryBusWidth", "cores NumGpuCores", "power limit PowerManagementLimit", "fan FanSpeed",
             "compute mode ComputeMode", "lanes MaxPcieLinkWidth"):
    words = name.split()
    say(" ".join(words[:-1]), number("nvmlDeviceGet" + words[-1]))
for clock in range(4):
    say(f"max clock {clock}", number("nvmlDeviceGetMaxClockInfo", clock))
say("no such clock", number("nvmlDeviceGetMaxClockInfo", 77))
current, pending = ctypes.c_uint(), ctypes.c_uint()
say("ecc", (ask("nvmlDeviceGetEccMode", device, ctypes.byref(current), ctypes.byref(pending)), current.value, pending.value))
class Pci(ctypes.Structure):
    _fields_ = [("legacy", ctypes.c_char * 16), ("numbers", ctypes.c_uint * 5), ("bus_id", ctypes.c_char * 32)]
pci = Pci()
say("pci", (ask("nvmlDeviceGetPciInfo_v3", device, ctypes.byref(pci)), pci.legacy, list(pci.numbers), pci.bus_id))
for name, value in (("nvmlDeviceGetHandleByUUID", text("nvmlDeviceGetUUID", device).encode()),
                    ("nvmlDeviceGetHandleByPciBusId_v2", pci.bus_id), ("nvmlDeviceGetHandleByPciBusId_v2", pci.legacy),
                    ("nvmlDeviceGetHandleByUUID", b"GPU-00000000-dead-beef-0000-000000000000"),
                    ("nvmlDeviceGetHandleByPciBusId_v2", b"0000:fe:1f.0")):
    again = ctypes.c_void_p()
    say(f"{name}({value.decode()})", (ask(name, value, ctypes.byref(again)), again.value == device.value))
short = ctypes.create_string_buffer(4)
say("short buffer", ask("nvmlDeviceGetName", device, short, 4))
"""


def the_gpu_is_the_hosts(host):
    seen, _ = guest(host, "one", IDENTITY + REACH)
    real = host_side(host, IDENTITY)
    require(seen["init"] == "0" and seen["count"] == "1" and seen["index"] == "0", seen)
    require(seen["reach"] == "(0, 5)", seen["reach"])
    differing = {name: (seen.get(name), value) for name, value in real.items() if name != "count" and seen.get(name) != value}
    require(not differing, f"(guest, host): {differing}")


def values_are_the_vms(host):
    """Memory is the VM's; processes are its own, as it numbers them itself."""
    program = f"""
begin()
whole = memory().total
cuda = use_gpu({64 * MIB})
import time
time.sleep(0.15)
say("memory", (memory().total, memory().used))
say("processes", processes())
say("pid", os.getpid())
say("name", text("nvmlSystemGetProcessName", os.getpid(), bytes=256))
count = ctypes.c_uint(0)
say("count only", (ask("nvmlDeviceGetComputeRunningProcesses_v3", device, ctypes.byref(count), None), count.value))
say("temperature", number("nvmlDeviceGetTemperature", 0))
print("waits", "= yes", flush=True)
sys.stdin.readline()
"""
    first = host.start_guest("one", sys.executable, "-c", ASK + program)
    lines = []
    while not lines or not lines[-1].startswith("waits"):
        lines.append(first.stdout.readline())
        require(lines[-1], f"the guest has ended: {lines} {first.stderr.read() if first.poll() is not None else ''}")
    said = dict(line.rstrip("\n").split(" = ", 1) for line in lines)
    require(said["allocated"] == "[0, 0, 0, 0]", said)
    require(said["processes"] == f"[({said['pid']}, {64 * MIB})]", said)
    require("python" in said["name"], said)
    require(said["count only"] == f"({INSUFFICIENT_SIZE}, 1)", said)
    other, _ = guest(host, "two", "begin()\nsay('processes', processes())\nsay('total', memory().total)")
    require(other["processes"] == "[]", f"another VM sees {other['processes']}")
    first.kill()
    first.wait()


def the_quota_is_the_memory(host):
    host.admin("set-limits", "--vm-uuid=two", "--memory=1G")
    require(host.reload(), "vgpud does not answer")
    said, _ = guest(host, "two", f"""
begin()
cuda = use_gpu({256 * MIB})
import time
time.sleep(0.15)
m = memory()
say("memory", (m.total, m.used, m.free))
""")
    require(said["memory"] == str((1024 * MIB, 256 * MIB, 768 * MIB)), said)


def nothing_can_be_changed(host):
    said, _ = guest(host, "one", """
begin()
for name in ("nvmlDeviceSetPersistenceMode", "nvmlDeviceSetComputeMode", "nvmlDeviceSetPowerManagementLimit",
             "nvmlDeviceSetEccMode", "nvmlDeviceSetMigMode", "nvmlDeviceResetGpuLockedClocks", "nvmlDeviceRemoveGpu",
             "nvmlDeviceSetGpuLockedClocks", "nvmlDeviceClearEccErrorCounts"):
    say(name, ask(name, device, 1, 1))
""")
    wrong = {name: result for name, result in said.items() if name.startswith("nvmlDevice") and result != str(NO_PERMISSION)}
    require(not wrong, wrong)


def every_function_is_there(host, table):
    names = [line.split()[0] for line in open(table, encoding="utf-8") if " : " in line and not line.startswith("#")]
    require(len(names) > 400, "the table is not read")
    said, errors = guest(host, "one", f"""
names = {names!r}
say("missing", [name for name in names if not hasattr(nvml, name)])
say("before init", sorted({{ask(name, None, None, None, None, None) for name in {absent(table)!r}}}))
ask("nvmlInit_v2")
say("after init", sorted({{ask(name, 1, 1, 1, 1, 1) for name in {absent(table)!r}}}))
ask("nvmlShutdown")
say("after shutdown", ask("nvmlShutdown"))
""")
    require(said["missing"] == "[]", said["missing"])
    require(said["before init"] == f"[{UNINITIALIZED}]" and said["after shutdown"] == str(UNINITIALIZED), said)
    require(said["after init"] == f"[{NOT_SUPPORTED}, {NO_PERMISSION}]", said)
    require(not errors, f"without VGPU_DEBUG it says: {errors}")


def absent(table):
    return [line.split()[0] for line in open(table, encoding="utf-8") if line.endswith((" : none\n", " : refused\n"))]


def wrong_arguments_are_refused(host):
    said, _ = guest(host, "one", """
begin()
value = ctypes.c_uint(7)
say("no place", ask("nvmlDeviceGetTemperature", device, 0, None))
say("no device", ask("nvmlDeviceGetTemperature", None, 0, ctypes.byref(value)))
say("other device", ask("nvmlDeviceGetTemperature", ctypes.c_void_p(4096), 0, ctypes.byref(value)))
say("untouched", value.value)
versioned = (ctypes.c_uint * 16)()
say("version", ask("nvmlDeviceGetMemoryInfo_v2", device, versioned))
say("version of a fact", ask("nvmlDeviceGetCapabilities", device, versioned))
say("second", ask("nvmlDeviceGetHandleByIndex_v2", 1, ctypes.byref(ctypes.c_void_p())))
""")
    expected = {"no place": INVALID_ARGUMENT, "no device": INVALID_ARGUMENT, "other device": INVALID_ARGUMENT,
                "untouched": 7, "version": VERSION_MISMATCH, "version of a fact": VERSION_MISMATCH,
                "second": INVALID_ARGUMENT}
    wrong = {name: said[name] for name, value in expected.items() if said[name] != str(value)}
    require(not wrong, wrong)


def a_vm_without_a_gpu_counts_none(host):
    host.admin("register-vm", "--vm-uuid=none", "--pool=B", "--priority=low")
    require(host.reload(), "vgpud does not answer")
    said, _ = guest(host, "none", "begin()")
    require((said["init"], said["count result"], said["count"], said["handle"]) ==
            ("0", "0", "0", str(INVALID_ARGUMENT)), said)


def a_child_asks_for_itself(host):
    said, _ = guest(host, "one", """
begin()
child = os.fork()
if child == 0:
    os._exit(0 if isinstance(number("nvmlDeviceGetTemperature", 0), int) else 1)
say("child", os.waitpid(child, 0)[1])
say("parent", isinstance(number("nvmlDeviceGetTemperature", 0), int))
""")
    require(said["child"] == "0" and said["parent"] == "True", said)


def a_daemon_that_comes_back_is_found(host):
    process = host.start_guest("one", sys.executable, "-c", ASK + """
begin()
say("before", number("nvmlDeviceGetTemperature", 0))
sys.stdin = open(0)
import time
while isinstance(number("nvmlDeviceGetTemperature", 0), int):
    time.sleep(0.02)
say("without", number("nvmlDeviceGetTemperature", 0))
while not isinstance(number("nvmlDeviceGetTemperature", 0), int):
    time.sleep(0.02)
say("after", number("nvmlDeviceGetTemperature", 0))
""")
    while not process.stdout.readline().startswith("before"):
        require(process.poll() is None, "the guest has ended")
    host.stop_daemon()
    line = process.stdout.readline()
    require(line.startswith("without = error"), line)
    host.start_daemon()
    output, errors = process.communicate(timeout=PATIENCE_S)
    require(output.startswith("after = ") and process.returncode == 0, output + errors)


def no_worker_is_started(host):
    wait_until(lambda: not host.workers(), "the end of the workers before")
    said, _ = guest(host, "one", "begin()\nsay('workers', open('/proc/self/status').read().count('x'))")
    require(said["init"] == "0" and not host.workers(), host.workers())
    require("guest process" not in host.log()[-200:] or not host.workers(), host.log()[-400:])


# ---- Guests that mean harm ----

def connect(host, uuid):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE_S)
    client.connect(str(host.folder / "run" / "guests" / f"{uuid}.sock"))
    return client


def answered(host):
    said, _ = guest(host, "two", "begin()")
    return said["init"] == "0"


def ended(client):
    try:
        return client.recv(1 << 20) == b""
    except ConnectionResetError:
        return True


def garbage_ends_the_connection(host):
    for bytes_sent in (b"N" * 8, b"N" * 100000, b"NVMLxxxx"[:8] * 1000):
        with connect(host, "one") as client:
            try:
                client.sendall(bytes_sent)
            except (BrokenPipeError, ConnectionResetError):
                pass
            if bytes_sent.startswith(b"NVML"):
                status = struct.unpack("<II", client.recv(8))[1]
                require(status == 2, f"a question of another table is answered with {status}")
            else:
                require(ended(client), "garbage is not the end of the connection")
    require(answered(host), "another VM is not answered")


def who_asks_without_end_is_slowed_down(host):
    """Questions sent all at once are answered one by one, 20 ms apart at least."""
    layout = layout_of(host)
    with connect(host, "one") as client:
        client.sendall(struct.pack("<II", 0x4C4D564E, layout) * 20)
        start = time.monotonic()
        got = 0
        size = None
        while size is None or got < 6 * size:
            got += len(client.recv(1 << 20))
            size = size or got
        require(time.monotonic() - start >= 0.08, f"six answers took {time.monotonic() - start} s")
    require(answered(host), "another VM is not answered")


def layout_of(host):
    """As the library has it: what it sends first."""
    with socket.socket(socket.AF_UNIX) as server:
        path = str(host.folder / "listener")
        server.bind(path)
        server.listen(1)
        environment = dict(host.environment, VGPU_SERVER=f"unix:{path}",
                           LD_LIBRARY_PATH=host.installation.folder("guest"))
        with subprocess.Popen([sys.executable, "-c", "import ctypes; ctypes.CDLL('libnvidia-ml.so.1').nvmlInit_v2()"],
                              env=environment, stderr=subprocess.DEVNULL) as program:
            client = server.accept()[0]
            magic, layout = struct.unpack("<II", client.recv(8))
            client.close()
            program.wait(PATIENCE_S)
    require(magic == 0x4C4D564E, hex(magic))
    return layout


def crowds_are_kept_out(host):
    """Connections that say nothing, and those that ask nothing more, are bounded; and their VM is served again."""
    silent = [connect(host, "one") for _ in range(100)]
    asking = []
    for _ in range(90):
        client = connect(host, "one")
        client.sendall(b"N")
        asking.append(client)
    require(answered(host), "another VM is not answered")
    for client in silent + asking:
        client.close()
    wait_until(lambda: guest(host, "one", "begin()")[0]["init"] == "0", "an answer to the crowd's VM")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--table", required=True)
    arguments = parser.parse_args()
    failures = 0
    with Host(Installation(arguments.build), "simulated") as host:
        host.set_up([("one", "A", "medium"), ("two", "A", "low")])
        for test in (the_gpu_is_the_hosts, values_are_the_vms, the_quota_is_the_memory, nothing_can_be_changed,
                     wrong_arguments_are_refused, a_vm_without_a_gpu_counts_none, a_child_asks_for_itself,
                     no_worker_is_started, garbage_ends_the_connection, who_asks_without_end_is_slowed_down,
                     crowds_are_kept_out, a_daemon_that_comes_back_is_found, every_function_is_there):
            try:
                test(host, arguments.table) if test is every_function_is_there else test(host)
                print(f"ok      {test.__name__}")
            except Exception:  # whatever is wrong with one, the others are run
                failures += 1
                print(f"FAILED  {test.__name__}\n{traceback.format_exc()}\n{host.log()[-1500:]}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
