#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prediction over HTTP: quern serve against a static reply of the same server and against LightGBM
behind FastAPI and uvicorn, with the same model: 500 trees of 31 leaves on 30 columns, by LightGBM.

    bench/serve/run.py [--program build/quern] [--seconds 3] [--rounds 5]

Needs wrk, and lightgbm, fastapi and uvicorn from PyPI. Each request is one of 4,096 rows. Server and
client have one core each (taskset). Rounds go through the servers in turn; a figure is the median of
the rounds. Wall times suffer when the machine is shared; `cpu_us`, the server's own CPU time for each
request, much less. Prints a JSON line for each figure."""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

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

FASTAPI = """
import lightgbm, numpy
from fastapi import FastAPI, Request
booster = lightgbm.Booster(model_file="{model}")
names = booster.feature_name()
app = FastAPI()

@app.get("/livez")
def livez():
    return "ok"

@app.post("/predict")
async def predict(request: Request):
    row = await request.json()
    values = numpy.array([[row[name] for name in names]])
    p = float(booster.predict(values, num_threads=1)[0])
    return {{"prediction": int(p >= 0.5), "p_0": 1 - p, "p_1": p}}
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


def make_bundle(program, folder):
    """The same as a bundle of Quern's."""
    make_model(folder)
    bundle = folder / "model.quern"
    subprocess.run([program, "import", folder / "model.txt", "-o", bundle], check=True,
                   capture_output=True)
    return bundle


def wait_until_ready(url):
    for _ in range(400):
        try:
            return urllib.request.urlopen(url, timeout=1).read()
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
    if int(errors):
        raise RuntimeError(f"{errors} errors: {done.stdout}")
    return {"requests_s": int(n) / float(duration) * 1e6, "p50_us": float(p50), "p99_us": float(p99),
            "cpu_us": (cpu_seconds(pid) - before) / int(n) * 1e6}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="build/quern")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        bundle = make_bundle(args.program, folder)
        (folder / "app.py").write_text(FASTAPI.format(model=folder / "model.txt"))
        ours = subprocess.Popen(["taskset", "-c", "0", args.program, "serve", bundle, "--quiet",
                                 "--threads", "1", "--listen", "127.0.0.1:18431"])
        theirs = subprocess.Popen(["taskset", "-c", "0", sys.executable, "-m", "uvicorn", "app:app",
                                   "--port", "18432", "--log-level", "error"], cwd=folder)
        try:
            wait_until_ready("http://127.0.0.1:18431/readyz")
            wait_until_ready("http://127.0.0.1:18432/livez")
            run(folder, ours.pid, theirs.pid, args)
        finally:
            ours.terminate()
            theirs.terminate()
            ours.wait()
            theirs.wait()


def run(folder, ours, theirs, args):
    servers = {"quern": (ours, 18431, "/v1/models/model", folder / "rows.jsonl"),
               "static": (ours, 18431, "/livez", None),
               "fastapi": (theirs, 18432, "/predict", folder / "rows.jsonl")}
    for connections in (1, 64):
        rounds = {name: [] for name in servers}
        for _ in range(args.rounds):
            for name, (pid, port, path, rows) in servers.items():
                rounds[name].append(measure(folder, pid, port, path, rows, connections, args.seconds))
        medians = {name: {key: statistics.median(r[key] for r in results) for key in results[0]}
                   for name, results in rounds.items()}
        for peer in ("static", "fastapi"):
            for key, unit in (("p50_us", "us"), ("p99_us", "us"), ("requests_s", "1/s"), ("cpu_us", "us")):
                value, other = medians["quern"][key], medians[peer][key]
                print(json.dumps({"figure": f"{key} c={connections}", "value": round(value, 1),
                                  "unit": unit, "peer": peer, "peer_value": round(other, 1),
                                  "ratio": round(value / other, 3)}), flush=True)


if __name__ == "__main__":
    main()
