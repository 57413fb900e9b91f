#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: explainable boosting by InterpretML (0.7.8 wrote the file here) on real tables,
main effects alone: the loss (log-loss, of numbers the root of the mean square) on each of four
folds, row i being of fold i % 4, and of a fit to all rows what each column adds to the score of
every 20th.
usage: generate.py DATA_FOLDER

Numbers are standardised by all rows, of categories there is an indicator a level."""
import json
import pathlib
import sys

import numpy as np
import pandas as pd
from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor

FOLDER = pathlib.Path(sys.argv[1])
FOLDS, EVERY, BAGS = 4, 20, 8


def fit(task, x, y):
    kind = ExplainableBoostingRegressor if task == "regression" else ExplainableBoostingClassifier
    return kind(interactions=0, outer_bags=BAGS, n_jobs=1, random_state=1).fit(x, y)


def loss(task, model, x, y):
    if task == "regression":
        return float(np.sqrt(np.mean((model.predict(x) - y) ** 2)))
    p = np.clip(model.predict_proba(x)[:, 1], 1e-15, 1 - 1e-15)
    return float(-np.mean(np.where(y == 1, np.log(p), np.log(1 - p))))


def case(name, table, target, task, columns, rows, categories=()):
    frame = pd.read_csv(FOLDER / table, nrows=rows, skipinitialspace=True)
    levels = [{"name": c, "levels": sorted(frame[c].unique())} for c in categories]
    blocks = [((frame[c] - frame[c].mean()) / frame[c].std(ddof=0)).to_numpy() for c in columns]
    blocks += [(frame[c["name"]] == v).to_numpy(float) for c in levels for v in c["levels"]]
    x = np.column_stack(blocks)
    classes = sorted(frame[target].astype(str).unique()) if task != "regression" else []
    y = frame[target].to_numpy(float) if task == "regression" else \
        np.searchsorted(classes, frame[target].astype(str))
    fold = np.arange(rows) % FOLDS
    losses = [loss(task, fit(task, x[fold != f], y[fold != f]), x[fold == f], y[fold == f])
              for f in range(FOLDS)]
    parts = fit(task, x, y).eval_terms(x[::EVERY])
    return {"name": name, "params": f"interactions=0,outer_bags={BAGS}", "table": table,
            "target": target, "task": task, "columns": list(columns), "categories": levels,
            "sparse": [], "classes": classes, "train": rows, "test": 0, "losses": losses,
            "parts": [float(f"{p:.6g}") for p in np.ravel(parts)]}


cases = [
    case("credit", "german_credit.csv.gz", "credit_risk", "binary",
         ["duration", "amount", "age", "installment_rate"], 1000,
         ["status", "credit_history", "savings", "employment_duration"]),
    case("churn", "telco_churn.csv.gz", "Churn", "binary", ["tenure", "MonthlyCharges"], 3000,
         ["Contract", "InternetService", "PaymentMethod", "OnlineSecurity"]),
    case("adult", "adult_train.csv.gz", "income", "binary",
         ["age", "education-num", "capital-gain", "capital-loss", "hours-per-week"], 3000),
    case("houses", "california_housing.csv.gz", "median_house_value", "regression",
         ["longitude", "latitude", "housing_median_age", "total_rooms", "population", "households",
          "median_income"], 3000),
]
pathlib.Path(__file__).with_name("cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
