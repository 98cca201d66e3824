#!/usr/bin/python3
"""Code that a guest has sent over a stream is not sent again: not by the next process, not by another VM.

    test_image_store.py BUILD"""

import os
import pathlib
import socket
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "gpu"))
from testbed import PATIENCE_S, Host, Installation  # noqa: E402

KERNEL = ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry empty()\n{\n    ret;\n}\n"
CODE = KERNEL + "".join(f"// line {i} of a long comment\n" for i in range(40000))

LOADER = """
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
context, module = ctypes.c_void_p(), ctypes.c_void_p()
assert cuda.cuInit(0) == 0
assert cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
assert cuda.cuCtxSetCurrent(context) == 0
assert cuda.cuModuleLoadData(ctypes.byref(module), open(sys.argv[1], "rb").read()) == 0
"""


class Counter(threading.Thread):
    """A socket in front of another: counts what goes to it from the one client that comes."""

    def __init__(self, path, target):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.target, self.sent = target, 0

    def copy(self, source, sink, counts):
        while data := source.recv(1 << 16):
            if counts:
                self.sent += len(data)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)

    def run(self):
        client, _ = self.listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.target)
        back = threading.Thread(target=self.copy, args=(server, client, False), daemon=True)
        back.start()
        self.copy(client, server, True)
        back.join()


def bytes_sent(host, guest_library, vm, code):
    path = str(host.folder / f"counter-{vm}-{os.urandom(4).hex()}")
    counter = Counter(path, str(host.folder / "run" / "guests" / f"{vm}.sock"))
    counter.start()
    environment = dict(host.environment, VGPU_SERVER=f"unix:{path}", VGPU_TRANSPORT="stream",
                       LD_LIBRARY_PATH=str(guest_library))
    subprocess.run([sys.executable, "-c", LOADER, str(code)], env=environment, check=True, timeout=PATIENCE_S)
    counter.join(PATIENCE_S)
    return counter.sent


def main():
    installation = Installation(sys.argv[1])
    with Host(installation, "simulated") as host:
        host.set_up([("first", "A", "medium"), ("second", "A", "medium")])
        code = host.folder / "code.ptx"
        code.write_text(CODE, encoding="ascii")
        guest_library = pathlib.Path(installation.find("guest")).parent
        once = bytes_sent(host, guest_library, "first", code)
        again = bytes_sent(host, guest_library, "first", code)
        elsewhere = bytes_sent(host, guest_library, "second", code)
        kept = os.listdir(host.folder / "run" / "images")
    print(f"{len(CODE)} bytes of code: {once} sent, then {again}, by another VM {elsewhere}; kept: {kept}")
    return 0 if once > len(CODE) > 100 * max(again, elsewhere) and len(kept) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
