#!/usr/bin/env python3
"""Completion as a user of bash and zsh meets it: keys are typed into a shell on a terminal, and what stands on the
command line then is compared.

usage: test_completion.py VGPU_ADMIN VGPU_RUN COMPLETION_FOLDER"""

import contextlib
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "admin"))
from harness import Checks, Host, libvirt_is_here  # noqa: E402

ADMIN, RUN, FOLDER = (Path(word).resolve() for word in sys.argv[1:4])
WEB = "5e2f0b7c-1111-4a52-9d0f-0123456789ab"
PATIENCE_S = 120

# What is typed, and the words on the command line after the completion. A line ends where a value is wanted
# (--pool=), or with a blank where the word is complete.
TYPED = [
    ("vgpu-admin unassi\t", ["unassign-gpu"]),
    ("vgpu-admin list-p\t", ["list-pools"]),
    ("vgpu-admin help scan-v\t", ["help", "scan-vms"]),
    ("vgpu-admin set-pool --po\t", ["set-pool", "--pool="]),
    ("vgpu-admin add-pool --po\tC", ["add-pool", "--pool=C"]),
    ("vgpu-admin list-vms --priority=hi\t", ["list-vms", "--priority=high"]),
    ("vgpu-admin list-vms --priority hi\t", ["list-vms", "--priority", "high"]),
    ("vgpu-admin list-gpus --columns=name,st\t", ["list-gpus", "--columns=name,status"]),
    ("vgpu-admin list-gpus -o w\t", ["list-gpus", "-o", "wide"]),
    ("vgpu-admin list-gpus --js\t", ["list-gpus", "--json"]),
    ("vgpu-admin remove-pool --pool=Q\t", ["remove-pool", "--pool=Q"]),
    ("vgpu-admin show-vm --vm-uuid=ab\t", ["show-vm", "--vm-uuid=abc123"]),
    (f"vgpu-admin show-vm --vm-uuid={WEB[:5]}\t", ["show-vm", f"--vm-uuid={WEB}"]),
    ("vgpu-admin show-vm --vm-uuid ab\t", ["show-vm", "--vm-uuid", "abc123"]),
    ("vgpu-admin show-vm --vm-name=my\t", ["show-vm", "--vm-name=my web"]),
    ("vgpu-admin show-vm --vm-id=1\t", ["show-vm", "--vm-id=17"]),
    ("vgpu-admin show-gpu --gpu-id=1\t", ["show-gpu", "--gpu-id=1"]),
    ("vgpu-admin assign-gpu --pool=A,B --gpu-id=0 --he\t", ["assign-gpu", "--pool=A,B", "--gpu-id=0", "--help"]),
    ("vgpu-admin import ./configu\t", ["import", "./configuration.json"]),
    ("vgpu-run --vm-u\tabc\t", ["--vm-uuid=abc123"]),
    ("vgpu-run --vm-uuid=ab\t", ["--vm-uuid=abc123"]),
]
if libvirt_is_here():
    TYPED.append(("vgpu-admin register-vm --vm-uuid=6695\t",
                  ["register-vm", "--vm-uuid=6695eb01-f6a4-8304-79aa-97f2502e193f"]))


def complete(host, *words):
    done = host.call("__complete", *words)
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"__complete {words}: {done.stderr.decode()}")
    return [line.split("\t")[0] for line in done.stdout.decode().splitlines()]


def check_candidates(checks, host):
    """What the program itself offers, whatever the shell."""
    commands = complete(host, "")
    overview = re.findall(r"^  ([a-z-]+) ", host.expect("--help"), flags=re.M)
    checks.check(len(overview) > 20 and set(overview) <= set(commands), f"every command is offered: {commands}")
    for command in overview:
        shown = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", host.expect(f"{command} --help"), flags=re.M))
        offered = {word.rstrip("=") for word in complete(host, command, "--")}
        checks.check(shown <= offered, f"{command} lacks {shown - offered}")
    checks.equal(complete(host, "set-pool", "--vm-uuid=abc123", "--"), ["--pool=", "--json", "--help"],
                 "what is given is not offered again, nor another way to say which VM")
    checks.equal(complete(host, "set-pool", "--pool="), ["--pool=A", "--pool=B"], "letters of pools")
    checks.equal(complete(host, "no-such-command", "--"), [], "an unknown command")
    checks.equal(complete(host), [], "no word at all")


def check_without_database(checks, host):
    checks.equal(complete(host, "set-pool", "--pool="), [], "no database, no pools")
    checks.check(not host.state.exists(), "completing makes no database")


class Shell:
    """A shell on a terminal, with a program vgpu-admin that prints its words, one in brackets, once it is run."""

    def __init__(self, command, env):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(command, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        cwd=env["HOME"])
        os.close(slave)
        self.seen = ""

    def send(self, text):
        os.write(self.master, text.encode())

    def wait_for(self, pattern):
        """Reads until the pattern is there; returns the match. None: it did not come."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = re.search(pattern, self.seen)
            if found:
                self.seen = self.seen[found.end():]
                return found
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode(errors="replace")
                except OSError:
                    return None
        return None

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@contextlib.contextmanager
def shell(name, host):
    home = host.root / f"home-{name}"
    tools = home / "bin"
    tools.mkdir(parents=True)
    (home / "configuration.json").write_text("{}")
    for program, path in (("vgpu-admin", ADMIN), ("vgpu-run", RUN)):
        (tools / program).symlink_to(path)
    env = {**host.env, "HOME": str(home), "PATH": f"{tools}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "", "PS2": ""}
    env.pop("LC_ALL")
    env["LC_CTYPE"] = "C.UTF-8"
    # The completed line is run: a function in the shell prints the words it was given.
    show = 'show() { printf "<"; printf "[%s]" "$@"; printf ">\\n"; }\n'
    if name == "bash":
        rc = home / "rc"
        rc.write_text(show + f"bind 'set bell-style none'\nbind 'set enable-bracketed-paste off'\nstty -echo\n"
                             f"source {FOLDER}/vgpu-admin.bash\n"
                             "vgpu-admin() { if [[ $1 == __complete ]]; then command vgpu-admin \"$@\"; "
                             "else show \"$@\"; fi; }\nvgpu-run() { show \"$@\"; }\necho ready-now\n")
        one = Shell([shutil.which("bash"), "--noprofile", "--rcfile", str(rc), "-i"], env)
    else:
        (home / ".zshrc").write_text(
            show + f"fpath=({FOLDER} $fpath)\nautoload -Uz compinit\ncompinit -u -D\nPROMPT=''\nRPROMPT=''\n"
                   "unsetopt zle_bracketed_paste prompt_sp\nunset zle_bracketed_paste\nsetopt no_beep\n"
                   "vgpu-admin() { if [[ $1 == __complete ]]; then command vgpu-admin \"$@\"; "
                   "else show \"$@\"; fi; }\nvgpu-run() { show \"$@\"; }\necho ready-now\n")
        one = Shell([shutil.which("zsh"), "-d", "-i"], {**env, "ZDOTDIR": str(home)})
    try:
        if not one.wait_for("ready-now"):
            raise AssertionError(f"{name} does not start: {one.seen!r}")
        yield one
    finally:
        one.close()


def check_shell(checks, name, host):
    with shell(name, host) as one:
        for typed, expected in TYPED:
            one.send(typed + "\n")
            found = one.wait_for(r"<(\[[^>]*\])>")
            words = found.group(1)[1:-1].split("][") if found else f"nothing; on the screen: {one.seen!r}"
            checks.equal(words, expected, f"{name}: {typed!r}")
            if not found:
                return


def main():
    checks = Checks()
    with Host(ADMIN) as host:
        check_without_database(checks, host)
        host.expect("scan-gpus")
        host.env["VGPU_HYPERVISOR_URIS"] = "test:///default"
        host.expect(f"register-vm --vm-uuid={WEB} --pool=A --priority=high --vm-id=17")
        host.expect("register-vm --vm-uuid=abc123 --pool=A --priority=high --vm-id=2")
        checks.equal(host.call("rename-vm", f"--vm-uuid={WEB}", "--vm-name=my web").returncode, 0, "a name with a blank")
        check_candidates(checks, host)
        for name in ("bash", "zsh"):
            if shutil.which(name):
                check_shell(checks, name, host)
            else:
                checks.skipped.append(f"completion of {name}, which is not here")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
