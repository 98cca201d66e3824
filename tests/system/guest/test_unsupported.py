#!/usr/bin/python3
"""Functions that the guest library does not serve: each of them is there, answers CUDA_ERROR_NOT_SUPPORTED whatever it is
given, and is named once on stderr when VGPU_DEBUG is set, never otherwise.

    test_unsupported.py LIBCUDA CALL_TABLE"""

import ctypes
import os
import re
import subprocess
import sys

NOT_SUPPORTED = 801
NOT_INITIALIZED = 3


def unsupported_symbols(table):
    symbols = []
    for line in open(table, encoding="utf-8"):
        found = re.match(r'\s*(?:\d+|-) (\w+) : none(?:\s+"[^"]*")?(?:\s+(ptsz|ptds))?(?:\s+"[^"]*")?\s*$', line)
        if found:
            symbols.append(found[1])
            if found[2]:
                symbols.append(f"{found[1]}_{found[2]}")
    return symbols


def call_all(library_path, symbols):
    """In a child of its own: every function twice, with arguments that would crash one that looked at them."""
    library = ctypes.CDLL(library_path)
    for symbol in symbols:
        function = getattr(library, symbol)
        for argument in (None, ctypes.c_void_p(1)):
            result = function(argument, argument, argument, argument)
            if result != NOT_SUPPORTED:
                sys.exit(f"{symbol} -> {result}")
    if library.cuCtxSynchronize() != NOT_INITIALIZED:
        sys.exit("a supported function does not say that CUDA is not initialised")


def run(library_path, table, debug):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VGPU_")}
    if debug is not None:
        environment["VGPU_DEBUG"] = debug
    done = subprocess.run([sys.executable, __file__, library_path, table, "call"], env=environment, text=True,
                          capture_output=True, timeout=60, check=False)
    lines = done.stderr.splitlines()
    if done.returncode != 0:
        sys.exit(f"VGPU_DEBUG={debug}: status {done.returncode}: {lines[-1:]}")
    return lines


def main():
    library_path, table = sys.argv[1:3]
    symbols = unsupported_symbols(table)
    if len(sys.argv) > 3:
        call_all(library_path, symbols)
        return
    if not symbols:
        sys.exit("no function in the table is unsupported: is this test still needed?")
    for debug in (None, "", "0"):
        if run(library_path, table, debug):
            sys.exit(f"VGPU_DEBUG={debug}: the library speaks without being asked")
    said = run(library_path, table, "1")
    wanted = [f"vgpu: {symbol} is not supported yet" for symbol in symbols]
    if said != wanted:
        odd = sorted(set(said) ^ set(wanted))
        sys.exit(f"VGPU_DEBUG=1: {len(said)} lines for {len(wanted)} functions; {odd[:3]}")
    print(f"{len(symbols)} functions")


main()
