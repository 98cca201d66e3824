#!/usr/bin/python3
"""Whether nothing of the CUDA driver API is missing, and the coverage page says what the table says.

    check_coverage.py --page GENERATE_CALLS TABLE PAGE     the page is what would be generated
    check_coverage.py --reasons TABLE                      every function that is not supported says why
    check_coverage.py --header TABLE                       the table has every function of NVIDIA's cuda.h

Exit status: 0 yes, 1 no, 77 (Meson's word for skipped) where cuda.h is not installed."""

import os
import re
import subprocess
import sys
import tempfile

SKIPPED = 77
LINE = re.compile(r"\s*(?:\d+|-)\s+(cu\w+)(?:\(.*\))? : (.*)")


def table_lines(path):
    with open(path, encoding="utf-8") as table:
        for line in table:
            found = LINE.match(line)
            if found and not line.startswith("#"):
                yield found.group(1), found.group(2).strip()


def check_page(generator, table, page):
    with tempfile.TemporaryDirectory() as folder:
        fresh = os.path.join(folder, "page.md")
        subprocess.run([sys.executable, generator, table, "coverage", fresh], check=True)
        with open(fresh, encoding="utf-8") as new, open(page, encoding="utf-8") as old:
            if new.read() == old.read():
                return 0
    print(f"{page} is out of date: tools/generate-calls src/cuda/calls.tbl coverage docs/cuda-coverage.md")
    return 1


def check_reasons(table):
    silent = [name for name, how in table_lines(table) if re.match(r"none\b", how) and '"' not in how]
    for name in silent:
        print(f"{name} is not supported, and the table does not say why")
    return 1 if silent else 0


def header():
    for home in (os.environ.get("CUDA_HOME", ""), os.environ.get("CUDA_PATH", ""), "/usr/local/cuda", "/usr"):
        path = os.path.join(home, "include", "cuda.h")
        if home and os.path.exists(path):
            return path
    return None


def check_header(table):
    path = header()
    if path is None:
        print("cuda.h is not installed here: nothing to compare with")
        return SKIPPED
    names = set()
    for name, how in table_lines(table):
        names |= {name} | {f"{name}_{form}" for form in ("ptsz", "ptds") if form in how.split()}
    declared = set()
    with tempfile.TemporaryDirectory() as folder:
        # With and without per-thread default streams: the names that programs are compiled to call.
        for option in ([], ["-DCUDA_API_PER_THREAD_DEFAULT_STREAM"]):
            source = os.path.join(folder, "all.c")
            with open(source, "w", encoding="utf-8") as file:
                file.write("#include <cuda.h>\n")
            text = subprocess.run(["cc", "-E", "-P", "-I" + os.path.dirname(path), *option, source], check=True,
                                  capture_output=True, text=True).stdout
            declared |= set(re.findall(r"\bCUresult\s+(cu\w+)\s*\(", text))
    declared.discard("cuGetProcAddress_v2_ptsz")  # which no driver exports
    missing = sorted(declared - names)
    for name in missing:
        print(f"{path} declares {name}, which the table does not have")
    print(f"{len(declared)} functions of {path}: {len(missing)} missing")
    return 1 if missing or not declared else 0


def main():
    checks = {"--page": check_page, "--reasons": check_reasons, "--header": check_header}
    if len(sys.argv) < 3 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    return checks[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
