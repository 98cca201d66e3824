"""A host of its own for one test of vgpu-admin: its directories, its simulated GPUs, its database."""

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import pty
import shutil
import socket
import sqlite3
import struct
import subprocess
import tempfile
import termios
import threading
from pathlib import Path

TWO_H100 = "NVIDIA H100 80GB PCIe*2"


def libvirt_is_here():
    """Whether libvirt can be loaded: what its built-in test driver needs, and nothing else of ours does."""
    try:
        ctypes.CDLL("libvirt.so.0")
    except OSError:
        return False
    return True


class Host:
    """A temporary state and run directory and the environment that points vgpu-admin at them."""

    def __init__(self, admin, gpus=TWO_H100):
        self.admin = admin
        # World-readable, so that a test may run the program as another user.
        self.root = Path(tempfile.mkdtemp(prefix="vgpu-admin-"))
        self.root.chmod(0o755)
        self.state = self.root / "state"
        self.run_dir = self.root / "run"
        self.run_dir.mkdir()
        self.database = self.state / "vgpu.db"
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("VGPU_SIM_")}
        self.env.update(
            VGPU_STATE_DIR=str(self.state),
            VGPU_RUN_DIR=str(self.run_dir),
            VGPU_CONFIG="/dev/null",
            VGPU_HYPERVISOR_URIS="none",
            VGPU_DRIVER="simulated",
            VGPU_SIM_GPUS=gpus,
            LC_ALL="C",
            TZ="UTC",
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for path in [self.root, self.state]:
            if path.is_dir():
                path.chmod(0o755)
        shutil.rmtree(self.root)

    def call(self, *words, env=None, **kwargs):
        """Runs vgpu-admin with these words; returns the finished process, its output as bytes."""
        if "input" not in kwargs:
            kwargs.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(
            [self.admin, *words],
            env={**self.env, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
            **kwargs,
        )

    def expect(self, line):
        """Runs a command line that must work and must say nothing on stderr; returns what it printed."""
        done = self.call(*line.split())
        if done.returncode != 0 or done.stderr:
            raise AssertionError(f"vgpu-admin {line}: exit {done.returncode}, {done.stderr.decode()}")
        return done.stdout.decode()

    def dump(self):
        """All that is stored, as one text; None where there is no database."""
        if not self.database.exists():
            return None
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as connection:
            lines = list(connection.iterdump())
            lines.append(str(connection.execute("PRAGMA user_version").fetchone()))
        connection.close()
        return "\n".join(lines)

    def fingerprint(self):
        """The bytes of the database file, for one that cannot be opened; None where there is none."""
        if not self.database.is_file():
            return None
        return hashlib.sha256(self.database.read_bytes()).hexdigest()


def on_terminal(host, columns, *words, env=None):
    """Exit status and what vgpu-admin prints on a terminal so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([host.admin, *words], env={**host.env, "TERM": "xterm-256color", **(env or {})}, stdin=subprocess.DEVNULL, stdout=theirs,
                          stderr=subprocess.STDOUT) as process:
        os.close(theirs)
        printed = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            printed += piece
    os.close(ours)
    return process.returncode, printed.decode().replace("\r\n", "\n")


def serve_state(listener, state):
    """A daemon that answers every request with this state, until the listener is closed."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rwb") as stream:
            for request in stream:
                answer = state if json.loads(request)["op"] == "state" else {"ok": True}
                stream.write(json.dumps(answer).encode() + b"\n")
                stream.flush()


@contextlib.contextmanager
def fake_daemon(host, state):
    """Answers on the admin socket with this state, as a daemon would."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        path = host.run_dir / "admin.sock"
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=serve_state, args=(listener, state), daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        path.unlink()


class Checks:
    """Counts what was checked and what failed, and prints the failures."""

    def __init__(self):
        self.done = 0
        self.failed = 0
        self.skipped = []

    def check(self, condition, what):
        self.done += 1
        if not condition:
            self.failed += 1
            print(f"FAILED: {what}")

    def equal(self, got, expected, what):
        self.check(got == expected, f"{what}\n--- expected\n{expected}\n--- got\n{got}")

    def finish(self):
        for what in self.skipped:
            print(f"skipped: {what}")
        print(f"{self.done} checks, {self.failed} failed, {len(self.skipped)} skipped")
        return 1 if self.failed else 0
