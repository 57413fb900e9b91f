#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Half an hour of everything at once: quern serve with models replaced every two seconds, and clients that
send single rows, batches, tables, tensors, nonsense, half requests and none at all. Memory and
descriptors must stay flat, and no good request may fail.

    bench/serve/soak.py [--program build/quern] [--minutes 30] [--rest 0.002]

Prints a JSON line a minute, and at the end one with the resident memory of the second, middle and last
tenth of the samples, the most descriptors in each, and the failures. Ends with 1 if a good request
failed, or memory of the last tenth is more than 2 % above the middle one."""
import argparse
import csv
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def value_of(text):
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else text or None


class Soak:
    def __init__(self, port, options):
        table = ROOT / "examples" / "credit" / "holdout.csv"
        self.port, self.options = port, options
        self.csv = table.read_text()
        with open(table, newline="", encoding="utf-8") as lines:
            self.rows = [{k: value_of(v) for k, v in row.items() if k != "class"}
                         for row in csv.DictReader(lines)]
        self.until = time.monotonic() + options.minutes * 60
        self.failures, self.n_good, self.n_bad = [], 0, 0

    def good(self, connection, rng):
        path = f"/v1/models/m{rng.randrange(2)}"
        kind = rng.randrange(5)
        if kind == 0:
            return path, self.csv, "text/csv"
        if kind == 1:
            columns = {k: [row[k] for row in self.rows] for k in self.rows[0]}
            return path, json.dumps({"inputs": columns}), "application/json"
        if kind == 2:
            tensors = [{"name": k, "shape": [3], "data": [row[k] for row in self.rows[:3]],
                        "datatype": "FP64" if isinstance(self.rows[0][k], float) else "BYTES"}
                       for k in self.rows[0]]
            return path.replace("v1", "v2") + "/infer", json.dumps({"inputs": tensors}), "application/json"
        return path, json.dumps(rng.choice(self.rows)), "application/json"

    def ask(self, seed):
        rng, connection = random.Random(seed), None
        while time.monotonic() < self.until:
            time.sleep(self.options.rest)
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            path, body, content_type = self.good(connection, rng)
            try:
                connection.request("POST", path, body, {"Content-Type": content_type})
                reply = connection.getresponse()
                text = reply.read()
                if reply.status != 200:
                    self.failures.append(f"{path}: {reply.status} {text[:200]}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{path}: {error!r}")
                connection = None
            self.n_good += 1
            if rng.random() < 0.02 and connection:
                connection.close()
                connection = None

    def annoy(self, seed):
        rng = random.Random(seed)
        texts = [b"", b"GET", b"\x16\x03\x01\x02", b"GET /livez HTTP/1.1\r\nHost: h\r\n",
                 b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /docs HTTP/1.1\r\nHost: h\r\n\r\n",
                 b"POST /v1/models/m0 HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n"
                 b"Content-Type: application/json\r\n\r\n[{", b"POST /v1/models/m0 HTTP/1.1\r\nHost: h\r\n"
                 b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n[{\"x\":1}]",
                 b"GET /v1/models/none HTTP/1.1\r\nHost: h\r\n\r\n" * 50]
        while time.monotonic() < self.until:
            time.sleep(self.options.rest * 5)
            client = socket.create_connection(("127.0.0.1", self.port))
            client.settimeout(5)
            try:
                client.sendall(rng.choice(texts))
                if rng.random() < 0.7:
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(65536):
                        pass
            except OSError:
                pass
            client.close()
            self.n_bad += 1

    def swap(self, process, folder, sources):
        for i in range(10**9):
            if time.monotonic() >= self.until:
                return
            time.sleep(2)
            for m in range(2):
                shutil.copy(sources[(i + m) % 2], folder / "new")
                os.replace(folder / "new", folder / f"m{m}.quern")
            process.send_signal(signal.SIGHUP)


def sample(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return (int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024,
            len(os.listdir(f"/proc/{process.pid}/fd")))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="build/quern")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rest", type=float, default=0.002)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        sources = [folder / f"source{seed}.quern" for seed in (1, 2)]
        for seed, path in zip((1, 2), sources):
            subprocess.run([options.program, "fit", ROOT / "examples/credit/train.csv", "--target",
                            "class", "--trials", "4", "--seed", str(seed), "--quiet", "--report", "",
                            "-o", path], check=True, stdout=subprocess.DEVNULL)
            shutil.copy(path, folder / f"m{seed - 1}.quern")
        process = subprocess.Popen([options.program, "serve", folder / "m0.quern", folder / "m1.quern",
                                    "--listen", "127.0.0.1:0", "--threads", "2", "--access-log",
                                    folder / "access.jsonl", "--prediction-cache", "4M",
                                    # a busy machine is no failure of the server
                                    "--queue-time", "30s"], stderr=subprocess.PIPE, text=True)
        line = process.stderr.readline()
        port = int(re.search(r"127\.0\.0\.1:(\d+)", line).group(1))
        while "ready" not in line:
            line = process.stderr.readline()
        threading.Thread(target=process.stderr.read, daemon=True).start()
        soak = Soak(port, options)
        threads = [threading.Thread(target=soak.ask, args=(i,)) for i in range(6)]
        threads += [threading.Thread(target=soak.annoy, args=(i,)) for i in range(2)]
        threads += [threading.Thread(target=soak.swap, args=(process, folder, sources))]
        for thread in threads:
            thread.start()
        samples = []
        while time.monotonic() < soak.until:
            time.sleep(5)
            samples.append(sample(process))
            if len(samples) % 12 == 0:
                print(json.dumps({"minutes": len(samples) / 12, "rss_mb": round(samples[-1][0], 1),
                                  "descriptors": samples[-1][1], "good": soak.n_good,
                                  "bad": soak.n_bad, "failures": len(soak.failures)}), flush=True)
        for thread in threads:
            thread.join()
        process.terminate()
        code = process.wait(60)
    tenth = max(1, len(samples) // 10)
    parts = [samples[tenth:2 * tenth], samples[5 * tenth - tenth // 2:5 * tenth + tenth // 2 + 1],
             samples[-tenth:]]
    rss = [round(statistics.median(s[0] for s in part), 1) for part in parts]
    print(json.dumps({"rss_mb": rss, "descriptors": [max(s[1] for s in part) for part in parts],
                      "good": soak.n_good, "bad": soak.n_bad, "failures": soak.failures[:5],
                      "exit": code}))
    sys.exit(1 if soak.failures or code != 0 or rss[2] > 1.02 * rss[1] else 0)


main()
