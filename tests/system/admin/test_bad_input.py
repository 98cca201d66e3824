#!/usr/bin/python3
"""Whatever is wrong with a command, its values or the database: one line on stderr that says what is wrong and
what to do, the right exit status, nothing printed, nothing changed.

usage: test_bad_input.py VGPU_ADMIN FULL_DISK_LIBRARY"""

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

# What every command that reads, and every one that changes, says to a database that it cannot use.
ANY_COMMAND = [
    "scan-gpus",
    "list-gpus",
    "show-gpu --gpu-id=0",
    "assign-gpu --gpu-id=0 --pool=B",
    REGISTER,
    "list-vms",
    "show-vm --vm-uuid=abc123",
    "set-pool --vm-uuid=abc123 --pool=B",
    "set-priority --vm-uuid=abc123 --priority=low",
    "set-vm-id --vm-uuid=abc123 --vm-id=77",
    "update-vm --vm-uuid=abc123 --pool=B",
    "remove-vm --vm-uuid=abc123",
    "status",
    "list-pools",
    "history",
]
CHANGES = [line for line in ANY_COMMAND if line.split()[0] in
           {"scan-gpus", "assign-gpu", "register-vm", "set-pool", "set-priority", "set-vm-id", "update-vm", "remove-vm"}]


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
        "assign-gpu --gpu-id=0 --pool=A",
        "register-vm --vm-uuid=abc123 --pool=A --priority=high --vm-id=1",
        "register-vm --vm-uuid=def456 --pool=A --priority=low --vm-id=2 --vsock-cid=7",
        "register-vm --vm-uuid=0a0b0c0d-0000-4000-8000-00000000000f --pool=B --priority=low",
    ]:
        host.expect(line)


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
        check_line(checks, f"{what}: {line}", host.call(*line.split(), **kwargs), FAILED, pattern)
    checks.equal(host.fingerprint(), before, f"{what}: the file")


def check_damaged_databases(checks, admin):
    with Host(admin) as host:
        host.state.mkdir()
        host.database.write_bytes(b"this is no database\n" * 1000)
        check_all(checks, host, "no database", ANY_COMMAND, "vgpu.db")
    with Host(admin) as host:
        prepare(host)
        good = host.database.read_bytes()
        host.database.write_bytes(good[:100] + b"\xa5" * (len(good) - 100))
        check_all(checks, host, "overwritten", ANY_COMMAND, "vgpu.db")
    with Host(admin) as host:
        prepare(host)
        connection = sqlite3.connect(host.database)
        connection.execute("PRAGMA user_version = 999")
        connection.commit()
        connection.close()
        check_all(checks, host, "newer", ANY_COMMAND, "newer|version")
    with Host(admin) as host:
        host.state.mkdir()
        host.database.mkdir()
        check_all(checks, host, "a directory in its place", ANY_COMMAND[:3], "vgpu.db")


def check_unusable_directories(checks, admin):
    with Host(admin) as host:
        host.state.write_text("a file\n")
        check_all(checks, host, "state directory is a file", ANY_COMMAND[:5], re.escape(str(host.state)))
        below = host.state / "deeper"
        check_all(checks, host, "below a file", ANY_COMMAND[:5], re.escape(str(host.state)),
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


def check_permissions(checks, admin):
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
        check_all(checks, host, "read-only", CHANGES, "vgpu.db|read-only|permission|write", **kwargs)
        checks.equal(host.dump(), stored, "what is stored after changes to a read-only database")
        host.state.chmod(0)
        check_all(checks, host, "forbidden", ANY_COMMAND, re.escape(str(host.state)), **kwargs)
        host.state.chmod(0o755)
        locked = host.root / "locked"
        locked.mkdir(mode=0o555)
        check_all(checks, host, "cannot be created", ANY_COMMAND[:5], re.escape(str(locked)),
                  env={"VGPU_STATE_DIR": str(locked / "state")}, **kwargs)
        checks.check(not (locked / "state").exists(), "a directory was made where none can be")


def check_full_disk(checks, admin, library):
    with Host(admin) as host:
        prepare(host)
        stored = host.dump()
        env = {"LD_PRELOAD": library, "FULL_DISK_BELOW": str(host.state), "ASAN_OPTIONS": "verify_asan_link_order=0"}
        for line in CHANGES:
            check_line(checks, f"full disk: {line}", host.call(*line.split(), env=env), FAILED, "full|space")
        checks.equal(host.dump(), stored, "what is stored after changes on a full disk")
        host.expect("register-vm --vm-uuid=after --pool=A --priority=low")
    with Host(admin) as host:
        host.state.mkdir()
        env["FULL_DISK_BELOW"] = str(host.state)
        check_line(checks, "full disk: first use", host.call("list-vms", env=env), FAILED, "full|space")
        host.expect("list-vms")


def main():
    admin, full_disk = sys.argv[1:]
    checks = Checks()
    check_wrong_commands(checks, admin)
    check_damaged_databases(checks, admin)
    check_unusable_directories(checks, admin)
    check_permissions(checks, admin)
    check_full_disk(checks, admin, full_disk)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
