#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What options cost and save: the server's CPU time for a request of one row, or of --rows, 500 trees
of 31 leaves on 30 columns, without any, with a prediction cache that never has the row, with one that
always has, and with spans sent to a receiver.

    bench/serve/options.py [--program build/quern] [--seconds 3] [--rounds 5] [--rows 1]

As run.py; wrk asks over 64 connections, each request one of 4,096 rows. A cache of 256 KB holds some 700 of
them, of which none is left when its turn comes again; one of 64 MB holds them all. Prints a JSON line for
each figure."""
import argparse
import http.server
import json
import pathlib
import statistics
import subprocess
import tempfile
import threading

from run import make_bundle, measure, wait_until_ready

CASES = [("without", []), ("cache, misses", ["--prediction-cache", "256k"]),
         ("cache, hits", ["--prediction-cache", "64M"]), ("spans", ["--otlp-endpoint", "http://127.0.0.1:8939"])]


class Receiver(http.server.BaseHTTPRequestHandler):
    """Of spans: takes all, and does nothing with them."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def put_together(folder, n):
    """Lists of n rows that follow one another, as bodies."""
    rows = (folder / "rows.jsonl").read_text().splitlines()
    lists = [rows[i:i + n] for i in range(0, len(rows) - n + 1, n)]
    (folder / "bodies.jsonl").write_text("".join(f"[{','.join(some)}]\n" for some in lists))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="build/quern")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1)
    args = parser.parse_args()
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 8939), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        bundle = make_bundle(args.program, folder)
        put_together(folder, args.rows)
        servers = []
        for i, (name, words) in enumerate(CASES):
            port = 8931 + i
            servers.append((name, port, subprocess.Popen(
                ["taskset", "-c", "0", args.program, "serve", f"m={bundle}", "--listen",
                 f"127.0.0.1:{port}", "--threads", "1", "--quiet", *words])))
        try:
            for _, port, _process in servers:
                wait_until_ready(f"http://127.0.0.1:{port}/readyz")
            figures = {name: [] for name, _ in CASES}
            for _ in range(args.rounds + 1):  # the first fills the cache
                for name, port, process in servers:
                    figures[name].append(measure(folder, process.pid, port, "/v1/models/m",
                                                 folder / "bodies.jsonl", 64, args.seconds))
        finally:
            for _, _port, process in servers:
                process.kill()
                process.wait()
    for name, rounds in figures.items():
        for key in ("cpu_us", "requests_s"):
            print(json.dumps({"figure": f"{name}: {key}",
                              "value": round(statistics.median(r[key] for r in rounds[1:]), 2)}))


main()
