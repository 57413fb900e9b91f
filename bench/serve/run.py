#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prediction over HTTP: quern serve against a static reply of the same server and against Python's servers
(peers.py), with the same model: 500 trees of 31 leaves on 30 columns, by LightGBM.

    bench/serve/run.py [--program build/quern] [--seconds 3] [--rounds 5] [--fastapi-python PYTHON]
        [--onnxruntime-python PYTHON] [--mlflow-python PYTHON] [--mlserver-python PYTHON] [--bentoml-python PYTHON]

Needs wrk, and lightgbm from PyPI; peers.py says what else is installed for which interpreter. A server whose
interpreter is not named is left out. Each request is one of 4,096 rows. Server and client have one core each
(taskset). Rounds go through the servers in turn; a figure is the median of the rounds. Wall times suffer when
the machine is shared; `cpu_us`, the CPU time of the server's processes for each request, much less. Prints a
JSON line for each figure."""
import argparse
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from peers import PEERS, start

N_ROWS, N_COLUMNS, N_TREES = 4096, 30, 500

LUA = """
local rows, n, i = {{}}, 0, 0
init = function()
    wrk.headers["Content-Type"] = "application/json"
    for line in io.lines("{rows}") do
        n = n + 1
        rows[n] = wrk.format("POST", "{path}", nil, line)
    end
end
request = function()
    i = i % n + 1
    return rows[i]
end
done = function(summary, latency, requests)
    local errors = summary.errors.status + summary.errors.read + summary.errors.timeout
    print(string.format("RESULT %d %d %.1f %.1f %d", summary.requests, summary.duration,
                        latency:percentile(50), latency:percentile(99), errors))
end
"""

def make_model(folder):
    import lightgbm
    import numpy
    random = numpy.random.default_rng(1)
    x = random.normal(size=(20000, N_COLUMNS))
    y = (x[:, 0] * x[:, 1] + x[:, 2:8].sum(axis=1) + random.normal(size=len(x)) > 0).astype(int)
    booster = lightgbm.train({"objective": "binary", "num_leaves": 31, "verbose": -1,
                              "num_threads": 1}, lightgbm.Dataset(x, y), N_TREES)
    booster.save_model(folder / "model.txt")
    with open(folder / "rows.jsonl", "w", encoding="ascii") as out:
        for row in random.normal(size=(N_ROWS, N_COLUMNS)).round(5):
            out.write(json.dumps(dict(zip(booster.feature_name(), row.tolist()))) + "\n")
    (folder / "livez.jsonl").write_text("\n" * N_ROWS)


def import_bundle(program, model):
    """A model of LightGBM as a bundle beside it."""
    bundle = model.with_suffix(".quern")
    subprocess.run([program, "import", model, "-o", bundle], check=True, capture_output=True)
    return bundle


def make_bundle(program, folder):
    """The same as a bundle of Quern's."""
    make_model(folder)
    return import_bundle(program, folder / "model.txt")


def wait_until_ready(url):
    for _ in range(2400):
        try:
            return urllib.request.urlopen(url, timeout=1).read()
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")


def cpu_seconds(pid):
    """Of the process and those that it has made."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    children = [child for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                for child in (task / "children").read_text().split()]
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + sum(map(cpu_seconds, children))


def measure(folder, pid, port, path, rows, connections, seconds):
    script = folder / "wrk.lua"
    if rows:
        script.write_text(LUA.format(rows=rows, path=path))
    else:
        script.write_text(LUA[LUA.index("done ="):].format())
    before = cpu_seconds(pid)
    done = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
                           "-s", script, f"http://127.0.0.1:{port}{path}"],
                          capture_output=True, text=True, check=True)
    n, duration, p50, p99, errors = re.search(r"RESULT (\S+) (\S+) (\S+) (\S+) (\S+)", done.stdout).groups()
    if int(errors) or not int(n):
        raise RuntimeError(f"{n} replies and {errors} errors in {seconds} s: {done.stdout}")
    return {"requests_s": int(n) / float(duration) * 1e6, "p50_us": float(p50), "p99_us": float(p99),
            "cpu_us": (cpu_seconds(pid) - before) / int(n) * 1e6}


def probability_of(port, path, body, read):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body.encode(),
                                     {"Content-Type": "application/json"})
    return read(json.loads(urllib.request.urlopen(request, timeout=60).read()))


def check_peer(folder, name):
    """It predicts what quern serve does, so that the work is the same; ONNX has floats."""
    peer = PEERS[name]
    rows = (folder / "rows.jsonl").read_text().splitlines()
    bodies = (folder / name / "bodies.jsonl").read_text().splitlines()
    for i in range(20):
        ours = probability_of(18431, "/v1/models/model", rows[i], lambda reply: reply["p_1"])
        theirs = probability_of(peer.port, peer.path, bodies[i], peer.probability)
        if abs(ours - theirs) > 1e-4:
            raise RuntimeError(f"{name} predicts {theirs}, quern {ours}")


def start_peers(folder, args):
    """Those that are named: their processes."""
    started = {}
    for name in PEERS:
        python = getattr(args, f"{name}_python")
        if python:
            started[name] = start(name, python, folder)
        else:
            print(f"run.py: {name} is left out; name its interpreter by --{name}-python", file=sys.stderr)
    for name in started:
        wait_until_ready(f"http://127.0.0.1:{PEERS[name].port}{PEERS[name].ready}")
        check_peer(folder, name)
    return started


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="build/quern")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    for name in PEERS:
        parser.add_argument(f"--{name}-python", default=sys.executable if name == "fastapi" else None)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        bundle = make_bundle(args.program, folder)
        ours = subprocess.Popen(["taskset", "-c", "0", args.program, "serve", bundle, "--quiet",
                                 "--threads", "1", "--listen", "127.0.0.1:18431"])
        peers = {}
        try:
            wait_until_ready("http://127.0.0.1:18431/readyz")
            peers = start_peers(folder, args)
            run(folder, ours, peers, args)
        finally:
            for process in peers.values():
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
            ours.terminate()
            ours.wait()


def run(folder, ours, peers, args):
    servers = {"quern": (ours.pid, 18431, "/v1/models/model", folder / "rows.jsonl"),
               "static": (ours.pid, 18431, "/livez", None)}
    for name, process in peers.items():
        servers[name] = (process.pid, PEERS[name].port, PEERS[name].path, folder / name / "bodies.jsonl")
    for connections in (1, 64):
        rounds = {name: [] for name in servers}
        for _ in range(args.rounds):
            for name, (pid, port, path, rows) in servers.items():
                rounds[name].append(measure(folder, pid, port, path, rows, connections, args.seconds))
        medians = {name: {key: statistics.median(r[key] for r in results) for key in results[0]}
                   for name, results in rounds.items()}
        for peer in ("static", *peers):
            for key, unit in (("p50_us", "us"), ("p99_us", "us"), ("requests_s", "1/s"), ("cpu_us", "us")):
                value, other = medians["quern"][key], medians[peer][key]
                print(json.dumps({"figure": f"{key} c={connections}", "value": round(value, 1),
                                  "unit": unit, "peer": peer, "peer_value": round(other, 1),
                                  "ratio": round(value / other, 3)}), flush=True)


if __name__ == "__main__":
    main()
