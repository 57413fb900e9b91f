#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Learner-tuning tasks as tables: a few hundred settings of a learner, evenly spread, each with the
log loss on a third of the rows held out, after every 1/27 of its rounds, trees or epochs. Needs
pip install numpy pandas scipy scikit-learn lightgbm.

usage: make_tables.py TABLE.csv TARGET OUT_DIR [TASK …]     (tables/: examples/credit/train.csv class tables gbdt)

A table begins with its space as JSON after "# "; then each line has the place of a setting on the
unit interval of every parameter, and 27 losses."""
import csv
import json
import math
import pathlib
import sys
import warnings

import lightgbm
import numpy as np
import pandas as pd
from scipy.stats import qmc
from sklearn.compose import make_column_transformer
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import OneHotEncoder, StandardScaler

N_SETTINGS, N_STEPS = 300, 27


def number(low, high, log=False, kind="float"):
    return {"type": kind, "low": low, "high": high, **({"log": True} if log else {})}


FOREST = {"max_features": number(0.05, 1), "max_depth": number(2, 30, True, "int"),
          "min_samples_leaf": number(1, 100, True, "int"), "ccp_alpha": number(1e-6, 1e-2, True)}
SPACES = {
    "gbdt": {"learning_rate": number(0.01, 1, True), "num_leaves": number(2, 128, True, "int"),
             "min_data_in_leaf": number(1, 100, True, "int"), "feature_fraction": number(0.1, 1),
             "reg_lambda": number(1e-3, 100, True)},
    "random_forest": FOREST,
    "extra_trees": FOREST,
    "mlp": {"learning_rate": number(1e-5, 0.1, True), "hidden": number(4, 64, True, "int"),
            "alpha": number(1e-6, 10, True), "batch": number(32, 256, True, "int")},
}


def value_at(parameter, unit):
    half = 0.5 if parameter["type"] == "int" else 0
    low, high = parameter["low"] - half, parameter["high"] + half
    if parameter.get("log"):
        value = math.exp(math.log(low) + unit * (math.log(high) - math.log(low)))
    else:
        value = low + unit * (high - low)
    return min(max(round(value), parameter["low"]), parameter["high"]) if half else value


def gbdt(p, x, y, test):
    model = lightgbm.train({**p, "objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 1},
                           lightgbm.Dataset(x, y, params={"min_data_in_bin": 1}), 5 * N_STEPS)
    for step in range(1, N_STEPS + 1):
        yield model.predict(test, num_iteration=5 * step)


def forest(kind):
    def curve(p, x, y, test):
        model = kind(3 * N_STEPS, random_state=1, **p).fit(x, y)
        each = np.cumsum([tree.predict_proba(test)[:, 1] for tree in model.estimators_], axis=0)
        for step in range(1, N_STEPS + 1):
            yield each[3 * step - 1] / (3 * step)
    return curve


def mlp(p, x, y, test):
    model = MLPClassifier((p["hidden"],), alpha=p["alpha"], batch_size=p["batch"],
                          learning_rate_init=p["learning_rate"], random_state=1)
    for _ in range(N_STEPS):
        model.partial_fit(x, y, classes=[0, 1])
        yield model.predict_proba(test)[:, 1]


CURVES = {"gbdt": gbdt, "random_forest": forest(RandomForestClassifier),
          "extra_trees": forest(ExtraTreesClassifier), "mlp": mlp}


def prepared(path, target):
    table = pd.read_csv(path)
    y = pd.factorize(table.pop(target))[0]
    texts = list(table.select_dtypes(exclude="number"))
    others = [name for name in table if name not in texts]
    encoder = make_column_transformer((OneHotEncoder(sparse_output=False), texts), (StandardScaler(), others))
    return np.asarray(encoder.fit_transform(table)), y


def log_loss(y, p):
    return -np.mean(np.log(np.clip(np.where(y == 1, p, 1 - p), 1e-3, 1 - 1e-3)))


def main():
    path, target, out = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    warnings.filterwarnings("ignore")
    x, y = prepared(path, target)
    x, test, y, truth = train_test_split(x, y, test_size=1 / 3, stratify=y, random_state=1)
    for task in sys.argv[4:] or SPACES:
        space = SPACES[task]
        units = np.round(qmc.Halton(len(space), seed=1).random(N_SETTINGS), 3)
        with open(out / f"{task}.csv", "w", newline="") as file:
            file.write("# " + json.dumps({"parameters": space}) + "\n")
            rows = csv.writer(file, lineterminator="\n")
            for unit in units:
                setting = {name: value_at(p, u) for (name, p), u in zip(space.items(), unit)}
                losses = [log_loss(truth, p) for p in CURVES[task](setting, x, y, test)]
                rows.writerow([f"{u:.3f}" for u in unit] + [f"{loss:.4f}" for loss in losses])


main()
