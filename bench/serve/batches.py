#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many rows in a request, and many connections: quern serve with the model of run.py.

    bench/serve/batches.py [--program build/quern] [--rounds 10]

Needs wrk, lightgbm and numpy. Prints a JSON line for each figure: rows a second of requests of 10,000
rows, as JSON objects and as binary tensors, by the clock and by the server's own CPU time, one core for
the server and one for the client; then, with 10,000 more connections that have asked once and stay,
the server's memory and the median latency of one that goes on asking."""
import argparse
import http.client
import json
import os
import pathlib
import re
import resource
import socket
import subprocess
import tempfile
import time

import numpy
from run import N_COLUMNS, make_bundle

N_ROWS, N_IDLE = 10000, 10000


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


def p50_us(port):
    done = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", "-c64", "-d3s", "--latency",
                           f"http://127.0.0.1:{port}/livez"], capture_output=True, text=True,
                          check=True)
    value, unit = re.search(r"50%\s+([\d.]+)(us|ms)", done.stdout).groups()
    return float(value) * (1000 if unit == "ms" else 1)


def idle(process, port):
    resource.setrlimit(resource.RLIMIT_NOFILE, (N_IDLE + 200, N_IDLE + 200))
    report("p50 of 64 connections", p50_us(port), "us")
    report("memory", rss_mb(process), "MB")
    kept = []
    for _ in range(N_IDLE):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        kept.append(client)
    report(f"memory with {N_IDLE} idle connections", rss_mb(process), "MB")
    report(f"p50 of 64 connections beside {N_IDLE} idle ones", p50_us(port), "us")
    for client in kept:
        client.close()


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
        process, port = start(options.program, bundle)
        try:
            idle(process, port)
        finally:
            process.kill()


if __name__ == "__main__":
    main()
