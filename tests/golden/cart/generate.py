#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: decision trees of scikit-learn (1.9.1 wrote the file here) on real tables: how
many leaves, and what is predicted for every 25th of the rows it was fitted on, where it does not
matter in which part of a gap a cut stands. Columns have at most 250 distinct values, which bins
keep apart. Each case is told to every learner that comes to the same tree: a forest of one without
a bootstrap, looking at all features; where all columns are indicators, also one of random cuts.
usage: generate.py DATA_FOLDER"""
import json
import pathlib
import sys

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

FOLDER = pathlib.Path(sys.argv[1])
cases = []


def add(name, model, params, table, target, task, columns, rows, categories=()):
    frame = pd.read_csv(FOLDER / table, nrows=rows + 10)
    train = frame[:rows]
    levels = [{"name": c, "levels": sorted(train[c].unique())} for c in categories]
    blocks = [((train[c] - train[c].mean()) / train[c].std(ddof=0)).to_numpy() for c in columns]
    blocks += [(train[c["name"]] == v).to_numpy(float) for c in levels for v in c["levels"]]
    x = np.column_stack(blocks)
    classes = sorted(train[target].astype(str).unique()) if task != "regression" else []
    y = train[target].to_numpy(float) if task == "regression" else \
        np.searchsorted(classes, train[target].astype(str))
    model.fit(x, y)
    out = model.predict(x[::25]) if task == "regression" else model.predict_proba(x[::25])
    out = out[:, 1] if task == "binary" else out
    learners = ["decision_tree", "random_forest"] + ([] if columns else ["extra_trees"])
    cases.append({"name": name, "learners": learners, "params": params, "table": table,
                  "target": target, "task": task, "columns": list(columns),
                  "categories": levels, "sparse": [], "classes": classes, "train": rows,
                  "test": 10, "leaves": int(model.get_n_leaves()),
                  "predictions": [float(f"{p:.10g}") for p in np.ravel(out)]})


def few(table, rows, leave_out):
    frame = pd.read_csv(FOLDER / table, nrows=rows + 10)
    numbers = frame.select_dtypes("number").dropna(axis=1)
    return [c for c in numbers if c not in leave_out and 2 < numbers[c].nunique() <= 250]


BOUNDS = {"max_depth": 6, "min_samples_leaf": 20, "random_state": 1}
TOLD = "max_depth=6,min_data_in_leaf=20"
letter = ("letter.csv.gz", "lettr", "multiclass", few("letter.csv.gz", 4000, ()), 4000)
cover = ("covertype_20k.csv.gz", "Cover_Type", "multiclass",
         few("covertype_20k.csv.gz", 4000, ("Cover_Type",)), 4000)
churn = ("telco_churn.csv.gz", "Churn", "binary", ["tenure"], 5000,
         ["Contract", "InternetService", "PaymentMethod", "OnlineSecurity"])
contracts = (*churn[:3], [], churn[4], ["Contract", "InternetService", "PaymentMethod", "Partner",
                                        "OnlineSecurity", "TechSupport", "PaperlessBilling"])
ames = ("ames.csv.gz", "SalePrice", "regression", few("ames.csv.gz", 1400, ("Id", "SalePrice")),
        1400)

one, number = DecisionTreeClassifier, DecisionTreeRegressor
add("letters, gini", one(**BOUNDS), TOLD, *letter)
add("letters, entropy", one(criterion="entropy", **BOUNDS), f"{TOLD},criterion=entropy", *letter)
add("cover, gini", one(**BOUNDS), TOLD, *cover)
add("cover, entropy, pruned", one(criterion="entropy", ccp_alpha=0.004, **BOUNDS),
    f"{TOLD},criterion=entropy,ccp_alpha=0.004", *cover)
add("churn, gini", one(**BOUNDS), TOLD, *churn)
add("churn, entropy", one(criterion="entropy", **BOUNDS), f"{TOLD},criterion=entropy", *churn)
add("churn, gini, pruned, classes of equal weight",
    one(class_weight="balanced", ccp_alpha=0.002, **BOUNDS),
    f"{TOLD},class_weight=balanced,ccp_alpha=0.002", *churn)
add("contracts, gini", one(**BOUNDS), TOLD, *contracts)
add("contracts, entropy", one(criterion="entropy", **BOUNDS), f"{TOLD},criterion=entropy",
    *contracts)
add("bank, indicators", one(**BOUNDS), TOLD, "bank_marketing.csv.gz", "y", "binary", [], 5000,
    ["job", "marital", "education", "housing", "loan", "contact", "month"])
add("houses, indicators", number(**BOUNDS), TOLD, "ames.csv.gz", "SalePrice", "regression", [], 1400,
    ["Neighborhood", "HouseStyle", "ExterQual", "KitchenQual", "SaleCondition", "CentralAir"])
add("ames", number(**BOUNDS), TOLD, *ames)
add("ames, pruned", number(ccp_alpha=2e7, **BOUNDS), f"{TOLD},ccp_alpha=2e7", *ames)

pathlib.Path(__file__).with_name("cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
