"""A virtual machine for a test: QEMU, with KVM where there is one, that sees the host's files at their paths.

Its kernel is what tests/vm/fetch-kernel made; it has no disk. The host's loopback address is HOST there. /tmp, /var/tmp,
/run and /dev/shm are the machine's own, all else is the host's, read-only; files that change on the host while
the machine runs may be seen as they were."""

import collections
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "gpu"))
from testbed import TestbedError, with_parent  # noqa: E402

QEMU = "qemu-system-x86_64"
HOST = "10.0.2.2"
# Guards only against hanging; an emulated processor on a busy machine is slow.
BOOT_SECONDS = 300
COMMAND_SECONDS = 600
# For the answer to come through after a command's own time is over.
GRACE_SECONDS = 60

Done = collections.namedtuple("Done", "status output errors")


def missing(kernel):
    """What a machine needs and is not here, as a sentence; None if it has all."""
    busybox = shutil.which("busybox")
    if not shutil.which(QEMU):
        return f"{QEMU} is not here: tools/setup --vm={kernel} installs it"
    if not busybox:
        return f"busybox is not here: tools/setup --vm={kernel} installs it"
    if not shutil.which("ndctl"):
        return f"ndctl is not here: tools/setup --vm={kernel} installs it"
    if b"/ld-linux" in pathlib.Path(busybox).read_bytes()[:4096]:
        return f"{busybox} needs libraries: in its place install Debian's package busybox-static"
    if not (pathlib.Path(kernel) / "vmlinuz").exists():
        return f"no kernel in {kernel}: tools/setup --vm={kernel} fetches one"
    return None


def accelerator():
    """KVM with the processor's help. What else calls itself /dev/kvm (kvm_pvm) takes no common kernel."""
    helped = any(os.path.exists(f"/sys/module/{module}") for module in ("kvm_intel", "kvm_amd"))
    return "kvm" if helped and os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"


def archive(files):
    """(path, mode, contents) of each file as the kernel takes them for its first file system: cpio, format newc."""
    parts = []
    for number, (path, mode, data) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        name = path.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        parts += [head, bytes(-len(head) % 4), data, bytes(-len(data) % 4)]
    return b"".join(parts)


class Machine:
    """Use as a context manager: it has booted inside, and is gone after it, however this process ends.

    `kernel` is the folder that fetch-kernel made. `shown` names folders to be seen in the machine even if they lie
    below /tmp or another of its own. With `window`, a path of a file of `window_bytes` (a power of two) that is shared
    with the host, the machine has it as resource2 of a PCI device 1af4:1110 or, with device="nvdimm", as persistent
    memory. With `cid` it reaches the host by vsock, too."""

    def __init__(self, kernel, shown=(), window=None, window_bytes=0, device="ivshmem-plain", cid=None, processors=2,
                 memory_mib=1024):
        self.kernel = pathlib.Path(kernel)
        self.shown = [str(pathlib.Path(folder).resolve()) for folder in (HERE, *shown)]
        self.window, self.window_bytes, self.device = window, window_bytes, device
        self.cid, self.processors, self.memory_mib = cid, processors, memory_mib
        self.accelerator = accelerator()
        self.folder = self.process = self.agent = None
        self.received = b""
        self.boot_seconds = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.stop()

    def first_files(self):
        """The files that the kernel starts from."""
        files = [(name, stat.S_IFDIR | 0o755, b"") for name in ("bin", "modules")]
        files += [("init", stat.S_IFREG | 0o755, (HERE / "init").read_bytes()),
                  ("bin/busybox", stat.S_IFREG | 0o755, pathlib.Path(shutil.which("busybox")).read_bytes())]
        settings = {"AGENT": str(HERE / "agent.py"), "SHOWN": "\n".join(self.shown)}
        text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
        files.append(("settings", stat.S_IFREG | 0o644, text.encode()))
        for file in sorted((self.kernel / "modules").iterdir()):
            files.append((f"modules/{file.name}", stat.S_IFREG | 0o644, file.read_bytes()))
        return archive(files)

    def command(self, agent):
        command = [
            QEMU, "-machine", f"q35,accel={self.accelerator},nvdimm=on", "-cpu", "max", "-smp", str(self.processors), "-m",
            f"{self.memory_mib},slots=1,maxmem=64G", "-nographic", "-nodefaults", "-no-reboot", "-no-user-config",
            "-kernel", str(self.kernel / "vmlinuz"), "-initrd", str(self.folder / "initramfs"),
            "-append", "console=ttyS0 quiet panic=-1",
            "-serial", f"file:{self.folder}/console",
            "-netdev", "user,id=network", "-device", "virtio-net-pci,netdev=network,romfile=",
            "-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
            "-device", "virtio-9p-pci,fsdev=host,mount_tag=host",
            "-chardev", f"socket,id=agent,fd={agent.fileno()}",
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=agent"]
        if self.cid:
            command += ["-device", f"vhost-vsock-pci,guest-cid={self.cid}"]
        if self.window:
            command += [
                "-object", f"memory-backend-file,id=window,share=on,mem-path={self.window},size={self.window_bytes}",
                "-device", f"{self.device},memdev=window"]
        return command

    def start(self):
        start = time.monotonic()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vgpu-vm-", dir="/tmp"))
        (self.folder / "initramfs").write_bytes(self.first_files())
        self.agent, theirs = socket.socketpair()
        with theirs, open(self.folder / "qemu.log", "wb") as log:
            self.process = subprocess.Popen(self.command(theirs), pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=with_parent(signal.SIGKILL))
        self.receive(BOOT_SECONDS, "the machine did not boot")
        self.boot_seconds = time.monotonic() - start

    def stop(self):
        """Switches it off: nothing in it outlives it anyway."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
        if self.agent:
            self.agent.close()
            self.agent = None
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def console(self):
        """What QEMU said, and the end of what was written to the machine's serial console."""
        text = ""
        for name in ("qemu.log", "console"):
            with contextlib.suppress(OSError):
                text += (self.folder / name).read_text(errors="replace").replace("\r", "")
        text = re.sub(r"\x1b[^A-Za-z]*[A-Za-z]", "", text)  # what the firmware does to a terminal
        return "\n".join(text.strip().splitlines()[-60:])

    def fail(self, what):
        ended = self.process.poll()
        how = f" (QEMU ended with status {ended})" if ended is not None else ""
        raise TestbedError(f"{what}{how}; its console ends:\n{self.console()}")

    def receive(self, seconds, otherwise):
        """The next message of the agent's."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self.received:
            left = deadline - time.monotonic()
            if left <= 0:
                self.fail(f"{otherwise} within {seconds} s")
            self.agent.settimeout(left)
            try:
                data = self.agent.recv(1 << 20)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            if not data:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(10)
                self.fail(otherwise)
            self.received += data
        line, _, self.received = self.received.partition(b"\n")
        return json.loads(line)

    def run(self, command, environment=None, seconds=COMMAND_SECONDS):
        """Executes a command (a list of words) in the machine; returns its status (124 if it had to be stopped, -N
        after signal N), output and errors. Its environment is `environment` and the least that a program expects."""
        words = {"PATH": os.defpath + ":/usr/sbin:/sbin", "HOME": "/tmp", "LANG": "C.UTF-8", **(environment or {})}
        request = {"command": [str(word) for word in command], "environment": words, "seconds": seconds}
        self.agent.settimeout(GRACE_SECONDS)
        try:
            self.agent.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            self.fail(f"the machine takes no commands: {shlex.join(request['command'])}")
        answer = self.receive(seconds + GRACE_SECONDS,
                              f"no answer from the machine to: {shlex.join(request['command'])}")
        return Done(answer["status"], answer["output"], answer["errors"])
