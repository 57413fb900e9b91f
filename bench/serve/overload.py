#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""More requests than quern serve can answer: the model of run.py, one core for the server, one for the
client, which sends at a set rate whatever comes back (open_loop.c).

    bench/serve/overload.py [--program build/quern] [--client build/bench/open_loop]
        [--connections 256] [--queue-time 1]

A pool of 256 connections bounds the queue: what is beyond it the client does not send. With thousands of
connections the server has to refuse, see --queue-time.

First the rate is raised until less than 95 % of the requests are answered within 250 ms: the peak is what
was answered in time at the best of these rates. Then five seconds at half the peak, five at three times
the peak, five at half. Prints a JSON line: the peak, what is answered in time under overload, how many
replies are refusals, and how long after the overload the 99th percentile is what it was before."""
import argparse
import json
import pathlib
import subprocess
import tempfile

from batches import start
from run import make_bundle

PATIENCE_MS = 250


def ask(options, port, rows, *phases):
    command = ["taskset", "-c", "1", options.client, str(port), "/v1/models/m", rows,
               str(options.connections), str(PATIENCE_MS), *(f"{rate:.0f}:{s}" for rate, s in phases)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def per_second(windows, key):
    seconds = windows[-1]["at"] - windows[0]["at"]
    return sum(w[key] for w in windows[:-1]) / seconds


def find_peak(options, port, rows):
    peak, rate = 0, options.from_rate
    while True:
        windows = ask(options, port, rows, (rate, 2))[5:]
        in_time = per_second(windows, "ok")
        peak = max(peak, in_time)
        if in_time < 0.95 * rate:
            return peak
        rate *= 1.25


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="build/quern")
    parser.add_argument("--client", default="build/bench/open_loop")
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--queue-time", default="1")
    parser.add_argument("--from-rate", type=float, default=2000)
    parser.add_argument("--model", help="another bundle, with --rows")
    parser.add_argument("--rows", help="a JSON object a line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        model, rows = options.model, options.rows
        if not model:
            model, rows = make_bundle(options.program, folder), folder / "rows.jsonl"
        process, port = start(options.program, model, "--queue-time", options.queue_time)
        try:
            peak = find_peak(options, port, rows)
            windows = ask(options, port, rows, (peak / 2, 5), (peak * 3, 5), (peak / 2, 5))
        finally:
            process.kill()
    calm = [w for w in windows if w["at"] < 4.9]
    wild = [w for w in windows if 6 < w["at"] < 9.9]
    after = [w for w in windows if w["at"] >= 10]
    usual = sorted(w["p99_ms"] for w in calm)[len(calm) * 3 // 4]
    recovered = next((w["at"] for w in after if w["p99_ms"] <= 2 * usual and
                      w["ok"] >= 0.9 * w["rate"] * 0.1), None)
    print(json.dumps({"peak": round(peak), "in_time_at_3x": round(per_second(wild, "ok")),
                      "share": round(per_second(wild, "ok") / peak, 2),
                      "refused": round(per_second(wild, "refused")),
                      "late": round(per_second(wild, "late")),
                      "unsent": round(per_second(wild, "unsent")),
                      "failed": round(per_second(wild, "failed")),
                      "p50_ms_in_overload": sorted(w["p50_ms"] for w in wild)[len(wild) // 2],
                      "recovery_s": recovered and round(max(0, recovered - 10), 2)}))


main()
