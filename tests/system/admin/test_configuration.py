#!/usr/bin/env python3
"""Changing the configuration: which VMs a command line means, several at once, pools, several GPUs in a pool, the
history of changes, and the whole configuration as one file.

usage: test_configuration.py VGPU_ADMIN"""

import json
import re
import sys
import time

from harness import Checks, Host

UUIDS = ["0a0b0c0d-0000-4000-8000-00000000000f", "0a0b0c0d-1111-4000-8000-00000000000f"]


def refused(checks, host, line, status, *patterns):
    """The command line fails with one line and changes nothing; what it prints on stderr."""
    before = host.dump()
    done = host.call(*line.split())
    text = done.stderr.decode()
    checks.equal((done.returncode, done.stdout, text.count("\n")), (status, b"", 1), f"{line}: {text}")
    for pattern in patterns:
        checks.check(re.search(pattern, text), f"{line}: {pattern!r} is not in {text!r}")
    checks.equal(host.dump(), before, f"{line}: what is stored")


def rows(host, line):
    return [row.split() for row in host.expect(f"{line} --no-header").splitlines()]


def vms(host, *columns):
    return [tuple(row) for row in rows(host, f"list-vms --columns={','.join(columns)}")]


def register(host, count, pool="A"):
    for number in range(1, count + 1):
        host.expect(f"register-vm --vm-uuid=vm-{number} --pool={pool} --priority=low")


def check_selection(checks, admin):
    with Host(admin) as host:
        register(host, 12)
        host.expect(f"register-vm --vm-uuid={UUIDS[0]} --vm-name=web --pool=B --priority=high")
        host.expect(f"register-vm --vm-uuid={UUIDS[1]} --vm-name=web --pool=B --priority=high")
        for line in (f"--vm-uuid={UUIDS[0]}", "--vm-uuid=0a0b0c0d-0", "--vm-uuid=0A0B0C0D-0000", "--vm-id=13"):
            checks.check(f"UUID: {UUIDS[0]}\n" in host.expect(f"show-vm {line}"), f"show-vm {line}")
        checks.check("UUID: vm-1\n" in host.expect("show-vm --vm-uuid=vm-1"), "a whole identifier before its like")
        checks.check("UUID: vm-7\n" in host.expect("show-vm --vm-name=VM-7"), "a name nobody gave")
        refused(checks, host, "show-vm --vm-uuid=0a0b", 1, "2 VMs are meant by 0a0b", UUIDS[0], UUIDS[1], "web")
        refused(checks, host, "remove-vm --vm-uuid=vm-", 1, "12 VMs", "vm-1 ", "vm-5 ", "and 7 more")
        refused(checks, host, "set-pool --vm-name=web --pool=A", 1, "2 VMs are meant by web", *UUIDS)
        refused(checks, host, "show-vm --vm-name=we", 1, "no VM with the name we ")
        refused(checks, host, "show-vm --vm-uuid=VM-1", 1, "no VM with the identifier VM-1 ")
        refused(checks, host, "set-pool --vm-uuid=vm-1 --vm-name=web --pool=A", 2, "--vm-uuid and --vm-name")
        refused(checks, host, "set-pool --vm-uuid=vm-1 --vm-id=2 --pool=A", 2, "--vm-uuid and --vm-id")
        refused(checks, host, "set-pool --pool=A", 2, "--vm-uuid is missing", "--vm-name", "--vm-id")
        checks.equal(host.expect("set-priority --vm-name=VM-3 --priority=high"),
                     "VM-3 (vm-3): priority high (was low)\n", "set-priority --vm-name")
        checks.equal(host.expect("update-vm --vm-name=VM-3 --priority=low"),
                     "VM-3 (vm-3): priority low (was high)\n", "update-vm --vm-name selects")
        checks.equal(host.expect("update-vm --vm-uuid=vm-3 --vm-name=db"),
                     "db (vm-3): name db (was VM-3)\n", "update-vm --vm-uuid --vm-name names")
        refused(checks, host, "update-vm --vm-name=db", 2, "nothing to change")
        checks.equal(host.expect("rename-vm --vm-id=3 --vm-name=Büro"), "Büro (vm-3): name Büro (was db)\n", "rename-vm")
        checks.equal(host.expect("remove-vm --vm-name=Büro"),
                     "Removed Büro (vm-3): it was VM ID 3, pool A, priority low\n", "remove-vm --vm-name")
        checks.check("VM ID 3," in host.expect("register-vm --vm-uuid=again --pool=A --priority=low"),
                     "the lowest free number")


def check_ranges(checks, admin):
    """The customer's own example: users 1 to 7 and 8 to 20, each as one change."""
    with Host(admin) as host:
        for line in ("scan-gpus", "assign-gpu --gpu-id=0 --pool=A", "assign-gpu --gpu-id=1 --pool=B"):
            host.expect(line)
        register(host, 20)
        host.expect("set-pool --vm-id=1-7 --pool=A")
        said = host.expect("set-pool --vm-id=8-20 --pool=B")
        checks.equal(len(said.splitlines()), 13, f"lines about 13 VMs:\n{said}")
        checks.equal([pool for (pool,) in vms(host, "pool")], ["A"] * 7 + ["B"] * 13, "pools")
        host.expect("set-priority --vm-id=1-3,8,19-20 --priority=high")
        checks.equal([int(n) for n, p in vms(host, "vm-id", "priority") if p == "high"], [1, 2, 3, 8, 19, 20],
                     "those with high priority")
        host.expect("set-priority --vm-id=5-6,5,4-5 --priority=medium")
        checks.equal([int(n) for n, p in vms(host, "vm-id", "priority") if p == "medium"], [4, 5, 6], "overlapping")
        refused(checks, host, "set-pool --vm-id=1-7,30 --pool=B", 1, "no VM has the vm-id 30")
        refused(checks, host, "set-pool --vm-id=1-7,30-40 --pool=B", 1, "30 to 40")
        refused(checks, host, "set-pool --vm-id=1-20 --pool=Z", 1, "pool Z")
        for bad in ("7-1", "0-3", "1-", "-3", "1,,2", "1-2-3", "a", "1-99999999999", ",1", "1,", "1 -2"):
            done = host.call("set-pool", f"--vm-id={bad}", "--pool=B")
            checks.equal((done.returncode, done.stdout), (2, b""), f"--vm-id={bad}: {done.stderr}")
        host.expect("remove-vm --vm-id=2-19")
        checks.equal(vms(host, "vm-id"), [("1",), ("20",)], "what is left")
        changes = json.loads(host.expect("history --changes --json --limit=1000"))["changes"]
        checks.equal(sum(change["action"] == "remove-vm" for change in changes), 18, "removals in the history")


def check_pools(checks, admin):
    with Host(admin, gpus="NVIDIA H100 80GB PCIe*4") as host:
        host.expect("scan-gpus")
        checks.check(host.expect("add-pool --pool=c").startswith("Added pool C; give it a GPU"), "add-pool")
        refused(checks, host, "add-pool --pool=C", 1, "pool C exists already")
        refused(checks, host, "add-pool --pool=A", 1, "pool A exists already")
        for gpu in (0, 1, 2):
            host.expect(f"assign-gpu --gpu-id={gpu} --pool=C")
        register(host, 9, "C")
        checks.equal(sorted(gpu for _, gpu in vms(host, "gpu")), ["0"] * 3 + ["1"] * 3 + ["2"] * 3,
                     "nine VMs on the three GPUs of a pool")
        before = vms(host, "uuid", "gpu")
        host.expect("assign-gpu --gpu-id=3 --pool=C")
        checks.equal(vms(host, "uuid", "gpu"), before, "VMs stay where they are when a GPU comes")
        host.expect("register-vm --vm-uuid=late --pool=C --priority=low")
        checks.equal(vms(host, "uuid", "gpu")[-1], ("late", "GPU", "3"), "the least loaded GPU")
        said = host.expect("unassign-gpu --gpu-id=0")
        checks.equal(said, "GPU 0 (NVIDIA H100 80GB PCIe) now serves no pool; before: pool C\n", "unassign-gpu")
        after = dict((uuid, gpu) for uuid, _, gpu in vms(host, "uuid", "gpu"))
        checks.check("0" not in after.values(), "no VM is on a GPU that left the pool")
        checks.equal({u: g for u, _, g in before if g != "0"}, {u: after[u] for u, _, g in before if g != "0"},
                     "the others stay")
        refused(checks, host, "remove-pool --pool=C", 1, "in use by 10 VMs and 3 GPUs")
        refused(checks, host, "remove-pool --pool=A", 2, "always exist")
        refused(checks, host, "remove-pool --pool=Z", 1, "no pool Z")
        host.expect("assign-gpu --gpu-id=1 --pool=A,C")
        checks.equal(host.expect("unassign-gpu --gpu-id=1 --pool=C"),
                     "GPU 1 (NVIDIA H100 80GB PCIe) now serves pool A; before: pools A and C\n", "unassign one pool")
        refused(checks, host, "unassign-gpu --gpu-id=1 --pool=B", 1, "GPU 1 does not serve pool B")
        for gpu in (2, 3):
            said = host.expect(f"unassign-gpu --gpu-id={gpu}")
        checks.check("Pool C has no GPU now and its 10 VMs cannot run" in said, f"the last GPU of a pool: {said}")
        host.expect("set-pool --vm-id=1-10 --pool=A")
        checks.equal(host.expect("remove-pool --pool=C"), "Removed pool C\n", "remove-pool")
        checks.equal([row[0] for row in rows(host, "list-pools")], ["A", "B"], "pools afterwards")


def check_history(checks, admin):
    with Host(admin) as host:
        register(host, 2)
        host.expect("set-pool --vm-uuid=vm-1 --pool=B")
        host.expect("rename-vm --vm-uuid=vm-1 --vm-name=web")
        host.expect("remove-vm --vm-uuid=vm-1")
        columns = "--columns=who,what,of,field,from,to"
        listed = [line.split("  ") for line in host.expect(f"history --changes {columns}").splitlines()]
        words = [[word.strip() for word in line if word.strip()] for line in listed]
        user = words[1][0]
        checks.equal(words[1:],
                     [[user, "register-vm", "vm vm-1", "-", "-", "vm-id 1, pool A, low"],
                      [user, "register-vm", "vm vm-2", "-", "-", "vm-id 2, pool A, low"],
                      [user, "update-vm", "vm vm-1", "pool", "A", "B"],
                      [user, "update-vm", "vm vm-1", "name", "VM-1", "web"],
                      [user, "remove-vm", "vm vm-1", "-", "vm-id 1, pool B, low", "-"]], "history --changes")
        host.expect("register-vm --vm-uuid=vm-11 --pool=A --priority=low")
        checks.equal(len(rows(host, "history --changes --vm-uuid=vm-1")), 4, "changes of a VM that was removed")
        checks.equal(len(rows(host, "history --changes --vm-name=VM-2")), 1, "changes of a VM by name")
        checks.equal(len(rows(host, "history --changes --since=1h --limit=3")), 3, "--since --limit")
        tomorrow = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86400))
        checks.check("No change" in host.expect(f"history --changes --since={tomorrow}"), "--since tomorrow")
        both = host.expect("history --changes --grants")
        checks.check(both.startswith("Grants:\nNo grant") and "\nChanges of the configuration:\n" in both, both)
        refused(checks, host, "history --vm-uuid=nobody", 1, "nobody")
        refused(checks, host, "history --changes --columns=vm", 2, "no column 'vm'")
        for bad in ("yesterday", "2026-02-31", "2026-13-01", "5", "h", "-1h", "2026-01-01x", "1.5h"):
            refused(checks, host, f"history --since={bad}", 2, "--since")


def check_export(checks, admin):
    with Host(admin) as host, Host(admin) as other:
        empty = host.expect("export")
        for line in ("scan-gpus", "add-pool --pool=C", "assign-gpu --gpu-id=0 --pool=A,C"):
            host.expect(line)
        register(host, 3)
        host.expect("register-vm --vm-uuid=x --vm-name=Büro-仮想 --pool=C --priority=high --vm-id=40 --vsock-cid=9")
        host.expect("pause --vm-uuid=x")
        host.expect("set-limits --vm-uuid=x --memory=16G --weight=4")
        host.expect("set-limits --pool=C --mode=shared:4 --time-limit=10s")
        host.expect("quarantine --vm-uuid=vm-2 --reason=coins")
        text = host.expect("export")
        checks.equal(host.expect("export"), text, "a second export")
        configuration = json.loads(text)
        checks.equal(configuration["pools"], ["A", "B", "C"], "pools in the file")
        checks.equal([gpu["pools"] for gpu in configuration["gpus"]], [["A", "C"], []], "GPUs in the file")
        checks.equal(configuration["vms"][-1],
                     {"vm_uuid": "x", "vm_id": 40, "vm_name": "Büro-仮想", "pool": "C", "priority": "high",
                      "vsock_cid": 9, "paused": True, "limits": {"weight": 4, "memory_limit_bytes": 16 << 30}},
                     "a VM in the file")
        checks.equal(configuration["pool_limits"], {"C": {"time_limit_us": 10000000, "shared_vms": 4}},
                     "limits of pools in the file")
        checks.equal(configuration["vms"][1]["quarantine"], "coins", "quarantine in the file")
        before = host.expect("export")
        host.expect("set-priority --vm-uuid=vm-2 --priority=high")
        different = set(before.splitlines()) ^ set(host.expect("export").splitlines())
        checks.equal(len(different), 2, "lines that differ after a change of one VM")
        host.expect("set-priority --vm-uuid=vm-2 --priority=low")
        checks.equal(host.expect("export"), text, "the export after changing it back")

        done = other.call("import", "-", input=text.encode())
        checks.equal((done.returncode, done.stderr), (0, b""), "import into an empty database")
        checks.equal(other.expect("export"), text, "what was imported elsewhere")
        other.expect("scan-gpus")
        checks.equal(other.expect("export"), text, "what was imported, after a scan has found its GPUs")
        checks.equal([row[-1] for row in vms(other, "uuid", "gpu-status")], ["Online"] * 4, "VMs after the scan")
        done = other.call("import", "-", input=empty.encode())
        checks.equal(done.returncode, 0, f"import of nothing: {done.stderr}")
        checks.check("No VM is registered" in other.expect("list-vms"), "VMs after the import of nothing")


def check_import(checks, admin):
    with Host(admin) as host:
        host.expect("scan-gpus")
        host.expect("assign-gpu --gpu-id=0 --pool=A")
        register(host, 5)
        host.expect("update-vm --vm-uuid=vm-4 --vsock-cid=14")
        host.expect("update-vm --vm-uuid=vm-5 --vsock-cid=15")
        path = host.root / "vgpu.json"
        configuration = json.loads(host.expect("export"))
        members = {vm["vm_uuid"]: vm for vm in configuration["vms"]}
        members["vm-1"]["vm_id"], members["vm-2"]["vm_id"] = 2, 1  # two that swap their numbers
        members["vm-4"]["vsock_cid"], members["vm-5"]["vsock_cid"] = 15, 14
        members["vm-3"].update(pool="D", priority="high", vm_name="three")
        configuration["pools"].append("D")
        configuration["gpus"][1]["pools"] = ["D", "A"]
        configuration["vms"].append({"vm_uuid": "new", "vm_id": 6, "pool": "D", "priority": "low"})
        path.write_text(json.dumps(configuration))
        before = host.dump()
        shown = host.expect(f"import --dry-run {path}").splitlines()
        checks.equal(host.dump(), before, "what is stored after a dry run")
        checks.equal(sorted(shown[:-1]), sorted([
            "+ pool D", "~ gpu 1: pools none -> DA",
            "~ vm vm-1: vm-id 1 -> 2", "~ vm vm-1: name VM-1 -> VM-2",
            "~ vm vm-2: vm-id 2 -> 1", "~ vm vm-2: name VM-2 -> VM-1",
            "~ vm vm-3: pool A -> D", "~ vm vm-3: priority low -> high", "~ vm vm-3: name VM-3 -> three",
            "~ vm vm-4: vsock-cid 14 -> 15", "~ vm vm-5: vsock-cid 15 -> 14",
            "+ vm new: vm-id 6, pool D, low"]), "import --dry-run")
        checks.equal(shown[-1], "This would be changed: 2 added, 10 changed, 0 removed", "the sum")
        checks.equal(host.expect(f"import {path}"),
                     "The configuration is now as the file says: 2 added, 10 changed, 0 removed\n", "import")
        checks.equal(host.expect(f"import {path}"),
                     "The configuration is as the file says: nothing to change\n", "import again")
        checks.equal(vms(host, "vm-id", "uuid"),
                     [("1", "vm-2"), ("2", "vm-1"), ("3", "vm-3"), ("4", "vm-4"), ("5", "vm-5"), ("6", "new")],
                     "numbers after the import")
        checks.equal(json.loads(host.expect("list-vms --json"))["vms"][2]["gpu_id"], 1, "the GPU of a moved VM")
        checks.equal(sum(row["action"] == "update-vm" for row in
                         json.loads(host.expect("history --changes --json --limit=12"))["changes"]), 9,
                     "changes of VMs in the history")


def spoiled(configuration):
    """Files that are wrong, each in one place, and what is said of it."""
    def changed(change):
        copy = json.loads(json.dumps(configuration))
        change(copy)
        return json.dumps(copy)

    yield "", "no JSON, at line 1"
    yield "{", "no JSON"
    yield "[]", "no configuration of vgpu"
    yield "{}", "no configuration of vgpu"
    yield '{"format": "vgpu-configuration"}', "version"
    yield changed(lambda c: c.update(version=99)), "newer vgpu"
    yield changed(lambda c: c.update(more=1)), '"more"'
    yield changed(lambda c: c.pop("vms")), '"vms" is missing'
    yield changed(lambda c: c.update(gpus={})), '"gpus" is missing or no list'
    yield changed(lambda c: c["pools"].remove("A")), "lacks A or B"
    yield changed(lambda c: c["pools"].append("A")), "pool A stands twice"
    yield changed(lambda c: c["pools"].append("CC")), r"pools\[2\]: 'CC' is no pool"
    yield changed(lambda c: c["pools"].append(3)), r"pools\[2\]"
    yield changed(lambda c: c["vms"].append(3)), r"vms\[2\] is no object"
    yield changed(lambda c: c["vms"][1].pop("vm_uuid")), r'vms\[1\]: "vm_uuid" is missing'
    yield changed(lambda c: c["vms"][1].update(vm_uuid="a/b")), r"vms\[1\]: 'a/b' cannot be a VM's identifier"
    yield changed(lambda c: c["vms"][1].update(vm_uuid="vm-1")), 'the same "vm_uuid"'
    yield changed(lambda c: c["vms"][1].update(vm_id=1)), r'vms\[0\].*vms\[1\].*the same "vm_id"'
    yield changed(lambda c: c["vms"][1].update(vm_id=0)), r'vms\[1\]: "vm_id"'
    yield changed(lambda c: c["vms"][1].update(vm_id="2")), r'vms\[1\]: "vm_id"'
    yield changed(lambda c: c["vms"][1].update(vm_id=2**31)), r'vms\[1\]: "vm_id"'
    yield changed(lambda c: c["vms"][1].update(pool="C")), "no pool C in"
    yield changed(lambda c: c["vms"][1].update(priority="urgent")), "'urgent' is no priority"
    yield changed(lambda c: c["vms"][1].update(vsock_cid=2)), r'vms\[1\]: "vsock_cid"'
    yield changed(lambda c: [vm.update(vsock_cid=7) for vm in c["vms"]]), 'the same "vsock_cid"'
    yield changed(lambda c: c["vms"][1].update(vm_name="a\tb")), "control character"
    yield changed(lambda c: c["vms"][1].update(vm_name="a" * 65)), "at most 64 characters"
    yield changed(lambda c: c["vms"][1].update(more=3)), '"more"'
    yield changed(lambda c: c["vms"][1].update(paused="no")), 'write true or false'
    yield changed(lambda c: c["vms"][1].update(limits=3)), "limits are no object"
    yield changed(lambda c: c["vms"][1].update(limits={"wait": 3})), 'no limit "wait"'
    yield changed(lambda c: c["vms"][1].update(limits={"weight": 0})), "weight: 0 is out of range"
    yield changed(lambda c: c["vms"][1].update(limits={"weight": "4"})), '"weight" is no whole number'
    yield changed(lambda c: c["vms"][1].update(limits={"shared_vms": 4})), "mode is of pools"
    yield changed(lambda c: c["vms"][1].update(quarantine=True)), '"quarantine" is no text'
    yield changed(lambda c: c.update(pool_limits=[])), '"pool_limits" is no object'
    yield changed(lambda c: c.update(pool_limits={"Z": {}})), '"Z" is not in "pools"'
    yield changed(lambda c: c.update(pool_limits={"A": {"shared_vms": 65}})), "shared:65 is out of range"
    yield changed(lambda c: c["gpus"][0].update(gpu_uuid="")), r'gpus\[0\]: "gpu_uuid"'
    yield changed(lambda c: c["gpus"][0].update(gpu_uuid="GPU-other")), "GPU 0 is GPU-.* here"
    yield changed(lambda c: c["gpus"][0].update(gpu_id=1)), "no two have the same"
    yield changed(lambda c: c["gpus"][0].update(pools=["A", "A"])), "pool A stands twice"
    yield changed(lambda c: c["gpus"][0].update(pools="A")), '"pools" is no list'
    yield changed(lambda c: c["gpus"][0].update(pools=["Z"])), "no pool Z"
    yield '{"format": "vgpu-configuration", "format": "vgpu-configuration"}', "no JSON"


def check_spoiled(checks, admin):
    with Host(admin) as host:
        host.expect("scan-gpus")
        register(host, 2)
        configuration = json.loads(host.expect("export"))
        path = host.root / "vgpu.json"
        for text, pattern in spoiled(configuration):
            path.write_text(text)
            refused(checks, host, f"import {path}", 1, pattern)
            refused(checks, host, f"import --dry-run {path}", 1, pattern)
        path.write_bytes(b'{"format": "\xff"}')
        refused(checks, host, f"import {path}", 1, "no JSON")
        refused(checks, host, f"import {host.root}/nothing.json", 1, "cannot open .*: No such file")
        refused(checks, host, f"import {host.root}", 1, "cannot read .*: Is a directory")
        refused(checks, host, "import /dev/null", 1, "no JSON")
        refused(checks, host, "import", 2, "the FILE is missing")
        refused(checks, host, "import a b", 2, "'b' is one FILE too many")
        # The last VM is wrong for the database only: all that came before is taken back.
        configuration["gpus"] = []
        configuration["vms"] = [{"vm_uuid": f"n{n}", "vm_id": n, "pool": "A", "priority": "low"} for n in range(1, 9)]
        configuration["gpus"].append({"gpu_uuid": "GPU-new", "gpu_id": 0, "pools": []})
        path.write_text(json.dumps(configuration))
        refused(checks, host, f"import {path}", 1, "GPU 0 is GPU-")


def check_many(checks, admin):
    """10,000 VMs go in and out; bench/admin says how fast."""
    with Host(admin) as host:
        many = {"format": "vgpu-configuration", "version": 1, "pools": ["A", "B"], "gpus": [],
                "vms": [{"vm_uuid": f"vm-{n}", "vm_id": n, "pool": "AB"[n % 2], "priority": "low"}
                        for n in range(1, 10001)]}
        done = host.call("import", "-", input=json.dumps(many).encode())
        checks.equal((done.returncode, done.stdout),
                     (0, b"The configuration is now as the file says: 10000 added, 0 changed, 0 removed\n"),
                     f"import of 10,000 VMs: {done.stderr}")
        checks.equal(json.loads(host.expect("export"))["vms"], many["vms"], "the export of 10,000 VMs")
        checks.equal(len(host.expect("list-vms --no-header").splitlines()), 10000, "lines of list-vms")


def main():
    (admin,) = sys.argv[1:]
    checks = Checks()
    for check in (check_selection, check_ranges, check_pools, check_history, check_export, check_import,
                  check_spoiled, check_many):
        check(checks, admin)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
