#!/usr/bin/env python3
"""The manual pages: every command, option, setting and function is in them, and the formatters have no complaint.

usage: test_manual.py VGPU_ADMIN VGPU_RUN VGPUD HEADER PAGE..."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "admin"))
from harness import Checks  # noqa: E402

ADMIN, RUN, DAEMON, HEADER = sys.argv[1:5]
PAGES = {Path(path).name: Path(path) for path in sys.argv[5:]}


def said(program, *words):
    return subprocess.run([program, *words], check=True, capture_output=True, text=True, timeout=60).stdout


def plain(name):
    """The page's source as a reader sees it: fonts and escapes taken away."""
    text = PAGES[name].read_text(encoding="utf-8").replace("\\-", "-")
    return re.sub(r"\\f[BIRP]", "", text)


def has_word(text, word):
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def check_commands(checks):
    page = plain("vgpu-admin.1")
    commands = re.findall(r"^  ([a-z-]+) ", said(ADMIN, "--help"), flags=re.M)
    checks.check(len(commands) > 20, f"the commands of --help: {commands}")
    for command in commands:
        checks.check(f"\n.TP\n{command}\n" in page, f"vgpu-admin(1) lacks {command}")
        begin = page.find(f"\n.TP\n{command}\n")
        entry = page[begin:page.find(".RE", begin)]
        told = said(ADMIN, command, "--help")
        for option in re.findall(r"^  (?:-\w, )?(--[a-z-]+)", told, flags=re.M):
            if option == "--help":
                continue
            checks.check(has_word(entry, option), f"vgpu-admin(1), {command}: lacks {option}")
            checks.check(has_word(page[page.index(".SH OPTIONS"):], option), f"vgpu-admin(1), OPTIONS: lacks {option}")
        example = told[told.index("Example:"):].splitlines()[1].strip()
        checks.check(example in " ".join(entry.split()), f"vgpu-admin(1), {command}: lacks its example {example!r}")


def check_settings(checks):
    settings = re.findall(r"^  --([a-z_]+) ", said(DAEMON, "--help"), flags=re.M)
    checks.check(len(settings) > 15, f"the settings of vgpud --help: {settings}")
    for page in ("vgpu.conf.5", "vgpud.8"):
        for setting in settings:
            checks.check(f"\n.TP\n{setting} (" in plain(page), f"{page} lacks {setting}")
    for name in settings:
        checks.check(f"VGPU_{name.upper()}" in plain("vgpu.conf.5"), f"vgpu.conf.5 lacks the variable of {name}")


def check_run(checks):
    for option in re.findall(r"^  (--[a-z-]+)", said(RUN, "--help"), flags=re.M):
        checks.check(has_word(plain("vgpu-run.1"), option), f"vgpu-run(1) lacks {option}")


def check_functions(checks):
    header = re.sub(r"/\*.*?\*/", "", Path(HEADER).read_text(encoding="utf-8"), flags=re.S)
    functions = set(re.findall(r"\b(vgpu_[a-z_]+)\(", header))
    checks.check(len(functions) > 30, f"the functions of the header: {functions}")
    page = plain("libvgpu.3")
    for function in functions:
        checks.check(f"{function}(" in page[page.index(".SH FUNCTIONS"):], f"libvgpu(3) lacks {function}()")
    for struct in re.findall(r"^struct (\w+) \{", header, flags=re.M):
        checks.check(f"struct {struct} {{" in page, f"libvgpu(3) lacks struct {struct}")


def check_format(checks):
    formatters = [["mandoc", "-Tlint", "-W", "style"], ["groff", "-ww", "-Tutf8", "-man", "-z"]]
    for command in formatters:
        if not shutil.which(command[0]):
            checks.skipped.append(f"{command[0]}, which is not here")
            continue
        for page in PAGES.values():
            done = subprocess.run([*command, page], capture_output=True, text=True, check=False, timeout=60)
            checks.equal(done.stdout + done.stderr, "", f"complaints of {command[0]} about {page.name}")


def check_references(checks):
    """What a page refers to with SEE ALSO is a page of ours or of the system's."""
    ours = {name.rpartition(".")[0] + f"({name[-1]})" for name in PAGES}
    for name in PAGES:
        text = plain(name)
        for word, section in re.findall(r"^\.BR ([a-z.-]+) \((\d)\)", text[text.index(".SH SEE ALSO"):], flags=re.M):
            checks.check(f"{word}({section})" in ours, f"{name} refers to {word}({section}), which there is not")


def main():
    checks = Checks()
    check_commands(checks)
    check_settings(checks)
    check_run(checks)
    check_functions(checks)
    check_format(checks)
    check_references(checks)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
