#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Learner-tuning tasks as tables: many settings of a learner, evenly spread, each with the loss on a third of
the rows held out (the credit table: mean of five), after some of its rounds or with a share of the rows. Needs pip install scipy.

usage: make_tables.py BUILD OUT_DIR HOUSING ADULT [TASK …]

HOUSING is the California housing table as CSV, with its target median_house_value, ADULT the training part of the
census incomes of UCI, with its target income; the other tasks take examples/credit/train.csv. A table begins with its space as JSON after "# ", then come the names of its
columns; each line has the place of a setting on the unit interval of every parameter, and its losses."""
import json
import math
import pathlib
import subprocess
import sys

from scipy.stats import qmc

CREDIT = pathlib.Path(__file__).parents[2] / "examples" / "credit" / "train.csv"


def number(low, high, log=False, kind="float"):
    return {"type": kind, "low": low, "high": high, **({"log": True} if log else {})}


def choice(*names):
    return {"type": "categorical", "choices": list(names)}


FOREST = {"max_features": number(0.05, 1), "max_depth": number(2, 30, True, "int"),
          "min_data_in_leaf": number(1, 100, True, "int"), "leaf_smoothing": number(0.1, 100, True)}
BOOSTING = {"learning_rate": number(0.01, 1, True), "num_leaves": number(2, 128, True, "int"),
            "min_data_in_leaf": number(1, 100, True, "int"), "feature_fraction": number(0.1, 1),
            "reg_lambda": number(1e-3, 100, True)}
ROUNDS = [5 * step for step in (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 18, 21, 24, 27)]
# per task: learner, what is fixed, unit of the steps, steps, number of settings, space
TASKS = {
    "gbdt": ("gbdt", "", "n_estimators", ROUNDS, 500, BOOSTING),
    "gbdt_rows": ("gbdt", "n_estimators=150", "rows", [1, 3, 9, 27], 1000, BOOSTING),
    "adult_rows": ("gbdt", "n_estimators=150", "rows", [1, 3, 9, 27], 300, BOOSTING),
    "random_forest": ("random_forest", "", "n_estimators", [100], 1500, FOREST),
    "extra_trees": ("extra_trees", "", "n_estimators", [100], 1500, FOREST),
    "mlp": ("mlp", "", "epochs", [16], 1500, {
        "learning_rate": number(1e-5, 0.1, True), "hidden": number(8, 96, True, "int"),
        "n_layers": number(1, 4, kind="int"), "dropout": number(0, 0.6),
        "weight_decay": number(1e-4, 1, True), "norm": choice("none", "batch", "layer"),
        "numeric_embedding": choice("none", "quantile", "piecewise")}),
}


def value_at(parameter, unit):
    if "choices" in parameter:
        choices = parameter["choices"]
        return choices[min(int(unit * len(choices)), len(choices) - 1)]
    half = 0.5 if parameter["type"] == "int" else 0
    low, high = parameter["low"] - half, parameter["high"] + half
    if parameter.get("log"):
        value = math.exp(math.log(low) + unit * (math.log(high) - math.log(low)))
    else:
        value = low + unit * (high - low)
    return min(max(round(value), parameter["low"]), parameter["high"]) if half else value


def main():
    build, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    data = {"gbdt_rows": (sys.argv[3], "median_house_value", "1"), "adult_rows": (sys.argv[4], "income", "1")}
    for task in sys.argv[5:] or TASKS:
        learner, fixed, unit, steps, n, space = TASKS[task]
        units = qmc.Halton(len(space), seed=1).random(n).round(3)
        settings = []
        for row in units:
            values = [f"{name}={value_at(p, u)}" for (name, p), u in zip(space.items(), row)]
            settings.append(",".join(values + ([fixed] if fixed else [])) + "\n")
        fits = subprocess.run([build / "bench" / "fit_settings", *data.get(task, (str(CREDIT), "class", "5")), learner, unit,
                               ",".join(map(str, steps))],
                              input="".join(settings), capture_output=True, text=True, check=True)
        with open(out / f"{task}.csv", "w") as file:
            file.write("# " + json.dumps({"parameters": space}) + "\n")
            file.write(",".join([*space, *(f"{unit} {step}" for step in steps)]) + "\n")
            for row, line in zip(units, fits.stdout.splitlines(), strict=True):
                losses = [f"{float(loss):.5g}" for loss in line.split(",")]
                file.write(",".join([f"{u:.3f}" for u in row] + losses) + "\n")


main()
