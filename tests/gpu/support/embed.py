#!/usr/bin/python3
"""Writes PTX files as C strings: embed.py OUTPUT.c FILE.ptx... makes `const char ptx_FILE[]` of each."""

import json
import pathlib
import sys

output, *sources = (pathlib.Path(name) for name in sys.argv[1:])
parts = []
for source in sources:
    lines = source.read_text(encoding="ascii").splitlines()
    text = "\n".join("    " + json.dumps(line + "\n") for line in lines)
    parts.append(f"extern const char ptx_{source.stem}[];\nconst char ptx_{source.stem}[] =\n{text};\n")
output.write_text("\n".join(parts), encoding="ascii")
