"""A vgpu host of one's own for a test: its programs, a daemon in a temporary folder, VMs, and guests in them.

Works from a build tree, an install prefix and an unpacked bundle, with nothing but Python's standard library."""

import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time


# Which GPU of this machine to use, by its index in nvidia-smi: VGPU_TEST_GPU, for two runs beside each other.
GPU = int(os.environ.get("VGPU_TEST_GPU", "0"))


class TestbedError(Exception):
    """Something that the test needs is not there or did not start; the text says what."""


class Installation:
    """Where the programs and libraries lie below `root`."""

    PLACES = {
        "vgpud": ("sbin/vgpud", "src/daemon/vgpud"),
        "vgpu-admin": ("bin/vgpu-admin", "src/admin/vgpu-admin"),
        "vgpu-run": ("bin/vgpu-run", "src/run/vgpu-run", "src/daemon/vgpu-run", "src/daemon/run/vgpu-run"),
        "guest": ("lib/vgpu/guest/libcuda.so.1", "src/guest/libcuda.so.1"),
        "simulated": ("lib/vgpu/simulated/libcuda.so.1", "src/simgpu/libcuda.so.1"),
    }

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()

    def find(self, name):
        for place in self.PLACES[name]:
            if (self.root / place).exists():
                return str(self.root / place)
        raise TestbedError(f"{name} is not below {self.root} (looked for {', '.join(self.PLACES[name])})")

    def folder(self, library):
        return os.path.dirname(self.find(library))


# What only guards against hanging waits so long: a busy machine is no fault.
PATIENCE_S = 120


def wait_until(condition, what, seconds=PATIENCE_S):
    """Calls condition until it is true; TestbedError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TestbedError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def free_ports(count):
    """TCP ports of this machine that nobody listens on."""
    with contextlib.ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in sockets]


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def with_parent(number):
    """For Popen's preexec_fn: the process gets this signal when we end, however we do. It is the thread that counts, so
    start it from the main one."""
    return lambda: LIBC.prctl(PR_SET_PDEATHSIG, number)



class Host:
    """vgpud with its own state and sockets. Use as a context manager: all that it started ends with it.

    far_vms: those that can also be reached as from another machine: over TCP and, if there is a window_size, through a
    window (far_environment)."""

    def __init__(self, installation, driver, gpus="1", warm_workers=1, far_vms=(), window_size=None):
        self.installation = installation
        self.addresses = {uuid: f"127.0.0.1:{port}" for uuid, port in zip(far_vms, free_ports(len(far_vms)))}
        self.window_folder = None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vgpu-", dir="/tmp"))
        self.environment = dict(
            os.environ,
            VGPU_CONFIG="/dev/null",
            VGPU_STATE_DIR=str(self.folder / "state"),
            VGPU_RUN_DIR=str(self.folder / "run"),
            VGPU_DRIVER=driver,
            VGPU_WARM_WORKERS=str(warm_workers),
        )
        if driver == "simulated":
            self.environment["VGPU_SIM_GPUS"] = gpus
            self.environment["VGPU_SIM_STATE_DIR"] = str(self.folder)
        for name in ("VGPU_SERVER", "VGPU_TRANSPORT", "VGPU_WINDOW"):
            self.environment.pop(name, None)
        if far_vms:
            self.environment["VGPU_LISTEN_TCP"] = ",".join(f"{a}={uuid}" for uuid, a in self.addresses.items())
        if window_size:
            self.window_folder = tempfile.mkdtemp(prefix="vgpu-test-", dir="/dev/shm")
            self.environment["VGPU_WINDOW_SIZE"] = window_size
            self.environment["VGPU_WINDOW_DIR"] = self.window_folder
        self.daemon = None
        self.guests = []

    def __enter__(self):
        for name in ("state", "run"):
            (self.folder / name).mkdir()
        try:
            self.start_daemon()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind, value, trace):
        for guest in self.guests:
            if guest.poll() is None:
                os.killpg(guest.pid, signal.SIGKILL)
                guest.wait()
        self.stop_daemon()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.window_folder:
            shutil.rmtree(self.window_folder, ignore_errors=True)

    def start_daemon(self):
        with open(self.folder / "vgpud.log", "ab") as log:
            self.daemon = subprocess.Popen(
                [self.installation.find("vgpud")], env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, preexec_fn=with_parent(signal.SIGTERM))
        wait_until(lambda: self.reload() or self.daemon.poll() is not None, "vgpud's admin socket")
        if self.daemon.poll() is not None:
            raise TestbedError(f"vgpud ended with status {self.daemon.returncode}: {self.log().strip()}")

    def reload(self):
        """Has the daemon act on the database now; false while it does not answer."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            try:
                client.connect(str(self.folder / "run" / "admin.sock"))
                client.sendall(b'{"op": "reload"}\n')
                return json.loads(client.makefile("rb").readline() or b"{}").get("ok", False)
            except OSError:
                return False

    def stop_daemon(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            try:
                self.daemon.wait(20)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()

    def log(self):
        try:
            return (self.folder / "vgpud.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def admin(self, *arguments):
        """Runs vgpu-admin; returns what it printed."""
        done = subprocess.run([self.installation.find("vgpu-admin"), *arguments], env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        if done.returncode != 0:
            raise TestbedError(f"vgpu-admin {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def set_up(self, vms, pool_of_gpu=None):
        """Scans, assigns GPUs (default: GPU to pool A) and registers VMs: (vm_uuid, pool, priority)."""
        self.admin("scan-gpus")
        for gpu, pool in (pool_of_gpu or {GPU: "A"}).items():
            self.admin("assign-gpu", f"--gpu-id={gpu}", f"--pool={pool}")
        for uuid, pool, priority in vms:
            self.register(uuid, pool, priority)

    def register(self, uuid, pool, priority):
        """Registers a VM; its socket is there when this returns."""
        self.admin("register-vm", f"--vm-uuid={uuid}", f"--pool={pool}", f"--priority={priority}")
        if not self.reload():
            raise TestbedError("vgpud does not answer")
        if not (self.folder / "run" / "guests" / f"{uuid}.sock").exists():
            raise TestbedError(f"vgpud has no socket for VM {uuid}")

    def guest_command(self, uuid, *command):
        return [self.installation.find("vgpu-run"), f"--vm-uuid={uuid}", "--", *command]

    def window_path(self, uuid):
        return f"{self.window_folder}/vgpu-{uuid}"

    def far_environment(self, uuid, window=False):
        """What a program needs in its environment to come from afar: like one in a virtual machine."""
        return {
            "LD_LIBRARY_PATH": self.installation.folder("guest"),
            "VGPU_SERVER": f"tcp:{self.addresses[uuid]}",
            "VGPU_WINDOW": self.window_path(uuid) if window else "none",
        }

    def way(self, uuid, command, name="shared"):
        """(command, environment) of a guest that comes to the host by sharing memory with it (`shared`), by a socket
        alone (`stream`), or from afar: over TCP (`tcp`), and through a window (`window`)."""
        if name in ("tcp", "window"):
            return list(command), {**self.environment, **self.far_environment(uuid, window=name == "window")}
        return (self.guest_command(uuid, *command),
                {**self.environment, **({"VGPU_TRANSPORT": "stream"} if name == "stream" else {})})

    def start_guest(self, uuid, *command, stdout=subprocess.PIPE, environment=None, way="shared"):
        """Starts a command as that VM, in a process group of its own."""
        command, variables = self.way(uuid, command, way)
        guest = subprocess.Popen(command, env={**variables, **(environment or {})}, stdin=subprocess.DEVNULL, stdout=stdout,
                                 stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.guests.append(guest)
        return guest

    def workers(self):
        """Process ids of the daemon's workers that are alive and have a guest."""
        return [pid for pid, waits in self.worker_processes() if not waits]

    def spares(self):
        """Process ids of those that wait for a guest."""
        return [pid for pid, waits in self.worker_processes() if waits]

    def worker_processes(self):
        """(process id, whether it waits for a guest) of each living worker."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if int(fields[1]) == self.daemon.pid and fields[0] != "Z":
                vm = next((a for a in arguments if a.startswith(b"--vm=")), b"")
                found.append((int(entry.name), b"--warm" in arguments and not vm[len("--vm="):].strip()))
        return found
