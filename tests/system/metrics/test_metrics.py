#!/usr/bin/env python3
"""Metrics over HTTP: that the numbers are right, that Debian's promtool and prometheus take them, that the dashboard of
Grafana names none that is not there, and that whoever reads them slowly, or not at all, holds up nobody.

usage: test_metrics.py VGPU_ADMIN VGPUD FAKE_WORKER DASHBOARD"""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "admin"))
from harness import Checks, Host  # noqa: E402

WELCOME_BYTES = 16 + 240
PATIENCE_S = 120


RESERVED = []  # sockets that keep their ports from everybody else


def free_port():
    """Whoever says SO_REUSEADDR may listen there; nobody is given it by chance."""
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    RESERVED.append(probe)
    return probe.getsockname()[1]


class Daemon:
    """vgpud on the host, with its metrics at self.url."""

    def __init__(self, host, vgpud, worker, *options):
        self.host = host
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = open(host.root / "vgpud.log", "wb")
        self.process = subprocess.Popen(
            [vgpud, f"--metrics-address=127.0.0.1:{self.port}", *options], stderr=self.log,
            env={**host.env, "VGPU_WORKER": worker, "VGPU_WARM_WORKERS": "0"})

    def __enter__(self):
        wait_for(lambda: (self.host.run_dir / "admin.sock").exists() and b"running:" in self.said(), "the daemon")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        status = self.process.wait(PATIENCE_S)
        self.log.close()
        if status != 0:
            raise AssertionError(f"vgpud ended with {status}: {self.said().decode()}")

    def said(self):
        return (self.host.root / "vgpud.log").read_bytes()

    def get(self, path="/metrics"):
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE_S) as answer:
            return answer.read().decode()

    def samples(self):
        """{"name{labels}": value} of what is there now: not of what was a moment ago, which may be given again."""
        time.sleep(0.3)
        return dict(parse(self.get()))


def wait_for(condition, what):
    limit = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f"{what} did not come within {PATIENCE_S} s")
        time.sleep(0.02)


def parse(text):
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            yield name, float(value)


class Guest:
    """A guest process with a fake worker, which does as it is told (tests/system/daemon/fake_worker.c)."""

    def __init__(self, host, vm_uuid):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(host.run_dir / "guests" / f"{vm_uuid}.sock"))
        self.socket.sendall(b"V")  # of the handshake's first word: it is a guest process
        welcome = b""
        while len(welcome) < WELCOME_BYTES:
            welcome += self.socket.recv(WELCOME_BYTES - len(welcome))
        self.lines = self.socket.makefile("r")

    def do(self, commands):
        self.socket.sendall(commands.encode())

    def get_grant(self):
        """Asks for the GPU, and has it."""
        self.do("w")
        got = self.lines.readline().strip()
        if got not in ("held", "contended"):  # who has just given back may still be on its way
            raise AssertionError(f"the worker says {got!r}, not that it has the GPU")

    def close(self):
        self.lines.close()
        self.socket.close()


def set_up(host):
    for line in ("scan-gpus", "assign-gpu --gpu-id=0 --pool=A", "register-vm --vm-uuid=vm-1 --pool=A --priority=high",
                 "register-vm --vm-uuid=vm-2 --pool=A --priority=low --weight=4",
                 "register-vm --vm-uuid=unused --pool=A --priority=low"):
        host.expect(line)
    host.call("rename-vm", "--vm-uuid=vm-2", "--vm-name=a \"quoted\\ name")


def work(host, daemon):
    """Three grants of vm-1, one of vm-2 in between and one that goes on, a fault, two calls."""
    first, second = Guest(host, "vm-1"), Guest(host, "vm-2")
    first.do("cc")
    first.get_grant()
    first.do("r")
    first.get_grant()
    first.do("r")
    second.get_grant()
    second.do("r")
    first.get_grant()
    second.do("F")
    second.close()
    wait_for(lambda: daemon.samples()['vgpu_vm_guest_processes{vm="vm-2"}'] == 0, "the end of a guest")
    return first


def check_numbers(checks, daemon, host, promtool):
    guest = work(host, daemon)
    samples = daemon.samples()
    for name, value in {
        "vgpu_guest_processes": 1, "vgpu_registered_vms": 3, "vgpu_left_out_vms": 0,
        'vgpu_gpu_online{gpu="0"}': 1, 'vgpu_gpu_held{gpu="0"}': 1, 'vgpu_gpu_held{gpu="1"}': 0,
        'vgpu_gpu_waiting_vms{gpu="0"}': 0, 'vgpu_gpu_places{gpu="0"}': 1, 'vgpu_gpu_handovers_total{gpu="0"}': 3,
        'vgpu_gpu_wait_seconds_count{gpu="0",priority="high"}': 3,
        'vgpu_gpu_wait_seconds_bucket{gpu="0",priority="high",le="+Inf"}': 3,
        'vgpu_gpu_hold_seconds_count{gpu="0",priority="high"}': 2,
        'vgpu_gpu_hold_seconds_count{gpu="0",priority="low"}': 1,
        'vgpu_vm_info{vm="vm-1",name="VM-1",pool="A",priority="high"}': 1,
        'vgpu_vm_info{vm="vm-2",name="a \\"quoted\\\\ name",pool="A",priority="low"}': 1,
        'vgpu_vm_weight{vm="vm-2"}': 4, 'vgpu_vm_calls_total{vm="vm-1"}': 2,
        'vgpu_vm_wait_seconds_count{vm="vm-1"}': 3, 'vgpu_vm_hold_seconds_count{vm="vm-1"}': 2,
        'vgpu_vm_faults_total{vm="vm-2"}': 1, 'vgpu_vm_faults_total{vm="vm-1"}': 0,
        'vgpu_vm_quarantined{vm="vm-2"}': 0,
    }.items():
        checks.equal(samples.get(name), value, name)
    checks.check(not any('"unused"' in name for name in samples), "a VM without guest processes has no metrics")
    wait = samples['vgpu_vm_wait_seconds{vm="vm-1",quantile="0.99"}']
    checks.check(0 <= wait < 10, f"the quantile of waits is in seconds: {wait}")
    host.expect("quarantine --vm-uuid=vm-2")
    checks.equal(daemon.samples()['vgpu_vm_quarantined{vm="vm-2"}'], 1, "quarantine")
    table = host.expect("metrics --columns=vm-id,grants,faults").splitlines()
    checks.equal([row.split() for row in table[1:]], [["1", "3", "0"], ["2", "1", "1"]], "vgpu-admin metrics")
    gpus = host.expect("metrics --gpus --columns=gpu,grants,handovers").splitlines()
    checks.equal([row.split() for row in gpus[1:]], [["0", "4", "3"], ["1", "0", "0"]], "vgpu-admin metrics --gpus")
    checks.check("Faults: 1" in host.expect("show-vm --vm-uuid=vm-2"), "show-vm names the fault")
    if promtool:
        done = subprocess.run([promtool, "check", "metrics"], input=daemon.get().encode(), capture_output=True,
                              check=False)
        checks.equal((done.returncode, done.stdout + done.stderr), (0, b""), "promtool check metrics")
    guest.close()


def check_http(checks, daemon):
    checks.check("/metrics" in daemon.get("/"), "the page at /")
    for path, method, wanted in (("/metrics/x", "GET", 404), ("/metrics", "POST", 405), ("/metrics", "DELETE", 405)):
        request = urllib.request.Request(daemon.url + path, method=method, data=b"x" if method == "POST" else None)
        status = 200
        try:
            urllib.request.urlopen(request, timeout=PATIENCE_S).close()
        except urllib.error.HTTPError as error:
            status = error.code
        checks.equal(status, wanted, f"{method} {path}")


def check_slow_readers(checks, daemon, host):
    """More connections than are served, of those who ask and never read, and those who never ask."""
    with contextlib.ExitStack() as stack:
        for number in range(60):
            reader = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port)))
            if number % 2 == 0:
                reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                reader.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        host.expect("queue")
        guest = Guest(host, "vm-1")
        guest.get_grant()
        guest.close()
        host.expect("metrics")
    wait_for(lambda: "vgpu_registered_vms 3" in daemon.get(), "an answer after they have left")
    checks.check(True, "slow readers")


def check_dashboard(checks, daemon, path):
    """Every metric that the dashboard names is there, and every panel has a query."""
    with open(path, encoding="utf-8") as file:
        dashboard = json.load(file)
    known = set()
    for line in daemon.get().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            known.add(name)
            if kind in ("histogram", "summary"):
                known |= {name + "_sum", name + "_count"} | ({name + "_bucket"} if kind == "histogram" else set())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    checks.check(len(panels) > 10, "the dashboard has panels")
    checks.equal(len({panel["id"] for panel in dashboard["panels"]}), len(dashboard["panels"]), "numbers of panels")
    named = set()
    for panel in panels:
        checks.check(panel["targets"] and all(target["expr"] for target in panel["targets"]),
                     f"panel {panel['title']} has queries")
        named |= {name for target in panel["targets"] for name in re.findall(r"\bvgpu_\w+", target["expr"])}
    for variable in dashboard["templating"]["list"]:
        query = variable["query"]
        named |= set(re.findall(r"\bvgpu_\w+", query if isinstance(query, str) else query["query"]))
    checks.equal(named - known, set(), "metrics that the dashboard names and vgpud does not have")
    own = {name for name in known if not name.endswith(("_sum", "_count", "_bucket"))}
    checks.check(len(named) * 2 > len(own), "the dashboard shows most of what there is")
    return [target["expr"] for panel in panels for target in panel["targets"]]


def check_prometheus(checks, daemon, host, prometheus, queries):
    """A scrape by prometheus itself, and the queries of the dashboard."""
    directory = host.root / "prometheus"
    directory.mkdir()
    port = free_port()
    (directory / "prometheus.yml").write_text(
        "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: vgpu\n    static_configs:\n"
        f"      - targets: ['127.0.0.1:{daemon.port}']\n")
    process = subprocess.Popen(
        [prometheus, f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(query):
        url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            return json.loads(text) if text.startswith("{") else {"status": "absent", "error": text}
        except (urllib.error.URLError, ConnectionError):
            return {"status": "absent"}

    try:
        wait_for(lambda: ask("vgpu_registered_vms").get("data", {}).get("result"), "prometheus' first scrape")
        checks.equal(ask("vgpu_registered_vms")["data"]["result"][0]["value"][1], "3", "what prometheus has read")
        checks.equal(ask("up")["data"]["result"][0]["value"][1], "1", "prometheus says that the target is up")
        for query in queries:
            for name, value in {"$__rate_interval": "1m", "$__range": "1h", "$gpu": ".*", "$pool": ".*"}.items():
                query = query.replace(name, value)
            answer = ask(query)
            checks.equal(answer["status"], "success", f"{query}: {answer.get('error')}")
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def check_cardinality(checks, admin, vgpud, worker):
    with Host(admin) as host:
        set_up(host)
        with Daemon(host, vgpud, worker, "--metrics-max-vms=1") as daemon:
            Guest(host, "vm-2").close()
            wait_for(lambda: 'vgpu_vm_weight{vm="vm-2"}' in daemon.samples(), "metrics of the first VM")
            Guest(host, "vm-1").close()
            wait_for(lambda: daemon.samples()["vgpu_left_out_vms"] == 1, "a VM that is left out")
            samples = daemon.samples()
            checks.check('vgpu_vm_weight{vm="vm-2"}' in samples and 'vgpu_vm_weight{vm="vm-1"}' not in samples,
                         "the first VM stays, the second is left out")
            host.expect("remove-vm --vm-uuid=vm-2")
            wait_for(lambda: 'vgpu_vm_weight{vm="vm-1"}' in daemon.samples(), "metrics of the next VM")


def check_off(checks, admin, vgpud):
    """Without an address nothing listens; a wrong one is refused in words."""
    with Host(admin) as host:
        for address, words in (("127.0.0.1", "127.0.0.1"), ("example.com:80", "example.com"), ("300.1.1.1:80", "300")):
            done = subprocess.run([vgpud, f"--metrics-address={address}"], env=host.env, capture_output=True,
                                  timeout=PATIENCE_S, check=False)
            last = done.stderr.decode().strip().splitlines()[-1]
            checks.equal(done.returncode, 2, f"exit with --metrics-address={address}: {last}")
            checks.check("metrics_address" in last and words in last, f"{address}: {last}")


def main():
    admin, vgpud, worker, dashboard = sys.argv[1:]
    promtool, prometheus = shutil.which("promtool"), shutil.which("prometheus")
    checks = Checks()
    with Host(admin) as host:
        set_up(host)
        with Daemon(host, vgpud, worker) as daemon:
            check_numbers(checks, daemon, host, promtool)
            check_http(checks, daemon)
            queries = check_dashboard(checks, daemon, dashboard)
            check_slow_readers(checks, daemon, host)
            if prometheus:
                check_prometheus(checks, daemon, host, prometheus, queries)
    if not (promtool and prometheus):
        checks.skipped.append("prometheus and promtool are not installed: tools/setup --optional installs them")
    check_cardinality(checks, admin, vgpud, worker)
    check_off(checks, admin, vgpud)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
