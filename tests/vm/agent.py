"""Runs inside the test's virtual machine: executes the commands that come in at the virtio port `agent`, one at a time.

A command is a line of JSON (command, environment, seconds), and so is what became of it (status, output, errors)."""

import json
import os
import pathlib
import signal
import subprocess


def port():
    for entry in pathlib.Path("/sys/class/virtio-ports").iterdir():
        if (entry / "name").read_text().strip() == "agent":
            return open(f"/dev/{entry.name}", "r+b", buffering=0)
    raise SystemExit("no virtio port is named agent")


def execute(request):
    try:
        process = subprocess.Popen(
            request["command"], env=request["environment"], cwd="/tmp", stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
    except OSError as error:
        return {"status": 127, "output": "", "errors": f"{error}\n"}
    try:
        output, errors = process.communicate(timeout=request["seconds"])
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        output += f"\n!! stopped after {request['seconds']} seconds\n"
        status = 124
    return {"status": status, "output": output, "errors": errors}


def send(connection, message):
    data = memoryview(json.dumps(message).encode() + b"\n")
    while data:
        data = data[connection.write(data):]


def main():
    with port() as connection:
        send(connection, {"ready": True})
        received = b""
        while data := connection.read(65536):
            received += data
            while b"\n" in received:
                line, _, received = received.partition(b"\n")
                send(connection, execute(json.loads(line)))


if __name__ == "__main__":
    main()
