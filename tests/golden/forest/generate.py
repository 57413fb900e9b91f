#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: forests of scikit-learn (1.9.1 wrote the file here) on real tables, by several
seeds: the squared error (of classes summed over their probabilities: Brier 1950) on rows that follow
those they were fitted on, the same out of the bag where rows are drawn, and the mean shares of
columns in the gain of all trees. Columns have at most 250 distinct values, which bins keep apart.
Leaves are of any size, and trees of indicators shallow: where no feature that a node has drawn can
be cut with gain, scikit-learn ends the node or cuts without gain, and Quern looks at more features
(which brings the squared error of deep extra trees on telco_churn from 0.373 to 0.358).
usage: generate.py DATA_FOLDER"""
import json
import pathlib
import sys

import numpy as np
import pandas as pd
from sklearn.ensemble import (ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier,
                              RandomForestRegressor)

FOLDER = pathlib.Path(sys.argv[1])
SEEDS, TREES = range(12), 30
CLASSES = {"random_forest": RandomForestClassifier, "extra_trees": ExtraTreesClassifier}
NUMBERS = {"random_forest": RandomForestRegressor, "extra_trees": ExtraTreesRegressor}
cases = []


def squared_error(task, out, y):
    if task == "regression":
        return float(np.mean((out - y) ** 2))
    return float(np.mean(((out - np.eye(out.shape[1])[y]) ** 2).sum(1)))


def few(table, rows, leave_out):
    numbers = pd.read_csv(FOLDER / table, nrows=rows).select_dtypes("number").dropna(axis=1)
    return [c for c in numbers if c not in leave_out and 2 < numbers[c].nunique() <= 250]


def add(table, target, task, columns, train, test, tried, max_depth=None, categories=()):
    frame = pd.read_csv(FOLDER / table, nrows=train + test)
    levels = [{"name": c, "levels": sorted(frame[:train][c].unique())} for c in categories]
    blocks = [frame[c].to_numpy(float) for c in columns]
    blocks += [(frame[c["name"]] == v).to_numpy(float) for c in levels for v in c["levels"]]
    x = np.column_stack(blocks)
    classes = sorted(frame[:train][target].astype(str).unique()) if task != "regression" else []
    y = frame[target].to_numpy(float) if task == "regression" else \
        np.searchsorted(classes, frame[target].astype(str))
    for learner in ("random_forest", "extra_trees"):
        drawn = learner == "random_forest"
        losses, out_of_bag, importances = [], [], []
        for seed in SEEDS:
            make = (NUMBERS if task == "regression" else CLASSES)[learner]
            model = make(TREES, max_features=tried, max_depth=max_depth, bootstrap=drawn,
                         oob_score=drawn, random_state=seed, n_jobs=2).fit(x[:train], y[:train])
            predict = model.predict if task == "regression" else model.predict_proba
            losses.append(squared_error(task, predict(x[train:]), y[train:]))
            gains = sum(tree.tree_.compute_feature_importances(normalize=False)
                        for tree in model.estimators_)
            importances.append(gains / gains.sum())
            if drawn:
                out = model.oob_prediction_ if task == "regression" else \
                    model.oob_decision_function_
                out_of_bag.append(squared_error(task, out, y[:train]))
        cases.append({"name": f"{table.split('.')[0]}, {learner}", "learner": learner,
                      "params": f"n_estimators={TREES},max_features={tried / x.shape[1]:.9f},"
                                f"min_data_in_leaf=1,max_depth={max_depth or 0},"
                                f"oob_score={'true' if drawn else 'false'}",
                      "table": table, "target": target, "task": task, "columns": list(columns),
                      "categories": levels, "sparse": [], "classes": classes, "train": train,
                      "test": test, "losses": losses, "out_of_bag": out_of_bag,
                      "importances": [float(f"{v:.6g}") for v in np.mean(importances, axis=0)]})


add("letter.csv.gz", "lettr", "multiclass", few("letter.csv.gz", 2500, ()), 2000, 500, 4)
add("covertype_20k.csv.gz", "Cover_Type", "multiclass",
    few("covertype_20k.csv.gz", 2500, ("Cover_Type",)), 2000, 500, 3)
add("telco_churn.csv.gz", "Churn", "binary", ["tenure"], 2500, 1000, 4, 5,
    ["Contract", "InternetService", "PaymentMethod", "OnlineSecurity"])
add("ames.csv.gz", "SalePrice", "regression", few("ames.csv.gz", 1460, ("Id", "SalePrice")), 1000,
    460, 7)
add("bike_sharing_hour.csv.gz", "cnt", "regression",
    ["season", "mnth", "hr", "weekday", "temp", "atemp", "hum", "windspeed"], 2000, 500, 4)
pathlib.Path(__file__).with_name("cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
