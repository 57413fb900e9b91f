#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reading CSV: Quern against data.table's fread, DuckDB and pandas, in one run, in turn.

    bench/read/run.py [--program build/bench/read_csv] [--rows 1000000] [--rounds 3]

Makes two tables (floats: rows × 28; mixed: strings, dates, ints, missing values), reads each with
every reader in a process of its own, and prints one JSON line per figure: the median of the seconds
that the load itself takes, and the peak resident memory of the process."""
import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent


def make_floats(path, rows):
    rng = np.random.default_rng(1)
    names = ",".join(f"f{i}" for i in range(28))
    with open(path, "w", encoding="ascii") as out:
        out.write(names + "\n")
        for _ in range(rows // 10000):
            block = rng.normal(size=(10000, 28))
            np.savetxt(out, block, fmt="%.6f", delimiter=",")


def make_mixed(path, rows):
    rng = np.random.default_rng(2)
    cities = [f"city {i} of the north" for i in range(500)]
    with open(path, "w", encoding="ascii") as out:
        out.write("id,when,city,code,amount,score,note,flag\n")
        for start in range(0, rows, 10000):
            n = 10000
            days = rng.integers(0, 3650, n)
            dates = np.datetime64("2010-01-01") + days
            amounts = rng.integers(0, 10**6, n)
            scores = rng.normal(size=n)
            for i in range(n):
                city = cities[int(rng.integers(500))]
                code = f"K{int(rng.integers(90000)):05d}"
                score = "" if rng.random() < 0.1 else f"{scores[i]:.4f}"
                note = f'"order {start + i}, paid"' if i % 3 else "NA"
                out.write(f"{start + i},{dates[i]},{city},{code},{amounts[i]},{score},{note},"
                          f"{'true' if i % 2 else 'false'}\n")


READERS = {
    "quern": lambda args, path: [args.program, path],
    "fread": lambda args, path: ["Rscript", "-e",
        f"library(data.table); setDTthreads({args.threads}); t <- system.time(d <- fread('{path}'))"
        "[['elapsed']]; cat('seconds', t, '\\n')"],
    "duckdb": lambda args, path: [sys.executable, "-c",
        "import duckdb,time; c=duckdb.connect(); "
        f"c.execute('SET threads={args.threads}'); b=time.perf_counter(); "
        f"c.execute(\"CREATE TABLE t AS SELECT * FROM read_csv('{path}')\"); "
        "print('seconds', time.perf_counter()-b)"],
    "pandas": lambda args, path: [sys.executable, "-c",
        f"import pandas as pd,time; b=time.perf_counter(); pd.read_csv('{path}'); "
        "print('seconds', time.perf_counter()-b)"],
}


def measure(args, reader, path):
    command = ["/usr/bin/time", "-f", "peak %M", *READERS[reader](args, path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = re.search(r"seconds ([0-9.e-]+)", done.stdout)
    peak = re.search(r"peak (\d+)", done.stderr)
    if not seconds or not peak:
        raise RuntimeError(f"{reader}: {done.stderr[-500:]}")
    return float(seconds[1]), int(peak[1]) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", default=str(HERE.parent.parent / "build/bench/read_csv"))
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    readers = [r for r in READERS if r != "fread" or shutil.which("Rscript")]
    with tempfile.TemporaryDirectory() as folder:
        for name, make in (("floats", make_floats), ("mixed", make_mixed)):
            path = os.path.join(folder, name + ".csv")
            make(path, args.rows)
            runs = {reader: [] for reader in readers}
            for _ in range(args.rounds):
                for reader in readers:
                    runs[reader].append(measure(args, reader, path))
            own = statistics.median(s for s, _ in runs["quern"])
            for reader in readers:
                seconds = statistics.median(s for s, _ in runs[reader])
                peak = statistics.median(m for _, m in runs[reader])
                print(json.dumps({"figure": f"read {name} {os.path.getsize(path) >> 20} MB",
                                  "value": round(own, 3), "unit": "s", "peer": reader,
                                  "peer_value": round(seconds, 3), "ratio": round(seconds / own, 2),
                                  "peak_mb": round(peak)}), flush=True)


if __name__ == "__main__":
    main()
