#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What 64 honest connections feel of 5,000 slow clients, and of models that are replaced all the time:
latencies of single rows, in turns, alone and beside them.

    bench/serve/disturbed.py [--program build/quern] [--rounds 3] [--seconds 3]

Needs wrk, lightgbm and numpy; the server has one core, the clients have the other. Slow clients send a
byte of a head, or of a body, every ten seconds, and a hundred take nothing of what they asked for; the server's
--read-time and --write-time are ten seconds. Prints a JSON line for each figure: p50 and p99 of the honest
ones with their ratio to those alone, when all slow clients were closed, how many were left, and how often the
model was replaced. Ends with 1 if a slow client was not closed or a reply was
not 200."""
import argparse
import json
import os
import pathlib
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from run import make_bundle, measure, wait_until_ready

N_SLOW, N_UNREAD, SLOW_S, LIMIT_S, PORT = 5000, 100, 10, 10, 18433
HEAD = b"POST /v1/models/m HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
SLOW_HEAD, SLOW_BODY = HEAD, HEAD + b"Content-Length: 1000\r\n\r\n{"
UNREAD = b"GET /docs/try.js HTTP/1.1\r\nHost: h\r\n\r\n" * 600  # 4.5 MB: more than sockets hold


class SlowClients:
    """Come at once. That they are closed shows in the server's descriptors: those that take nothing do not
    see it."""

    def __init__(self, process):
        self.descriptors = pathlib.Path(f"/proc/{process.pid}/fd")
        self.n_before, self.clients = self.count(), []
        for i in range(N_SLOW):
            client = socket.create_connection(("127.0.0.1", PORT))
            client.setblocking(False)
            client.send(UNREAD if i < N_UNREAD else (SLOW_HEAD, SLOW_BODY)[i % 2])
            self.clients.append(client)
        self.begun = time.monotonic()
        self.closed_s, self.left = None, N_SLOW
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def count(self):
        return sum(1 for _ in self.descriptors.iterdir())

    def drip(self):
        for client in self.clients[N_UNREAD:]:
            try:
                client.send(b"x")
            except OSError:
                pass  # it was closed

    def run(self):
        dripped = self.begun
        while self.left > 0 and time.monotonic() - self.begun < 3 * LIMIT_S:
            time.sleep(0.5)
            if time.monotonic() - dripped > SLOW_S:
                dripped = time.monotonic()
                self.drip()
            if time.monotonic() - self.begun > LIMIT_S / 2:  # counting takes time
                self.left = max(self.count() - self.n_before, 0)
        self.closed_s = time.monotonic() - self.begun

    def finish(self):
        self.thread.join()
        for client in self.clients:
            client.close()
        return self.closed_s, self.left


class Swaps:
    """Puts one file and another in the model's place."""

    def __init__(self, process, model, bundle):
        self.process, self.model, self.bundle = process, model, bundle
        self.n, self.ending = 0, False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        following = self.model.with_suffix(".next")
        while not self.ending:
            following.write_bytes(self.bundle)
            os.replace(following, self.model)
            self.process.send_signal(signal.SIGHUP)
            self.n += 1
            time.sleep(0.05)

    def finish(self):
        self.ending = True
        self.thread.join()
        return self.n


def report(figure, value, unit, **more):
    print(json.dumps({"figure": figure, "value": round(value, 3), "unit": unit, **more}), flush=True)


def run(process, folder, bundle, options):
    rounds, closed, left, n_swaps = {}, [], 0, 0

    def turn(name):
        found = measure(folder, process.pid, PORT, "/v1/models/m", folder / "rows.jsonl", 64, options.seconds)
        rounds.setdefault(name, []).append(found)

    for _ in range(options.rounds):
        turn("alone")
        slow = SlowClients(process)
        time.sleep(1)  # what they asked for is written as far as they take it
        turn("slow clients")
        last_s, n_left = slow.finish()
        closed.append(last_s)
        left += n_left
        turn("alone")
        swaps = Swaps(process, folder / "m.quern", bundle)
        turn("swaps")
        n_swaps += swaps.finish()
    for name, results in rounds.items():
        for key in ("p50_us", "p99_us"):
            value, other = (statistics.median(r[key] for r in rounds[n]) for n in (name, "alone"))
            report(f"{key}, {name}", value, "us", ratio=round(value / other, 3))
    report(f"all of {N_SLOW} slow clients closed after", max(closed), "s")
    report("slow clients left", left, "")
    report("swaps a round", n_swaps / options.rounds, "")
    return 1 if left else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="build/quern")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (N_SLOW + 1000, N_SLOW + 1000))
    os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        bundle = make_bundle(options.program, folder).read_bytes()
        (folder / "m.quern").write_bytes(bundle)
        process = subprocess.Popen(["taskset", "-c", "0", options.program, "serve", f"m={folder / 'm.quern'}",
                                    "--threads", "1", "--quiet", "--listen", f"127.0.0.1:{PORT}",
                                    "--read-time", f"{LIMIT_S}s", "--write-time", f"{LIMIT_S}s"])
        try:
            wait_until_ready(f"http://127.0.0.1:{PORT}/readyz")
            sys.exit(run(process, folder, bundle, options))
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
