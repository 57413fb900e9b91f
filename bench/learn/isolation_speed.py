#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Isolation forests against scikit-learn's: 100 trees of 256 rows, then scores of all rows. Numbers
as they are and codes of categories (here by first appearance), two threads each, in turn, medians of
wall seconds. One JSON line per figure.
usage: isolation_speed.py [--rounds 5] ISOLATION_FIT DATA_FOLDER [TABLE …]"""
import argparse
import json
import pathlib
import statistics
import subprocess
import time

import joblib
import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest

THREADS = 2
TABLES = {"mammography": "class", "adult_train": "income", "bank_marketing": "y",
          "covertype_20k": "Cover_Type", "kddcup99_10pct": "label"}


def read(path, dropped):
    frame = pd.read_csv(path).drop(columns=dropped)
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            frame[name] = pd.factorize(frame[name])[0]
    return frame.to_numpy(np.float32)


def fit_peer(x, seed):
    begun = time.perf_counter()
    model = IsolationForest(random_state=seed, n_jobs=THREADS).fit(x)
    fitted = time.perf_counter()
    with joblib.parallel_backend("threading", n_jobs=THREADS):
        model.score_samples(x)
    return fitted - begun, time.perf_counter() - fitted


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("program")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("tables", nargs="*")
    args = parser.parse_args()
    for table in args.tables or TABLES:
        path = args.data / f"{table}.csv.gz"
        x = read(path, TABLES[table])
        own, theirs = [], []
        with subprocess.Popen([args.program, path, TABLES[table], str(THREADS)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            for seed in range(args.rounds + 1):  # the first of each warms up
                process.stdin.write("\n")
                process.stdin.flush()
                answer = json.loads(process.stdout.readline())
                own.append((answer["fit_s"], answer["score_s"]))
                theirs.append(fit_peer(x, seed))
            process.stdin.close()
        for i, what in enumerate(("fit", "score")):
            a = statistics.median(o[i] for o in own[1:])
            b = statistics.median(t[i] for t in theirs[1:])
            print(json.dumps({"figure": f"{table} isolation forest, {what}", "value": a, "unit": "s",
                              "peer": "scikit-learn", "peer_value": b, "ratio": b / a}), flush=True)


main()
