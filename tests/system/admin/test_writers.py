#!/usr/bin/env python3
"""Two hundred administrators at once, each a process of its own: they register VMs, move them, remove them. Every
answer is true, and nothing is lost or there twice.

usage: test_writers.py VGPU_ADMIN"""

import json
import sqlite3
import subprocess
import sys

from harness import Checks, Host

WRITERS = 200


def run_at_once(host, lines):
    """Starts all of them, then waits for all: exit status and what each said."""
    running = [subprocess.Popen([host.admin, *line.split()], env=host.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for line in lines]
    results = []
    for process in running:
        out, errors = process.communicate(timeout=120)
        results.append((process.returncode, out.decode(), errors.decode()))
    return results


def all_done(checks, what, results):
    failed = [result for result in results if result[0] != 0 or result[2]]
    checks.equal(failed[:3], [], f"{what}: {len(failed)} of {len(results)} failed")


def vms(host):
    return {vm["vm_uuid"]: vm for vm in json.loads(host.expect("list-vms --json"))["vms"]}


def changes(host, action):
    listed = json.loads(host.expect("history --changes --json --limit=1000000"))["changes"]
    return sorted(change["subject"] for change in listed if change["action"] == action)


def main():
    (admin,) = sys.argv[1:]
    checks = Checks()
    names = [f"w{number:03}" for number in range(WRITERS)]
    with Host(admin) as host:
        for line in ("scan-gpus", "assign-gpu --gpu-id=0 --pool=A", "assign-gpu --gpu-id=1 --pool=B"):
            host.expect(line)

        registered = run_at_once(host, [f"register-vm --vm-uuid={name} --pool=A --priority=low --json"
                                        for name in names])
        all_done(checks, "register", registered)
        there = vms(host)
        checks.equal(sorted(there), names, "VMs after all registered at once")
        checks.equal(sorted(vm["vm_id"] for vm in there.values()), list(range(1, WRITERS + 1)),
                     "numbers: the lowest free ones, each once")
        told = {vm["vm_uuid"]: vm["vm_id"] for _, out, _ in registered
                for vm in [json.loads(out)["vms"][0]["after"]]}
        checks.equal(told, {name: vm["vm_id"] for name, vm in there.items()}, "the numbers each was told")
        checks.equal(changes(host, "register-vm"), [f"vm {name}" for name in names], "registrations in the history")

        same = run_at_once(host, ["register-vm --vm-uuid=same --pool=B --priority=high --vm-id=500"] * 20)
        checks.equal(sorted(status for status, _, _ in same), [0] + [1] * 19, "one of twenty registers the same VM")
        host.expect("remove-vm --vm-uuid=same")

        # A third is moved, a third is removed, a third changes its priority; readers look on.
        lines = [f"set-pool --vm-uuid={name} --pool=B" if number % 3 == 0 else
                 f"remove-vm --vm-uuid={name}" if number % 3 == 1 else
                 f"set-priority --vm-uuid={name} --priority=high" for number, name in enumerate(names)]
        all_done(checks, "change", run_at_once(host, lines + ["list-vms", "status", "export"] * 5))
        there = vms(host)
        expected = {name: ("B", "low") if number % 3 == 0 else ("A", "high")
                    for number, name in enumerate(names) if number % 3 != 1}
        checks.equal({name: (vm["pool"], vm["priority"]) for name, vm in there.items()}, expected,
                     "VMs after all changed at once")
        removed = [f"vm {name}" for number, name in enumerate(names) if number % 3 == 1]
        checks.equal(changes(host, "remove-vm"), ["vm same"] + removed, "removals in the history")
        checks.equal(len(changes(host, "update-vm")), WRITERS - len(removed), "changes in the history")
        checks.equal({vm["gpu_id"] for vm in there.values() if vm["pool"] == "B"}, {1}, "the GPU of those moved")

        # Whole configurations and single changes at once: each import is there whole, or another after it.
        exported = host.root / "export.json"
        exported.write_text(host.expect("export"))
        all_done(checks, "import", run_at_once(host, [f"import {exported}"] * 10 +
                                               [f"set-pool --vm-uuid={name} --pool=B" for name in list(expected)[:12]]))
        checks.equal(sorted(vms(host)), sorted(expected), "VMs after imports at once")
        with sqlite3.connect(host.database) as connection:
            checks.equal(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "integrity_check")
            checks.equal(connection.execute("PRAGMA foreign_key_check").fetchall(), [], "foreign_key_check")
        connection.close()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
