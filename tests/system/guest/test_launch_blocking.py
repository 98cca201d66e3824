#!/usr/bin/python3
"""CUDA_LAUNCH_BLOCKING=1 in a guest's environment: a launch returns when its kernel has run, with what came of it.

    test_launch_blocking.py BUILD"""

import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "gpu"))
from testbed import PATIENCE_S, Host, Installation  # noqa: E402

VM = "abc123"

PROGRAM = r'''
import ctypes
cuda = ctypes.CDLL("libcuda.so.1")
code = b"""
.version 7.0
.target sm_70
.address_size 64
.visible .entry one(.param .u64 to)
{
    .reg .u64 %address;
    ld.param.u64 %address, [to];
    st.global.u32 [%address], 1;
    ret;
}
"""
context, module, kernel, stream = (ctypes.c_void_p() for _ in range(4))
graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
memory, pinned = ctypes.c_uint64(), ctypes.c_void_p()

def good(result):
    assert result == 0, result

def launch(address, on=None):
    value = ctypes.c_uint64(address)
    parameters = (ctypes.c_void_p * 1)(ctypes.addressof(value))
    return cuda.cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, on, parameters, None)

good(cuda.cuInit(0))
good(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
good(cuda.cuCtxSetCurrent(context))
good(cuda.cuModuleLoadData(ctypes.byref(module), code))
good(cuda.cuModuleGetFunction(ctypes.byref(kernel), module, b"one"))
good(cuda.cuMemHostAlloc(ctypes.byref(pinned), ctypes.c_size_t(4096), 0))
good(launch(pinned.value))
seen_at_once = ctypes.c_uint32.from_address(pinned.value).value == 1
good(cuda.cuStreamCreate(ctypes.byref(stream), 1))
good(cuda.cuStreamBeginCapture_v2(stream, 0))
good(launch(pinned.value + 4, stream))
good(cuda.cuStreamEndCapture(stream, ctypes.byref(graph)))
assert ctypes.c_uint32.from_address(pinned.value + 4).value == 0
good(cuda.cuGraphInstantiateWithFlags(ctypes.byref(executable), graph, 0))
good(cuda.cuGraphLaunch(executable, stream))
good(cuda.cuStreamSynchronize(stream))
assert ctypes.c_uint32.from_address(pinned.value + 4).value == 1
fault = launch(16)
print(seen_at_once, fault, cuda.cuCtxSynchronize())
'''

ILLEGAL_ADDRESS = 700


def outcome(host, **environment):
    guest = host.start_guest(VM, sys.executable, "-c", PROGRAM, environment=environment)
    output, errors = guest.communicate(timeout=PATIENCE_S)
    if guest.returncode != 0:
        sys.exit(f"{environment}: status {guest.returncode}: {errors}")
    seen_at_once, fault, afterwards = output.split()
    return seen_at_once == "True", int(fault), int(afterwards)


def main():
    with Host(Installation(sys.argv[1]), "simulated") as host:
        host.set_up([(VM, "A", "medium")])
        blocking = [outcome(host, CUDA_LAUNCH_BLOCKING="1") for _ in range(5)]
        usual = [outcome(host), outcome(host, CUDA_LAUNCH_BLOCKING="0")]
    print(f"blocking: {blocking}, else: {usual}")
    return 0 if all(one == (True, ILLEGAL_ADDRESS, ILLEGAL_ADDRESS) for one in blocking) and \
        all(one[1:] == (0, ILLEGAL_ADDRESS) for one in usual) else 1


if __name__ == "__main__":
    sys.exit(main())
