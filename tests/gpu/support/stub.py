#!/usr/bin/python3
"""Writes the library that GPU programs are linked with: stub.py CALLS.tbl OUTPUT.S

As with the toolkit's own stub, only its names count. Which libcuda.so.1 serves the program is decided
when it starts: the system's, or one in LD_LIBRARY_PATH."""

import re
import sys

names = []
with open(sys.argv[1], encoding="utf-8") as table:
    for line in table:
        call = re.match(r"\s*(?:\d+|-)\s+(cu\w+)[^:]*:\s*(.*)", line)
        if call:
            names.append(call[1])
            names += [call[1] + suffix for suffix in ("_ptsz", "_ptds") if suffix[1:] in call[2].split()]
with open(sys.argv[2], "w", encoding="utf-8") as output:
    output.write(".text\n")
    for name in names:
        output.write(f".globl {name}\n.type {name}, @function\n{name}:\n")
    output.write('    ret\n.section .note.GNU-stack, "", @progbits\n')
