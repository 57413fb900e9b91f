#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: support vector classification of real tables by scikit-learn (1.9.1 wrote the
file here): the dual objective  sum_ij b_i b_j K_ij / 2 - sum_i |b_i|  of the first pair of classes
with the default tolerance, and decisions of all pairs on rows that follow those it was fitted on,
with a small one.
usage: generate.py DATA_FOLDER

Columns have the mean and variance of the rows fitted on."""
import json
import pathlib
import sys

import numpy as np
import pandas as pd
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.svm import SVC

TRAIN, TEST = 1500, 100
cases = []


def add(name, table, target, task, columns, params, **settings):
    frame = pd.read_csv(pathlib.Path(sys.argv[1]) / table, nrows=TRAIN + TEST,
                        skipinitialspace=True)
    train = frame[:TRAIN]
    x = np.column_stack([((frame[c] - train[c].mean()) / train[c].std(ddof=0)).to_numpy()
                         for c in columns])
    classes = sorted(train[target].astype(str).unique())
    y = np.searchsorted(classes, frame[target].astype(str))
    pair = np.flatnonzero(y[:TRAIN] < 2)
    rough = SVC(**settings).fit(x[pair], y[pair])
    kernel = {k: settings[k] for k in ("gamma", "degree", "coef0") if k in settings}
    k = pairwise_kernels(rough.support_vectors_, metric=settings["kernel"], filter_params=True,
                         **kernel)
    b = rough.dual_coef_.ravel()
    exact = SVC(tol=1e-7, decision_function_shape="ovo", **settings).fit(x[:TRAIN], y[:TRAIN])
    decisions = exact.decision_function(x[TRAIN::5])
    if len(classes) == 2:
        decisions = -decisions  # scikit-learn's speak for the second of two classes
    cases.append({"name": name, "learner": "svm", "params": params, "table": table,
                  "target": target, "task": task, "columns": list(columns), "categories": [],
                  "sparse": [], "classes": classes, "train": TRAIN, "test": TEST,
                  "objective": float(b @ k @ b / 2 - abs(b).sum()),
                  "kernel": settings["kernel"], "gamma": settings["gamma"], "C": settings["C"],
                  "degree": settings.get("degree", 3), "coef0": settings.get("coef0", 0.0),
                  "decisions": np.ravel(decisions).tolist()})


add("adult", "adult_train.csv.gz", "income", "binary",
    ["age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"],
    "C=3,gamma=0.15", kernel="rbf", C=3.0, gamma=0.15)
add("cover", "covertype_20k.csv.gz", "Cover_Type", "multiclass",
    list(pd.read_csv(pathlib.Path(sys.argv[1]) / "covertype_20k.csv.gz", nrows=1).columns[:10]),
    "kernel=poly,degree=2,coef0=1,gamma=0.1,C=1", kernel="poly", degree=2, coef0=1.0, gamma=0.1,
    C=1.0)
add("churn", "telco_churn.csv.gz", "Churn", "binary", ["tenure", "MonthlyCharges"],
    "C=10,gamma=1", kernel="rbf", C=10.0, gamma=1.0)
pathlib.Path(__file__).with_name("cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
