#!/usr/bin/python3
"""Whatever is wrong with a command, its values or the database: one line on stderr that says what is wrong and
what to do, the right exit status, nothing printed, nothing changed.

Most of it is made from the command table itself (PRINT_COMMANDS prints it): each option of each command, missing,
empty, too long, of the wrong type, out of range, not UTF-8, twice, contradictory; each command with an unknown GPU,
VM and pool, and with a database that it cannot use. A new command or option is in it by being in the table.

usage: test_bad_input.py words|databases VGPU_ADMIN PRINT_COMMANDS FULL_DISK_LIBRARY"""

import concurrent.futures
import itertools
import json
import os
import re
import sqlite3
import subprocess
import sys

from harness import Checks, Host

FAILED, WRONG_USAGE = 1, 2
LONG = "a" * 65
REGISTER = "register-vm --vm-uuid=new1 --pool=A --priority=high"

# Command line, exit status, what the line on stderr must match.
COMMANDS = [
    ("", WRONG_USAGE, "no command is given"),
    ("frobnicate", WRONG_USAGE, "unknown command 'frobnicate'"),
    ("lst-gpus", WRONG_USAGE, "did you mean list-gpus"),
    ("scan-gpus --force", WRONG_USAGE, "unknown option '--force'"),
    ("scan-gpus --pool=A", WRONG_USAGE, "unknown option '--pool'"),
    ("list-gpus --pol=A", WRONG_USAGE, "did you mean --pool"),
    ("list-gpus A", WRONG_USAGE, "'A' is not an option"),
    ("list-gpus --pool", WRONG_USAGE, "--pool has no value"),
    ("list-gpus --pool=", WRONG_USAGE, "--pool has an empty value"),
    ("list-gpus --pool=A --pool=B", WRONG_USAGE, "--pool is given twice"),
    ("list-gpus --pool=AB", WRONG_USAGE, "--pool"),
    ("list-gpus --pool=7", WRONG_USAGE, "--pool"),
    ("list-gpus --pool=Z", FAILED, "pool Z"),
    ("list-vms --pool=Z", FAILED, "pool Z"),
    ("list-vms --priority=urgent", WRONG_USAGE, "--priority.*low, medium"),
    ("show-gpu", WRONG_USAGE, "--gpu-id is missing"),
    ("show-gpu --gpu-id=9", FAILED, "GPU 9"),
    ("show-gpu --gpu-id=-1", WRONG_USAGE, "--gpu-id"),
    ("show-gpu --gpu-id=1.5", WRONG_USAGE, "--gpu-id"),
    ("show-gpu --gpu-id=99999999999", WRONG_USAGE, "--gpu-id"),
    ("show-gpu --gpu-id=abc", WRONG_USAGE, "--gpu-id"),
    ("assign-gpu --gpu-id=0", WRONG_USAGE, "--pool is missing"),
    ("assign-gpu --pool=A", WRONG_USAGE, "--gpu-id is missing"),
    ("assign-gpu --gpu-id=9 --pool=A", FAILED, "GPU 9"),
    ("assign-gpu --gpu-id=0 --pool=Z", FAILED, "pool Z"),
    ("assign-gpu --gpu-id=0 --pool=A,Z", FAILED, "pool Z"),
    ("assign-gpu --gpu-id=0 --pool=A,A", WRONG_USAGE, "--pool"),
    ("assign-gpu --gpu-id=0 --pool=1", WRONG_USAGE, "--pool"),
    ("register-vm --pool=A --priority=high", WRONG_USAGE, "--vm-uuid is missing"),
    ("register-vm --vm-uuid=new1 --priority=high", WRONG_USAGE, "--pool is missing"),
    ("register-vm --vm-uuid=new1 --pool=A", WRONG_USAGE, "--priority is missing"),
    ("register-vm --vm-uuid= --pool=A --priority=high", WRONG_USAGE, "--vm-uuid has an empty value"),
    (f"register-vm --vm-uuid={LONG} --pool=A --priority=high", WRONG_USAGE, "--vm-uuid"),
    ("register-vm --vm-uuid=a/b --pool=A --priority=high", WRONG_USAGE, "--vm-uuid"),
    ("register-vm --vm-uuid=../b --pool=A --priority=high", WRONG_USAGE, "--vm-uuid"),
    ("register-vm --vm-uuid=.b --pool=A --priority=high", WRONG_USAGE, "--vm-uuid"),
    ("register-vm --vm-uuid=a:b --pool=A --priority=high", WRONG_USAGE, "--vm-uuid"),
    ("register-vm --vm-uuid=abc123 --pool=A --priority=high", FAILED, "abc123"),
    ("register-vm --vm-uuid=0A0B0C0D-0000-4000-8000-00000000000F --pool=A --priority=high", FAILED,
     "0a0b0c0d-0000-4000-8000-00000000000f"),
    ("register-vm --vm-uuid=new1 --pool=Z --priority=high", FAILED, "pool Z"),
    ("register-vm --vm-uuid=new1 --pool=A --priority=highest", WRONG_USAGE, "--priority"),
    (f"{REGISTER} --vm-id=1", FAILED, "abc123|VM-1"),
    (f"{REGISTER} --vm-id=0", WRONG_USAGE, "--vm-id"),
    (f"{REGISTER} --vm-id=-1", WRONG_USAGE, "--vm-id"),
    (f"{REGISTER} --vm-id -1", WRONG_USAGE, "--vm-id"),
    (f"{REGISTER} --vm-id=1.5", WRONG_USAGE, "--vm-id"),
    (f"{REGISTER} --vm-id=99999999999", WRONG_USAGE, "--vm-id"),
    (f"{REGISTER} --vm-id=2147483648", WRONG_USAGE, "--vm-id"),
    (f"{REGISTER} --vm-id=abc", WRONG_USAGE, "--vm-id"),
    (f"{REGISTER} --vm-id=", WRONG_USAGE, "--vm-id"),
    (f"{REGISTER} --vm-name=", WRONG_USAGE, "--vm-name"),
    (f"{REGISTER} --vm-name={LONG}", WRONG_USAGE, "--vm-name"),
    (f"{REGISTER} --vsock-cid=2", WRONG_USAGE, "--vsock-cid"),
    (f"{REGISTER} --vsock-cid=7", FAILED, "def456|VM-2"),
    ("show-vm --vm-uuid=nobody", FAILED, "nobody"),
    ("show-vm", WRONG_USAGE, "--vm-uuid is missing"),
    ("remove-vm --vm-uuid=nobody", FAILED, "nobody"),
    ("remove-vm --vm-uuid=", WRONG_USAGE, "--vm-uuid has an empty value"),
    ("set-pool --vm-uuid=nobody --pool=A", FAILED, "nobody"),
    ("set-pool --vm-uuid=abc123 --pool=Z", FAILED, "pool Z"),
    ("set-priority --vm-uuid=nobody --priority=low", FAILED, "nobody"),
    ("set-priority --vm-uuid=abc123 --priority=0.5", WRONG_USAGE, "--priority"),
    ("set-vm-id --vm-uuid=nobody --vm-id=5", FAILED, "nobody"),
    ("set-vm-id --vm-uuid=abc123 --vm-id=2", FAILED, "def456|VM-2"),
    ("update-vm --vm-uuid=abc123", WRONG_USAGE, "nothing to change"),
    ("update-vm --vm-uuid=abc123 --pool=B --vm-id=2", FAILED, "def456|VM-2"),
    ("update-vm --vm-uuid=abc123 --pool=Z --priority=low", FAILED, "pool Z"),
    ("update-vm --vm-uuid=nobody --pool=A", FAILED, "nobody"),
    ("set-limits --vm-uuid=abc123", WRONG_USAGE, "nothing to change"),
    ("set-limits --weight=3", WRONG_USAGE, "--pool"),
    ("set-limits --vm-uuid=abc123 --pool=A --weight=3", WRONG_USAGE, "give one of them"),
    ("set-limits --vm-uuid=nobody --weight=3", FAILED, "nobody"),
    ("set-limits --pool=Z --weight=3", FAILED, "pool Z"),
    ("set-limits --vm-uuid=abc123 --weight=0", WRONG_USAGE, "1 to 1000"),
    ("set-limits --vm-uuid=abc123 --weight=1001", WRONG_USAGE, "1 to 1000"),
    ("set-limits --vm-uuid=abc123 --weight=none", WRONG_USAGE, "--weight"),
    ("set-limits --vm-uuid=abc123 --memory=12Q", WRONG_USAGE, "512M"),
    ("set-limits --vm-uuid=abc123 --memory=1", WRONG_USAGE, "1M to"),
    ("set-limits --vm-uuid=abc123 --memory=nonne", WRONG_USAGE, "'none'"),
    ("set-limits --vm-uuid=abc123 --memry=1G", WRONG_USAGE, "--memory"),
    ("set-limits --vm-uuid=abc123 --time-limit=10", WRONG_USAGE, "20ms"),
    ("set-limits --vm-uuid=abc123 --processes=0", WRONG_USAGE, "1 to"),
    ("set-limits --vm-uuid=abc123 --mode=exclusive", WRONG_USAGE, "of pools"),
    ("set-limits --pool=A --mode=shared", WRONG_USAGE, "shared:N"),
    ("set-limits --pool=A --mode=shared:65", WRONG_USAGE, "shared:N"),
    ("set-limits --pool=A --mode=exclusiv", WRONG_USAGE, "'exclusive'"),
    ("show-limits --pool=Z", FAILED, "pool Z"),
    ("quarantine --vm-uuid=nobody", FAILED, "nobody"),
    ("release --vm-uuid=nobody", FAILED, "nobody"),
    ("history --limit=0", WRONG_USAGE, "--limit"),
    ("history --gpu-id=9", FAILED, "GPU 9"),
    ("history --vm-uuid=nobody", FAILED, "nobody"),
    ("queue", FAILED, "vgpud"),
]

# Words that no command line of spaces can hold.
WORDS = [
    (["show-vm", "--vm-uuid", ""], WRONG_USAGE, "--vm-uuid has an empty value"),
    (["show-vm", "--vm-uuid=a b"], WRONG_USAGE, "--vm-uuid"),
    (["show-vm", b"--vm-uuid=\xff\xfe"], WRONG_USAGE, "--vm-uuid"),
    (["show-vm", "--vm-uuid=a\nb"], WRONG_USAGE, "--vm-uuid"),
    (["show-vm", "--vm-uuid=\u00e9"], WRONG_USAGE, "--vm-uuid"),
    (["register-vm", "--vm-uuid=new1", "--pool=A", "--priority=low", b"--vm-name=\xff"], WRONG_USAGE, "--vm-name"),
    (["register-vm", "--vm-uuid=new1", "--pool=A", "--priority=low", "--vm-name=a\x1b[2J"], WRONG_USAGE,
     "--vm-name"),
    (["register-vm", "--vm-uuid=new1", "--pool=A", "--priority=low", "--vm-name=   "], WRONG_USAGE, "--vm-name"),
    ([b"list-\xff"], WRONG_USAGE, "unknown command"),
    (["list-vms", b"--po\xffol=A"], WRONG_USAGE, "unknown option"),
    (["list-gpus", "--pool= A"], WRONG_USAGE, "--pool"),
]

# Of each type: a value that is right, and some that are not.
NUMBERS = ["-1", "1.5", "abc", "+1", "1e3", "0x1", "1\n", "\u0663", "99999999999", "18446744073709551617"]
VALUES = {
    "gpu-id": ("0", NUMBERS + ["2147483648", " 1", "1 "]),
    "pool": ("A", ["AB", "1", "*", "\u00e9", "A ", "A,B"]),
    "pools": ("A", ["AB", "1", "A,A", "A,", ",A", "A,,B", "A, B"]),
    "vm-uuid": ("abc123", ["a/b", "..", ".hidden", "-dash", "a b", "a\nb", "\u00e9", "a:b", "*"]),
    "vm-name": ("VM-1", ["a\tb", "  ", "a\x1b[2J", "\u202e", "a\n"]),
    "vm-id": ("77", NUMBERS + ["0", "2147483648", "1-2"]),
    "vm-ids": ("1", NUMBERS + ["0", "2147483648", "2-1", "1-", "1,", "1,,2", "1-2-3", "1 2", ",".join("1" * 65)]),
    "priority": ("low", ["urgent", "3", "-1", "hi"]),
    "number": (None, NUMBERS),
    "limit": (None, ["-1", "abc", "+1", "1x", "0x1", "1\n", "\u0663", "99999999999999999999", "nonne", "1 2"]),
    "text": ("because", ["a\nb", "a\x1b[2J", "a" * 200, "\u202e"]),
    "time": ("1h", ["yesterday", "5", "h", "-1h", "1.5h", "2026-02-31", "2026-13-01", "2026-01-01x", "99999999999d"]),
    "output": ("table", ["Wide", "yaml", "1"]),
    "columns": (None, ["nothing", ",", "{first},", "{first},{first}", "{first} "]),
    "seconds": ("5", ["0", "0.05", "3601", "-1", "1e3", "abc", "1.", ".5", "1,5"]),
}
# Commands whose good line needs other values.
GOOD = {"release": {"vm-uuid": "def456"}, 
    "register-vm": {"vm-uuid": "new1", "vm-name": "new", "vsock-cid": "8"},
    "add-pool": {"pool": "Q"},
    "remove-pool": {"pool": "C"},
    "unassign-gpu": {"pool": "A"},
    "update-vm": {"vsock-cid": "9", "pool": "B"},
    "assign-gpu": {"pool": "B"},
    "set-pool": {"pool": "B"},
    "rename-vm": {"vm-name": "other"},
    "resume": {"vm-uuid": "def456"},
}
# What doctor says of a database is its own affair, and it says so with status 0 or 1 and on stdout.
SPEAKS_OF_FAULTS = {"doctor"}
# A value of each limit that is no plain number.
LIMITS = {"time-limit": "10s", "byte-rate": "2G", "byte-burst": "64M", "memory": "16G", "fault-window": "10min",
          "mode": "shared:4", "ageing": "1s"}

# Needs the daemon, and asks it before it looks at the database.
NEEDS_DAEMON = {"queue", "metrics"}


class Line:
    """A command line of a command of the table: its options, each with its word."""

    def __init__(self, command, file):
        self.command = command
        self.options = {option["name"]: option for option in command["options"]}
        self.words = {}
        self.operand = [str(file)] if command.get("operand") else []
        one_of = True
        selected = False
        for option in command["options"]:
            need = option["need"]
            if need == "required" or (need == "select" and not selected) or (need == "one-of" and one_of):
                self.words[option["name"]] = self.good(option)
            selected |= need == "select"
            one_of &= need != "one-of"

    def good(self, option):
        """A word that gives this option a value that is right."""
        if option["type"] == "flag":
            return "--" + option["name"]
        value = GOOD.get(self.command["name"], {}).get(option["name"], VALUES[option["type"]][0])
        if option["type"] == "number" and value is None:
            value = str(option["least"])
        if option["type"] == "limit":
            value = LIMITS.get(option["name"], "5")
        if option["type"] == "columns":
            value = self.command["tables"][0][0]
        return f"--{option['name']}={value}"

    def bad_values(self, option):
        values = list(VALUES[option["type"]][1])
        if option["type"] == "number":
            values += [str(option["least"] - 1), str(option["most"] + 1)]
        if option["type"] == "columns":
            values = [value.format(first=self.command["tables"][0][0]) for value in values]
        return values

    def with_word(self, name, *words):
        """The line with these words in the place of the option's own; none: without it."""
        kept = [word for other, word in self.words.items() if other != name]
        return [self.command["name"], *kept, *words, *self.operand]

    def all(self):
        return self.with_word(None)


def wrong_values(line, option, every):
    """Values of an option that are refused: all that come to mind, or one of each kind."""
    values = line.bad_values(option)
    values = [value.encode() for value in (values if every else {values[0], values[-1]})]
    long = b"1" * 5000 if option["type"] in ("gpu-id", "vm-id", "vm-ids", "number", "seconds", "limit") else b"a" * 5000
    return values + [long, b"\xff\xfe"] + ([b"a\xc3", b"A," * 3000] if every else [])


def wrong_lines(line, types):
    """What is wrong with the options of one command: words, what must be said of it. types: those of which every
    wrong value has been tried."""
    selectors = [option for option in line.command["options"] if option["need"] in ("select", "may-select")]
    for name, option in line.options.items():
        good = line.good(option)
        shown = re.escape("--" + name)
        if option["need"] == "required" or (option["need"] == "select" and name in line.words):
            yield line.with_word(name), f"{shown} is missing"
        yield line.with_word(name, good, good), f"{shown} is given twice"
        if option["type"] == "flag":
            for value in ("", "yes", b"\xff"):
                yield line.with_word(name, b"--%s=%s" % (name.encode(), value if isinstance(value, bytes) else
                                                        value.encode())), f"{shown} takes no value"
            continue
        if option["type"] != "seconds":
            yield line.with_word(name) + [f"--{name}"], f"{shown} has no value"
            yield line.with_word(name) + [f"--{name}", ""], f"{shown} has an empty value"
            yield line.with_word(name) + [f"--{name}", "--json"], f"{shown} has no value"
        yield line.with_word(name, f"--{name}="), f"{shown} has an empty value"
        for value in wrong_values(line, option, option["type"] not in types):
            yield line.with_word(name, b"--%s=%s" % (name.encode(), value)), shown
        types.add(option["type"])
    for one, other in itertools.combinations(selectors, 2):
        both = line.with_word(line_selector(line), line.good(one), line.good(other))
        yield both, f"{one['name']}.*{other['name']}.*both"
    if "columns" in line.options:
        yield line.with_word(None, "--json", line.good(line.options["columns"])), "--columns"
        yield line.with_word(None, "--json", "--no-header"), "--no-header"
        yield line.with_word(None, "-o", "json", "--no-header"), "--no-header"
        yield line.with_word(None, "-o", "wide", line.good(line.options["columns"])), "--columns"
        yield line.with_word(None, "--json", "-o", "wide"), "--json and --output contradict"
        yield line.with_word(None, "-o"), "--output has no value"
    yield line.with_word(None, "--frobnicate"), "unknown option '--frobnicate'"
    yield line.with_word(None, "--frobnicate=1"), "unknown option '--frobnicate'"
    yield line.with_word(None, b"--\xff"), "unknown option"
    yield line.with_word(None, "-x"), "'-x' is not an option"
    yield line.all() + ["more"], "'more' is (not an option|one FILE too many)"
    if line.operand:
        yield line.all()[:-1], "the FILE is missing"
        yield line.all()[:-1] + [""], "the FILE is empty"


def line_selector(line):
    """The option of the good line that says which VM is meant."""
    return next((name for name in line.words if line.options[name]["need"] == "select"), None)


def unknown_lines(line):
    """Names of what is not there: words, what must be said of it."""
    for name, option in line.options.items():
        if option["type"] == "gpu-id":
            yield line.with_word(name, f"--{name}=9"), "GPU 9"
        if option["type"] == "pool" and line.command["name"] != "add-pool" and "select" not in option["need"]:
            yield line.with_word(name, f"--{name}=Z"), "pool Z"
        if option["type"] == "pools":
            yield line.with_word(name, f"--{name}=Z"), "pool Z"
        if option["need"] in ("select", "may-select") and line.command["name"] != "register-vm":
            unknown = {"vm-uuid": "nobody", "vm-name": "nobody", "vm-ids": "4711", "pool": "Z"}[option["type"]]
            yield line.with_word(line_selector(line), f"--{name}={unknown}"), unknown


def check_line(checks, what, done, status, pattern):
    """The promise of every failure."""
    text = done.stderr.decode(errors="backslashreplace")
    checks.check(done.returncode == status, f"{what}: exit {done.returncode}, not {status}: {text}")
    checks.check(done.stdout == b"", f"{what}: printed {done.stdout!r}")
    checks.check(text.startswith("vgpu-admin: ") and text.count("\n") == 1 and text.endswith("\n"),
                 f"{what}: not one line: {text!r}")
    checks.check(text[:-1].isprintable(), f"{what}: control characters: {text!r}")
    checks.check(re.search(pattern, text), f"{what}: {pattern!r} is not in {text!r}")


def prepare(host):
    for line in [
        "scan-gpus",
        "add-pool --pool=C",
        "assign-gpu --gpu-id=0 --pool=A",
        "register-vm --vm-uuid=abc123 --pool=A --priority=high --vm-id=1",
        "register-vm --vm-uuid=def456 --pool=A --priority=low --vm-id=2 --vsock-cid=7",
        "register-vm --vm-uuid=0a0b0c0d-0000-4000-8000-00000000000f --pool=B --priority=low",
        "pause --vm-uuid=def456",
        "quarantine --vm-uuid=def456",
    ]:
        host.expect(line)
    (host.root / "export.json").write_text(host.expect("export").replace("abc123", "abc124"))


def good_lines(host, commands):
    """A line that would work for each command."""
    return [Line(command, host.root / "export.json") for command in commands]


def check_table(checks, admin, commands):
    with Host(admin) as host:
        prepare(host)
        before = host.dump()
        types = set()
        lines = [(words, WRONG_USAGE, pattern) for line in good_lines(host, commands)
                 for words, pattern in wrong_lines(line, types)]
        lines += [(words, FAILED, pattern) for line in good_lines(host, commands)
                  for words, pattern in unknown_lines(line)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for (words, status, pattern), done in zip(lines, pool.map(lambda line: host.call(*line[0]), lines)):
                check_line(checks, repr(words)[:300], done, status, pattern)
        checks.equal(host.dump(), before, "what is stored after all that was refused")
    for command in commands:  # the good line is good: what was refused was refused for its fault
        with Host(admin) as host:
            prepare(host)
            line = Line(command, host.root / "export.json")
            if command["name"] in SPEAKS_OF_FAULTS | NEEDS_DAEMON:
                continue
            before = host.dump()
            done = host.call(*line.all())
            checks.equal((done.returncode, done.stderr), (0, b""), f"{line.all()}")
            if command["name"] != "scan-gpus":
                checks.equal(host.dump() != before, command["changes"], f"{line.all()} changes the database")


def check_wrong_commands(checks, admin):
    with Host(admin) as host:
        prepare(host)
        before = host.dump()
        for line, status, pattern in COMMANDS:
            check_line(checks, line, host.call(*line.split()), status, pattern)
        for words, status, pattern in WORDS:
            check_line(checks, repr(words), host.call(*words), status, pattern)
        checks.equal(host.dump(), before, "what is stored after all that was refused")


def check_all(checks, host, what, lines, pattern, **kwargs):
    """Each of the lines fails with status 1 and leaves the file as it was."""
    before = host.fingerprint()
    for line in lines:
        check_line(checks, f"{what}: {line}", host.call(*line, **kwargs), FAILED, pattern)
    checks.equal(host.fingerprint(), before, f"{what}: the file")


def lines_of(host, commands, changes_only=False):
    """The good lines as words, of all commands that fail where the database cannot be used."""
    return [line.all() for line in good_lines(host, commands)
            if line.command["name"] not in SPEAKS_OF_FAULTS and (line.command["changes"] or not changes_only)]


def check_damaged_databases(checks, admin, commands):
    with Host(admin) as host:
        host.state.mkdir()
        (host.root / "export.json").write_text("{}")
        host.database.write_bytes(b"this is no database\n" * 1000)
        check_all(checks, host, "no database", lines_of(host, commands), "vgpu.db")
    with Host(admin) as host:
        prepare(host)
        good = host.database.read_bytes()
        host.database.write_bytes(good[:100] + b"\xa5" * (len(good) - 100))
        check_all(checks, host, "overwritten", lines_of(host, commands), "vgpu.db")
    with Host(admin) as host:
        prepare(host)
        connection = sqlite3.connect(host.database)
        connection.execute("PRAGMA user_version = 999")
        connection.commit()
        connection.close()
        check_all(checks, host, "newer", lines_of(host, commands), "newer|version")
    with Host(admin) as host:
        host.state.mkdir()
        host.database.mkdir()
        (host.root / "export.json").write_text("{}")
        check_all(checks, host, "a directory in its place", lines_of(host, commands), "vgpu.db")


def check_absent_database(checks, admin, commands):
    """The first command of all makes the database, and says what is not there."""
    for command in commands:
        if command["name"] in SPEAKS_OF_FAULTS:
            continue
        with Host(admin) as host:
            with Host(admin) as other:
                prepare(other)
                (host.root / "export.json").write_bytes((other.root / "export.json").read_bytes())
            line = Line(command, host.root / "export.json").all()
            done = host.call(*line)
            if done.returncode == 0:
                checks.equal(done.stderr, b"", f"absent: {line}")
            else:
                check_line(checks, f"absent: {line}", done, FAILED, "no (VM|pool)|there is no|vgpud|hypervisor")
            checks.check(host.database.exists(), f"absent: {line}: no database was made")
            host.expect("list-vms")


def check_locked_database(checks, admin, commands):
    """Somebody holds the database and does not let go: whoever needs it says so after twenty seconds. All wait at once."""
    for what, statements in (("written to", ["BEGIN IMMEDIATE"]),
                             ("kept for one", ["PRAGMA locking_mode = EXCLUSIVE", "BEGIN IMMEDIATE",
                                               "UPDATE vms SET vm_name = 'x' WHERE vm_id = 1"])):
        with Host(admin) as host:
            prepare(host)
            before = host.dump()
            readers = what == "written to"
            connection = sqlite3.connect(host.database, isolation_level=None)
            for statement in statements:
                connection.execute(statement)
            running = [(line, subprocess.Popen([host.admin, *line.all()], env=host.env, stdin=subprocess.DEVNULL,
                                               stdout=subprocess.PIPE, stderr=subprocess.PIPE))
                       for line in good_lines(host, commands)
                       if line.command["name"] not in SPEAKS_OF_FAULTS | NEEDS_DAEMON]
            for line, process in running:
                out, errors = process.communicate(timeout=120)
                done = subprocess.CompletedProcess(line.all(), process.returncode, out, errors)
                if readers and not line.command["changes"]:
                    checks.equal((done.returncode, errors), (0, b""), f"{what}: {line.all()} only reads")
                else:
                    check_line(checks, f"{what}: {line.all()}", done, FAILED, "vgpu.db is locked by another program")
            connection.execute("ROLLBACK")
            connection.close()
            checks.equal(host.dump(), before, f"{what}: what is stored")


def check_unusable_directories(checks, admin, commands):
    with Host(admin) as host:
        host.state.write_text("a file\n")
        (host.root / "export.json").write_text("{}")
        lines = lines_of(host, commands)
        check_all(checks, host, "state directory is a file", lines, re.escape(str(host.state)))
        below = host.state / "deeper"
        check_all(checks, host, "below a file", lines, re.escape(str(host.state)),
                  env={"VGPU_STATE_DIR": str(below)})
        checks.equal(host.state.read_text(), "a file\n", "the file in the place of the directory")


def usable_by_nobody(host):
    """Arguments that run the program as a user whom file permissions bind; None where that cannot be done."""
    if os.geteuid() != 0:
        return {}
    kwargs = {"user": 65534, "group": 65534, "extra_groups": []}
    try:
        done = host.call("--version", **kwargs)
    except (OSError, subprocess.SubprocessError):
        return None
    return kwargs if done.returncode == 0 else None


def check_permissions(checks, admin, commands):
    with Host(admin) as host:
        prepare(host)
        kwargs = usable_by_nobody(host)
        if kwargs is None:
            checks.skipped.append("permissions: this machine cannot run the program as a plain user")
            return
        host.expect("list-vms")
        stored = host.dump()
        host.state.chmod(0o555)
        for path in host.state.iterdir():
            path.chmod(0o444)
        check_all(checks, host, "read-only", lines_of(host, commands, changes_only=True), "vgpu.db|read-only|permission|write", **kwargs)
        checks.equal(host.dump(), stored, "what is stored after changes to a read-only database")
        host.state.chmod(0)
        check_all(checks, host, "forbidden", lines_of(host, commands), re.escape(str(host.state)), **kwargs)
        host.state.chmod(0o755)
        locked = host.root / "locked"
        locked.mkdir(mode=0o555)
        check_all(checks, host, "cannot be created", lines_of(host, commands), re.escape(str(locked)),
                  env={"VGPU_STATE_DIR": str(locked / "state")}, **kwargs)
        checks.check(not (locked / "state").exists(), "a directory was made where none can be")


def check_full_disk(checks, admin, commands, library):
    with Host(admin) as host:
        prepare(host)
        stored = host.dump()
        env = {"LD_PRELOAD": library, "FULL_DISK_BELOW": str(host.state), "ASAN_OPTIONS": "verify_asan_link_order=0"}
        for line in lines_of(host, commands, changes_only=True):
            check_line(checks, f"full disk: {line}", host.call(*line, env=env), FAILED, "full|space")
        checks.equal(host.dump(), stored, "what is stored after changes on a full disk")
        host.expect("register-vm --vm-uuid=after --pool=A --priority=low")
    with Host(admin) as host:
        host.state.mkdir()
        env["FULL_DISK_BELOW"] = str(host.state)
        check_line(checks, "full disk: first use", host.call("list-vms", env=env), FAILED, "full|space")
        host.expect("list-vms")


def main():
    part, admin, print_commands, full_disk = sys.argv[1:]
    commands = json.loads(subprocess.run([print_commands], stdout=subprocess.PIPE, check=True).stdout)
    checks = Checks()
    if part == "words":
        check_wrong_commands(checks, admin)
        check_table(checks, admin, commands)
    else:
        check_damaged_databases(checks, admin, commands)
        check_absent_database(checks, admin, commands)
        check_locked_database(checks, admin, commands)
        check_unusable_directories(checks, admin, commands)
        check_permissions(checks, admin, commands)
        check_full_disk(checks, admin, commands, full_disk)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
