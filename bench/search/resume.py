#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long `quern tune` takes from its start to the start of the first program after kill -9, with a study
of 100,000 trials behind it: one JSON line, in milliseconds of the clock.

usage: resume.py BUILD [KILLS]     (default 20)"""
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(sys.argv[1]).resolve()
N_TRIALS = 100_000


def space():
    """The one of store_speed.c."""
    source = (pathlib.Path(__file__).parent / "store_speed.c").read_text(encoding="utf-8")
    text = source[source.index("space[] ="):source.index(";\n", source.index("space[] ="))]
    return "".join(re.findall(r'"(.*)"', text))


def begun(folder):
    try:
        return (folder / "begun").read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return []


def main():
    kills, took_ms = int(sys.argv[2]) if len(sys.argv) > 2 else 20, []
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        (folder / "space.yaml").write_text(space(), encoding="utf-8")
        subprocess.run([BUILD / "bench/store_speed", "fill", f"sqlite:{folder}/s.db?sync=normal", str(N_TRIALS)],
                       check=True, capture_output=True)
        command = [BUILD / "src/cli/quern", "tune", "space.yaml", "--store", "sqlite:s.db", "--study", "speed",
                   "--sampler", "tpe", "--trials", str(2 * N_TRIALS), "--workers", "4", "--quiet", "--",
                   "sh", "-c", "date +%s%N >>begun; sleep 0.1; echo {a}"]
        for _ in range(kills):
            before, started_ns = len(begun(folder)), time.time_ns()
            process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
            while len(begun(folder)) < before + 4:
                time.sleep(0.02)
            took_ms.append((min(int(t) for t in begun(folder)[before:]) - started_ns) / 1e6)
            process.kill()
            process.wait()
    print(json.dumps({"figure": "from start to first program after kill -9, 100,000 trials", "unit": "ms",
                      "value": round(statistics.median(took_ms)), "greatest": round(max(took_ms))}))


main()
