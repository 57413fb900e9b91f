#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many rows in a request, and many connections: quern serve with the model of run.py.

    bench/serve/batches.py [--program build/quern] [--rounds 10]

Needs wrk, lightgbm and numpy. Prints a JSON line for each figure: rows a second of requests of 10,000
rows, as JSON objects and as binary tensors, by the clock and by the server's own CPU time, one core for
the server and one for the client; of rows of 1,000 columns, one a request; then, with 10,000 more
connections that have asked once and stay, the server's memory and the median latency of 64 that go on
asking, in turns with another server that has only these; and how long a server takes to be ready with a bundle of 100 MB."""
import argparse
import http.client
import json
import os
import pathlib
import re
import resource
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

import numpy
from run import N_COLUMNS, import_bundle, make_bundle, measure

N_ROWS, N_IDLE, N_WIDE = 10000, 10000, 1000
BIG_BYTES = 100e6


def report(figure, value, unit):
    print(json.dumps({"figure": figure, "value": round(value, 1), "unit": unit}), flush=True)


def cpu_s(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def start(program, model, *options):
    process = subprocess.Popen(["taskset", "-c", "0", program, "serve", f"m={model}", "--threads", "1",
                                "--listen", "127.0.0.1:0", *options], stderr=subprocess.PIPE, text=True)
    lines = [process.stderr.readline()]
    while "ready" not in lines[-1]:
        lines.append(process.stderr.readline())
    return process, int(re.search(r"127\.0\.0\.1:(\d+)", lines[0]).group(1))


def time_batches(process, port, name, path, body, headers, rounds):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    walls, begun_cpu = [], 0
    for i in range(rounds + 1):  # the first is not counted
        if i == 1:
            begun_cpu = cpu_s(process)
        begun = time.perf_counter()
        connection.request("POST", path, body, headers)
        reply = connection.getresponse()
        reply.read()
        assert reply.status == 200, reply.status
        walls.append(time.perf_counter() - begun)
    report(f"{name}: rows/s", N_ROWS / sorted(walls[1:])[rounds // 2], "1/s")
    report(f"{name}: rows/s of CPU", N_ROWS * rounds / (cpu_s(process) - begun_cpu), "1/s")


def batches(process, port, rounds):
    values = numpy.random.default_rng(2).normal(size=(N_ROWS, N_COLUMNS))
    names = [f"Column_{i}" for i in range(N_COLUMNS)]
    objects = json.dumps([dict(zip(names, row.tolist())) for row in values]).encode()
    time_batches(process, port, "JSON objects", "/v1/models/m", objects,
                 {"Content-Type": "application/json"}, rounds)
    raw = values.astype("<f8").tobytes()
    head = json.dumps({"inputs": [{"name": "x", "shape": list(values.shape), "datatype": "FP64",
                                   "parameters": {"binary_data_size": len(raw)}}],
                       "parameters": {"binary_data_output": True}}).encode()
    time_batches(process, port, "binary tensor", "/v2/models/m/infer", head + raw,
                 {"Inference-Header-Content-Length": str(len(head))}, rounds)


def mean_request_s(port):
    """As the server counts it, of the models' requests."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as reply:
        lines = reply.read().decode().split("\n")
    sums = {kind: sum(float(line.split()[-1]) for line in lines
                      if line.startswith(f"quern_predict_seconds_{kind}"))
            for kind in ("sum", "count")}
    return sums["sum"] / sums["count"]


def wide(program, folder):
    """One row of many columns a request."""
    import lightgbm
    random = numpy.random.default_rng(3)
    x = random.normal(size=(2000, N_WIDE))
    booster = lightgbm.train({"objective": "binary", "num_leaves": 31, "verbose": -1, "num_threads": 1},
                             lightgbm.Dataset(x, x[:, :50].sum(axis=1) > 0), 500)
    booster.save_model(folder / "wide.txt")
    rows = folder / "wide.jsonl"
    with open(rows, "w", encoding="ascii") as out:
        for row in random.normal(size=(512, N_WIDE)):
            out.write(json.dumps(dict(zip(booster.feature_name(), row.tolist()))) + "\n")
    process, port = start(program, import_bundle(program, folder / "wide.txt"))
    try:
        found = measure(folder, process.pid, port, "/v1/models/m", rows, 1, 3)
        own_s = mean_request_s(port)
        static = measure(folder, process.pid, port, "/livez", None, 1, 3)
    finally:
        process.kill()
    report(f"row of {N_WIDE} columns: p50", found["p50_us"], "us")
    report(f"row of {N_WIDE} columns: p50 beyond that of a static reply",
           found["p50_us"] - static["p50_us"], "us")
    report(f"row of {N_WIDE} columns: CPU", found["cpu_us"], "us")
    report(f"row of {N_WIDE} columns: read, predicted and written, mean", 1e6 * own_s, "us")


def make_big_model(folder):
    """The trees of run.py's model again and again, until the bundle has the size."""
    text = (folder / "model.txt").read_text()
    head, rest = text.split("Tree=0\n", 1)
    trees, tail = rest.split("end of trees", 1)
    bodies = re.split(r"Tree=\d+\n", trees)
    n = int(len(bodies) * BIG_BYTES / (folder / "model.quern").stat().st_size)
    blocks = [f"Tree={i}\n{bodies[i % len(bodies)]}" for i in range(n)]
    head = re.sub("tree_sizes=.*", "tree_sizes=" + " ".join(str(len(b)) for b in blocks), head)
    (folder / "big.txt").write_text(head + "".join(blocks) + "end of trees" + tail)


def big(program, folder, rounds):
    make_big_model(folder)
    bundle = import_bundle(program, folder / "big.txt")
    (folder / "big.txt").unlink()
    size, walls = bundle.stat().st_size, []
    for _ in range(rounds):
        begun = time.perf_counter()
        process, _ = start(program, bundle)
        walls.append(time.perf_counter() - begun)
        process.kill()
        process.wait()
    report(f"ready with {size / 1e6:.0f} MB", 1e3 * sorted(walls)[rounds // 2], "ms")
    report(f"ready with {size / 1e6:.0f} MB, the quickest of {rounds}", 1e3 * min(walls), "ms")


def p50_us(port):
    done = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", "-c64", "-d1s", "--latency",
                           f"http://127.0.0.1:{port}/livez"], capture_output=True, text=True,
                          check=True)
    value, unit = re.search(r"50%\s+([\d.]+)(us|ms)", done.stdout).groups()
    return float(value) * (1000 if unit == "ms" else 1)


def idle(program, bundle, rounds):
    """Two servers asked in turns, one of them with connections that have asked once and stay: the machine's
    own ups and downs meet both."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (N_IDLE + 200, N_IDLE + 200))
    (alone, port_alone), (kept_by, port) = start(program, bundle), start(program, bundle)
    try:
        p50_us(port)
        report("memory", rss_mb(kept_by), "MB")
        kept = []
        for _ in range(N_IDLE):
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            kept.append(client)
        report(f"memory with {N_IDLE} idle connections", rss_mb(kept_by), "MB")
        without, beside = zip(*((p50_us(port_alone), p50_us(port)) for _ in range(rounds)))
        report("p50 of 64 connections", statistics.median(without), "us")
        report(f"p50 of 64 connections beside {N_IDLE} idle ones", statistics.median(beside), "us")
        ratio = statistics.median(b / a for a, b in zip(without, beside))
        print(json.dumps({"figure": "the second by the first, median of the turns", "value": round(ratio, 3)}))
        for client in kept:
            client.close()
    finally:
        alone.kill()
        kept_by.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="build/quern")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        bundle = make_bundle(options.program, folder)
        process, port = start(options.program, bundle)
        try:
            batches(process, port, options.rounds)
        finally:
            process.kill()
        wide(options.program, folder)
        idle(options.program, bundle, options.rounds)
        big(options.program, folder, options.rounds)


if __name__ == "__main__":
    main()
