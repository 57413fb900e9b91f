#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: support vector machines on features of landmarks by scikit-learn's linear ones
(1.9.1 wrote the file here), decisions on rows that follow those they were fitted on. Landmarks are
a tenth of the rows of each class, at equal steps.
usage: generate.py DATA_FOLDER

Columns have the mean and variance of the rows fitted on; so has the target of a regression."""
import json
import pathlib
import sys

import numpy as np
import pandas as pd
from scipy import linalg
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.svm import LinearSVC, LinearSVR

TRAIN, TEST, LANDMARKS = 1500, 100, 150
cases = []


def places(n, m):
    return np.arange(m) * n // m


def add(name, table, target, task, columns, params, model, **kernel):
    frame = pd.read_csv(pathlib.Path(sys.argv[1]) / table, nrows=TRAIN + TEST,
                        skipinitialspace=True)
    train = frame[:TRAIN]
    x = np.column_stack([((frame[c] - train[c].mean()) / train[c].std(ddof=0)).to_numpy()
                         for c in columns])
    if task == "binary":
        classes = sorted(train[target].astype(str).unique())
        y = np.searchsorted(classes, frame[target].astype(str))[:TRAIN]
        groups = [np.flatnonzero(y == c) for c in range(2)]
        y = 1 - y  # decisions speak for the first class
    else:
        classes, groups = [], [np.arange(TRAIN)]
        y = frame[target].to_numpy(float)[:TRAIN]
        y = (y - y.mean()) / y.std()
    chosen = np.concatenate([g[places(len(g), int(len(g) * LANDMARKS / TRAIN + 0.5))]
                             for g in groups])
    z = x[chosen]
    k = pairwise_kernels(z, **kernel)
    factor = linalg.cholesky(k + 1e-6 * np.trace(k) / len(z) * np.eye(len(z)), lower=True)
    features = linalg.solve_triangular(factor, pairwise_kernels(z, x, **kernel), lower=True).T
    model.fit(features[:TRAIN], y)
    decide = model.decision_function if task == "binary" else model.predict
    cases.append({"name": name, "learner": "svm", "params": params, "table": table,
                  "target": target, "task": task, "columns": list(columns), "categories": [],
                  "sparse": [], "classes": classes, "train": TRAIN, "test": TEST,
                  "decisions": np.ravel(decide(features[TRAIN::5])).tolist()})


exact = {"tol": 1e-9, "max_iter": 1000000, "random_state": 0}
add("adult", "adult_train.csv.gz", "income", "binary",
    ["age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"],
    "C=3,gamma=0.15", LinearSVC(C=3, loss="hinge", **exact), metric="rbf", gamma=0.15)
add("churn", "telco_churn.csv.gz", "Churn", "binary", ["tenure", "MonthlyCharges"],
    "C=2,kernel=poly,degree=2,gamma=0.5,coef0=1", LinearSVC(C=2, loss="hinge", **exact),
    metric="poly", degree=2, gamma=0.5, coef0=1)
add("housing", "california_housing.csv.gz", "median_house_value", "regression",
    ["longitude", "latitude", "housing_median_age", "total_rooms", "median_income"],
    "C=1.5,gamma=0.2,epsilon=0.1", LinearSVR(C=1.5, epsilon=0.1, **exact), metric="rbf", gamma=0.2)
pathlib.Path(__file__).with_name("cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
