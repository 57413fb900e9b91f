#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Forests against scikit-learn's: the same number of trees grown until leaves are pure, the same
number of features a node (to one), processor seconds of fit and predict with one thread each (both
share trees among threads alike), medians of interleaved rounds. scikit-learn is given ordinal codes
for categories, the quicker of its two ways. Set OMP_NUM_THREADS=1. With --table, rewrites the table
in bench/README.md.
usage: forest_speed.py CROSS_VALIDATE DATA_FOLDER [TABLE …] > FIGURES
       forest_speed.py --table < FIGURES"""
import json
import pathlib
import re
import statistics
import subprocess
import sys
import time

import numpy as np
import pandas as pd
from sklearn import ensemble, metrics

ROUNDS, TREES = 3, 50
TABLES = {"adult_train": "income", "bank_marketing": "y", "covertype_20k": "Cover_Type",
          "kddcup99_10pct": None}
PEERS = {"random_forest": ensemble.RandomForestClassifier,
         "extra_trees": ensemble.ExtraTreesClassifier}
BEGIN, END = "<!-- forests: begin -->", "<!-- forests: end -->"


def load(path, target):
    frame = pd.read_csv(path, na_values=["?"], skipinitialspace=True)
    target = target or frame.columns[-1]
    y = np.unique(frame[target].astype(str), return_inverse=True)[1]
    x = frame.drop(columns=target)
    for column in x:
        if not pd.api.types.is_numeric_dtype(x[column]):
            x[column] = x[column].astype("category").cat.codes
    valid = np.arange(len(y)) % 5 == 4
    x = x.fillna(-1).to_numpy(np.float32)
    return x[~valid], y[~valid], x[valid], y[valid], target


def peer(make, data):
    x, y, x_valid, y_valid = data
    model = make(n_estimators=TREES, n_jobs=1, random_state=1)
    begun = time.process_time()
    model.fit(x, y)
    fitted = time.process_time()
    out = model.predict_proba(x_valid)
    predicted = time.process_time()
    return fitted - begun, predicted - fitted, float(
        metrics.accuracy_score(y_valid, model.classes_[out.argmax(1)]))


def own(program, path, target, learner):
    params = f"n_estimators={TREES},min_data_in_leaf=1"
    out = subprocess.run([program, str(path), target, "5", "1", learner, params],
                         capture_output=True, text=True, check=True).stdout
    run = json.loads(out)["folds"][0]
    return run["fit_s"], run["predict_s"], run["accuracy"]


def compare(program, path, table):
    *data, target = load(path, TABLES[table])
    for learner, make in PEERS.items():
        mine, theirs = [], []
        for _ in range(ROUNDS):
            mine.append(own(program, path, target, learner))
            theirs.append(peer(make, data))
        a, b = ([statistics.median(run[i] for run in runs) for i in range(3)]
                for runs in (mine, theirs))
        for i, what in enumerate(("fit", "predict")):
            print(json.dumps({"figure": f"{table} {learner} {what}", "value": a[i], "unit": "s",
                              "peer": "scikit-learn", "peer_value": b[i], "ratio": b[i] / a[i],
                              "accuracy": a[2], "peer_accuracy": b[2]}), flush=True)


def write_table(lines):
    rows = []
    for f in map(json.loads, lines):
        rows.append(f"| {f['figure'].replace(' ', ' | ')} | {f['value']:.3f} | "
                    f"{f['peer_value']:.3f} | {f['ratio']:.1f} | {f['accuracy']:.4f} | "
                    f"{f['peer_accuracy']:.4f} |")
    head = ("| table | learner | | Quern s | scikit-learn s | speed | accuracy | its accuracy |\n"
            "|---|---|---|---|---|---|---|---|\n")
    readme = pathlib.Path(__file__).resolve().parents[1] / "README.md"
    body = f"{BEGIN}\n{head}" + "\n".join(rows) + f"\n{END}"
    readme.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: body, readme.read_text(), flags=re.S))


if sys.argv[1] == "--table":
    write_table(sys.stdin)
else:
    for asked in sys.argv[3:] or TABLES:
        compare(sys.argv[1], pathlib.Path(sys.argv[2]) / f"{asked}.csv.gz", asked)
