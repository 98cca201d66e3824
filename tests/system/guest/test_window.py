#!/usr/bin/python3
"""Windows: memory that a virtual machine shares with the host as a device. Here a file stands in for the device, and the
guests come over TCP, as from another machine.

    test_window.py BUILD [SCENARIO...]"""

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "gpu"))
from testbed import PATIENCE_S, Host, Installation, TestbedError, wait_until  # noqa: E402

VM, OTHER = "windowed", "neighbour"
MIB = 1 << 20
OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY

# A program of the tenant's that does what the lines on its stdin say, with the functions below, and answers each.
GUEST = """
import ctypes, os, sys, time
cuda = ctypes.CDLL("libcuda.so.1")
kept = []

def start():
    context = ctypes.c_void_p()
    return [cuda.cuInit(0), cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0), cuda.cuCtxSetCurrent(context)]

def pin(mib):
    memory = ctypes.c_void_p()
    result = cuda.cuMemHostAlloc(ctypes.byref(memory), ctypes.c_size_t(mib << 20), 0)
    if result == 0:
        kept.append(memory)
        ctypes.memset(memory, 7, mib << 20)
    return result

def is_zero(mib):
    memory = ctypes.c_void_p()
    assert cuda.cuMemHostAlloc(ctypes.byref(memory), ctypes.c_size_t(mib << 20), 0) == 0
    kept.append(memory)
    return ctypes.string_at(memory, mib << 20).count(0) == mib << 20

def unpin():
    return cuda.cuMemFreeHost(kept.pop())

def register(mib):
    kept.append((ctypes.c_char * ((mib << 20) + 4096))())
    kept[-1][:] = b"r" * len(kept[-1])
    return cuda.cuMemHostRegister_v2(kept[-1], ctypes.c_size_t(mib << 20), 0)

def unregister():
    return cuda.cuMemHostUnregister(kept[-1])

def is_registered_text():
    return kept[-1].raw == b"r" * len(kept[-1])

def holds():
    return ctypes.string_at(kept[-1], 4096) == bytes([7]) * 4096

def leave_child(answer):
    if os.fork() == 0:
        os.close(0)
        while not os.path.exists(answer + ".asked"):
            time.sleep(0.02)
        with open(answer + ".new", "w") as file:
            file.write(repr(is_registered_text()))
        os.rename(answer + ".new", answer)
        os._exit(0)

def storm():
    device, words = ctypes.c_uint64(), (ctypes.c_uint32 * 16384)()
    if cuda.cuMemAlloc_v2(ctypes.byref(device), ctypes.c_size_t(65536)) != 0:
        return
    print("None", flush=True)
    while cuda.cuMemcpyHtoDAsync_v2(device, words, ctypes.c_size_t(65536), None) == 0:
        cuda.cuMemsetD32Async(device, 1, ctypes.c_size_t(16384), None)
    return "over"

def write():
    ctypes.memset(kept[-1], 9, 1 << 20)

def copies():
    device, words = ctypes.c_uint64(), (ctypes.c_uint32 * 65536)(*range(65536))
    back = (ctypes.c_uint32 * 65536)()
    results = [cuda.cuMemAlloc_v2(ctypes.byref(device), ctypes.c_size_t(262144)),
               cuda.cuMemcpyHtoD_v2(device, words, ctypes.c_size_t(262144)),
               cuda.cuMemcpyDtoH_v2(back, device, ctypes.c_size_t(262144)),
               cuda.cuMemFree_v2(device)]
    return results == [0, 0, 0, 0] and list(back) == list(words)

def is_in_window():
    return "/vgpu-windowed" in open("/proc/self/maps").read()

for line in sys.stdin:
    print(repr(eval(line)), flush=True)
"""


class Guest:
    """Such a program, as a VM."""

    def __init__(self, host, environment):
        self.process = subprocess.Popen(
            [sys.executable, "-c", GUEST], env={**host.environment, **environment}, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        host.guests.append(self.process)
        require(self.says("start()") == [0, 0, 0], "a guest cannot start")

    def says(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise TestbedError(f"{line}: the guest has ended: {self.process.stderr.read()}")
        return eval(answer)  # what our own program printed

    def leave(self):
        self.process.stdin.close()
        return self.process.wait(PATIENCE_S)


def require(good, what):
    if not good:
        raise TestbedError(what)


def memory_of(host):
    """Bytes of the VM's window that take memory."""
    return os.stat(host.window_path(VM)).st_blocks * 512


def is_empty(host):
    return memory_of(host) <= 64 << 10  # the heads


@contextlib.contextmanager
def windowed_host(size="256M", **changes):
    host = Host(INSTALLATION, "simulated", far_vms=[VM], window_size=size)
    host.environment.update(changes)
    with host:
        host.set_up([(VM, "A", "medium"), (OTHER, "A", "medium")])
        yield host
        host.stop_daemon()
        require("Sanitizer" not in host.log() and "runtime error" not in host.log(), f"a sanitizer's report:\n{host.log()}")


def guest_in(host, **changes):
    return Guest(host, {**host.far_environment(VM, window=True), **changes})


# --- scenarios


def memory_goes_back():
    """What a process had in the window is the host's again: freed, after its end, and when it is killed."""
    with windowed_host() as host:
        require(is_empty(host), "a new window is not empty")
        guest = guest_in(host)
        require(guest.says("is_in_window()"), "the guest has nothing in its window")
        require(guest.says("pin(64)") == 0 and memory_of(host) > 64 * MIB, "pinned memory is not in the window")
        require(guest.says("copies()"), "copies came back wrong")
        require(guest.says("unpin()") == 0, "the memory cannot be freed")
        require(memory_of(host) < 32 * MIB, "freed memory is still there")
        require(guest.says("pin(32)") == 0, "memory cannot be pinned again")
        require(guest.leave() == 0, "the guest has failed")
        wait_until(lambda: is_empty(host), "the end of the memory of one that left")
        killed = guest_in(host)
        require(killed.says("pin(64)") == 0, "memory cannot be pinned after another one's end")
        killed.process.kill()
        wait_until(lambda: is_empty(host), "the end of the memory of one killed")


def new_memory_is_zero():
    """Nobody sees what another process had, whichever way that went."""
    with windowed_host() as host:
        first = guest_in(host)
        for _ in range(20):
            require(first.says("pin(8)") == 0, "memory cannot be pinned")
        require(guest_in(host).says("is_zero(32)"), "new memory is not zero")
        first.process.kill()
        wait_until(lambda: memory_of(host) < 64 * MIB, "the end of the killed one's memory")
        require(guest_in(host).says("is_zero(160)"), "memory of a killed process holds what it did")


def survivor_keeps_its_memory():
    """A process whose worker is gone may still use its pinned memory; nobody else has it before it ends."""
    with windowed_host() as host:
        survivor = guest_in(host)
        require(survivor.says("pin(64)") == 0, "memory cannot be pinned")
        registrar = guest_in(host)
        require(registrar.says("register(16)") == 0, "memory cannot be registered")
        before = memory_of(host)
        for worker in host.workers():
            os.kill(worker, signal.SIGKILL)
        wait_until(lambda: survivor.says("cuda.cuCtxSynchronize()") != 0, "the survivor to notice")
        require(survivor.says("holds()"), "pinned memory has changed without a worker")
        wait_until(lambda: registrar.says("cuda.cuCtxSynchronize()") != 0, "the other survivor to notice")
        others = [guest_in(host) for _ in range(2)]
        for other in others:
            require(other.says("pin(32)") == 0, "another process cannot pin memory")
        survivor.says("write()")
        require(all(other.says("holds()") for other in others), "the survivor wrote into another process's memory")
        require(memory_of(host) >= before, "the survivor's memory is gone")
        require(registrar.says("is_registered_text()"), "registered memory has changed without a worker")
        host.stop_daemon()
        host.start_daemon()
        require(guest_in(host).says("pin(128)") == 0, "memory cannot be pinned after a restart")
        require(registrar.says("is_registered_text()"), "a program's own memory is another one's after a restart")
        require(registrar.leave() == 0 and survivor.leave() == 0, "a survivor has failed")


def forked_child_keeps_the_programs_memory():
    """Registered memory is the program's own: its child has it still when the program has gone."""
    with windowed_host() as host:
        parent, answer = guest_in(host), host.folder / "answer"
        require(parent.says("register(16)") == 0, "memory cannot be registered")
        parent.says(f"leave_child({str(answer)!r})")
        parent.process.kill()
        wait_until(lambda: is_empty(host), "the end of the parent's part of the window")
        require(guest_in(host).says("pin(128)") == 0, "memory cannot be pinned")
        pathlib.Path(f"{answer}.asked").touch()
        wait_until(answer.exists, "the child's answer")
        require(answer.read_text() == "True", "the child's memory is another program's")


def survivors_part_is_given_back():
    """When it ends."""
    with windowed_host() as host:
        survivor = guest_in(host)
        require(survivor.says("pin(64)") == 0, "memory cannot be pinned")
        os.kill(*host.workers(), signal.SIGKILL)
        wait_until(lambda: survivor.says("cuda.cuCtxSynchronize()") != 0, "the survivor to notice")
        require(memory_of(host) > 64 * MIB, "the survivor's memory is gone")
        survivor.leave()
        wait_until(lambda: is_empty(host), "the end of the survivor's memory")


def full_window():
    """Without room there is an error where memory is asked for, and a stream for who comes then."""
    with windowed_host("64M") as host:
        guest = guest_in(host)
        require(guest.says("pin(128)") == OUT_OF_MEMORY, "more than the window holds was pinned")
        require(guest.says("copies()"), "a refused allocation has broken the process")
        while guest.says("pin(1)") == 0:
            pass
        require(guest.says("copies()"), "a process with all of the window cannot copy")
        late = guest_in(host)
        require(late.says("copies()"), "a process that came to a full window cannot copy")
        guest.leave()
        wait_until(lambda: memory_of(host) < 8 * MIB, "room in the window")
        require(guest_in(host).says("is_in_window()"), "there is room, and it is not used")


def registered_memory_comes_back():
    """Registered memory lies in the window, and holds the same before, meanwhile and after."""
    with windowed_host() as host:
        guest = guest_in(host)
        require(guest.says("copies()"), "copies came back wrong")  # its staging area is there
        before = memory_of(host)
        for _ in range(3):
            require(guest.says("register(16)") == 0, "memory cannot be registered")
            require(memory_of(host) >= before + 16 * MIB, "registered memory is not in the window")
            require(guest.says("is_registered_text()"), "registering has changed the memory")
            require(guest.says("unregister()") == 0, "memory cannot be unregistered")
            require(guest.says("is_registered_text()"), "unregistering has changed the memory")
            require(memory_of(host) == before, "unregistered memory still takes some of the window")


def daemon_restarts():
    """The file stays the one that the hypervisor has mapped; guests that come later find their way."""
    with windowed_host() as host:
        inode = os.stat(host.window_path(VM)).st_ino
        old = guest_in(host)
        require(old.says("pin(8)") == 0, "memory cannot be pinned")
        with open(host.window_path(VM), "r+b") as window:  # the machine's own, where it has the window as an nvdimm
            window.seek(4096)
            window.write(b"namespace")
        host.stop_daemon()
        require(old.says("cuda.cuCtxSynchronize()") != 0, "a call succeeds without a daemon")
        old.leave()
        host.start_daemon()
        require(os.stat(host.window_path(VM)).st_ino == inode, "the window is another file now")
        with open(host.window_path(VM), "rb") as window:
            require(window.read(4096 + 9).endswith(b"namespace"), "what is the machine's own has gone")
        require(is_empty(host), "the window still holds what an earlier daemon's guests had")
        new = guest_in(host)
        require(new.says("copies()") and new.says("is_in_window()"), "a guest of the second daemon has no window")
        new.leave()


def only_its_own_window():
    """A device that is not this VM's window, or none at all, is of no use: the guest is served over its connection."""
    with windowed_host() as host:
        garbage, short = str(host.folder / "garbage"), str(host.folder / "short")
        pathlib.Path(garbage).write_bytes(b"\xff" * (1 << 20))
        with open(host.window_path(VM), "rb") as window:
            pathlib.Path(short).write_bytes(window.read(1 << 20))
        for path in (host.window_path(OTHER), garbage, short, "/nowhere", "/dev/null", "none"):
            guest = guest_in(host, VGPU_WINDOW=path)
            require(guest.says("copies()"), f"with {path}: copies came back wrong")
            require(not guest.says("is_in_window()"), f"with {path}: the guest uses it")
            guest.leave()
        require(is_empty(host), "something was taken from a window that nobody used")


def scribbled_over():
    """A process that writes all over its VM's window harms its VM, and nobody else."""
    with windowed_host() as host:
        neighbour = Guest(host, {"LD_LIBRARY_PATH": INSTALLATION.folder("guest"),
                                 "VGPU_SERVER": f"unix:{host.folder}/run/guests/{OTHER}.sock"})
        for seed in range(5):
            victim = guest_in(host)
            require(victim.says("pin(4)") == 0 and victim.says("copies()"), "a guest cannot work")
            victim.says("storm()")
            junk = bytes((i * 37 + seed * 101) & 0xFF for i in range(256)) * 4096
            with open(host.window_path(VM), "r+b") as window:
                for offset in range(4 << 20, 32 << 20, len(junk)):
                    window.seek(offset)
                    window.write(junk)
            require(neighbour.says("copies()"), "another VM's copies came back wrong")
            victim.process.kill()
            victim.process.wait()
        require(host.daemon.poll() is None, "vgpud has ended")
        wait_until(lambda: memory_of(host) < 64 * MIB, "the end of the memory")


def left_over():
    """The window of a VM that is removed while no daemon runs goes when the next one starts; nothing else does."""
    with windowed_host() as host:
        with open(host.window_path("stranger"), "wb") as stranger:
            stranger.write(b"not a window")
        host.stop_daemon()
        host.admin("remove-vm", f"--vm-uuid={VM}")
        require(os.path.exists(host.window_path(VM)), "the window has gone before")
        host.start_daemon()
        wait_until(lambda: not os.path.exists(host.window_path(VM)), "the end of the file")
        require(os.path.exists(host.window_path("stranger")), "another's file has gone")
        require(os.path.exists(host.window_path(OTHER)), "another VM's window has gone")


def unregistered():
    """The file goes with the VM, and comes with it."""
    with windowed_host() as host:
        guest = guest_in(host)
        require(guest.says("pin(8)") == 0, "memory cannot be pinned")
        host.admin("remove-vm", f"--vm-uuid={VM}")
        wait_until(lambda: not os.path.exists(host.window_path(VM)), "the end of the file")
        wait_until(lambda: guest.says("cuda.cuCtxSynchronize()") != 0, "the guest to notice")
        host.register(VM, "A", "medium")
        require(guest_in(host).says("is_in_window()"), "a VM registered again has no window")


def bad_settings():
    """Mistakes are named."""
    for size in ("3G", "1M", "100000000"):
        host = Host(INSTALLATION, "simulated", window_size=size)
        try:
            host.__enter__()
        except TestbedError as error:
            require("window_size" in str(error), f"window_size={size}: {error}")
        else:
            host.__exit__(None, None, None)
            raise TestbedError(f"window_size={size} is taken")


def file_of_somebody_else():
    """A file that another user could cut short is not used, and the VM is served all the same."""
    if os.geteuid() != 0:
        print("   (only as root)")
        return
    with windowed_host() as host:
        host.stop_daemon()
        os.chown(host.window_path(VM), 12345, -1)
        host.start_daemon()
        require("belongs to user 12345" in host.log(), "the log does not name the file's owner")
        require(guest_in(host).says("copies()"), "the VM is not served")


def hypervisors_own_file():
    """A file that belongs to the hypervisor's user, in a folder as /dev/shm, is found again by the next daemon."""
    if os.geteuid() != 0:
        print("   (only as root)")
        return
    with windowed_host(VGPU_GUEST_SOCKET_OWNER="12345:12345") as host:
        os.chmod(host.window_folder, 0o1777)
        require(os.stat(host.window_path(VM)).st_uid == 12345, "the file does not belong to guest_socket_owner")
        host.stop_daemon()
        host.start_daemon()
        guest = guest_in(host)
        require(guest.says("copies()") and guest.says("is_in_window()"), "the window is not used after a restart")
        guest.leave()


def host_without_memory():
    """A tmpfs that is full: an error where memory is asked for, and nobody dies of it."""
    with contextlib.ExitStack() as undo:
        folder = undo.enter_context(tempfile.TemporaryDirectory())
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16M", "tmpfs", folder], check=False).returncode != 0:
            print("   (only where tmpfs can be mounted)")
            return
        undo.callback(subprocess.run, ["umount", "--lazy", folder], check=False)
        with windowed_host(VGPU_WINDOW_DIR=folder) as host:
            host.window_folder, unused = folder, host.window_folder
            undo.callback(os.rmdir, unused)
            guest = guest_in(host)
            require(guest.says("is_in_window()"), "the guest has nothing in its window")
            require(guest.says("pin(32)") == OUT_OF_MEMORY, "more than the host has was pinned")
            while guest.says("pin(1)") == 0:
                pass
            require(guest.says("copies()"), "a guest cannot copy where its host has no memory left")
            guest.leave()
            wait_until(lambda: is_empty(host), "the end of its memory")
            pathlib.Path(folder, "filler").write_bytes(bytes(15 * MIB))
            host.stop_daemon()
            with contextlib.suppress(OSError):
                with open(f"{folder}/more", "wb", buffering=0) as filler:
                    while filler.write(bytes(4096)):
                        pass
            os.unlink(host.window_path(VM))
            with contextlib.suppress(OSError):
                with open(f"{folder}/last", "wb", buffering=0) as filler:
                    while filler.write(bytes(4096)):
                        pass
            host.start_daemon()
            require(f"VM {VM} has no window: " in host.log(), "the log does not say that there is no window")
            require(guest_in(host).says("copies()"), "a VM without a window is not served")
            host.window_folder = None


SCENARIOS = {f.__name__: f for f in (memory_goes_back, new_memory_is_zero, survivor_keeps_its_memory,
                                     survivors_part_is_given_back, forked_child_keeps_the_programs_memory, full_window,
                                     registered_memory_comes_back, daemon_restarts, only_its_own_window,
                                     scribbled_over, left_over, unregistered, bad_settings, file_of_somebody_else,
                                     hypervisors_own_file, host_without_memory)}


def main():
    failed = 0
    for name in sys.argv[2:] or SCENARIOS:
        try:
            SCENARIOS[name]()
            print(f"ok {name}", flush=True)
        except TestbedError as error:
            failed += 1
            print(f"FAILED {name}: {error}", flush=True)
    return 1 if failed else 0


INSTALLATION = Installation(sys.argv[1])

if __name__ == "__main__":
    sys.exit(main())
