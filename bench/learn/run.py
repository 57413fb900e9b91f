#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every learner with its defaults against scikit-learn's counterpart with its defaults: five folds
of real tables, one thread each, processor seconds. Prints one JSON line per figure; with --table,
makes the table in bench/README.md, between its markers, of such lines.
usage: run.py CROSS_VALIDATE DATA_FOLDER [TABLE …] > FIGURES
       run.py --table < FIGURES"""
import json
import pathlib
import re
import statistics
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
from sklearn import (compose, ensemble, impute, linear_model, metrics, model_selection,
                     naive_bayes, neighbors, neural_network, pipeline, preprocessing)

warnings.simplefilter("ignore")
FOLDS = 5
TABLES = {  # target, columns left out, task
    "telco_churn": ("Churn", ["customerID"], "binary"),
    "german_credit": ("credit_risk", [], "binary"),
    "mammography": ("class", [], "binary"),
    "bank_marketing": ("y", [], "binary"),
    "adult_train": ("income", [], "binary"),
    "california_housing": ("median_house_value", [], "regression"),
    "ames": ("SalePrice", ["Id"], "regression"),
    "diamonds": ("price", [], "regression"),
}
PEERS = {
    "binary": {
        "gbdt": ensemble.HistGradientBoostingClassifier,
        "extra_trees": ensemble.ExtraTreesClassifier,
        "random_forest": ensemble.RandomForestClassifier,
        "logistic": linear_model.LogisticRegression,
        "elastic_net": lambda: linear_model.LogisticRegression(l1_ratio=0.5, solver="saga"),
        "mlp": neural_network.MLPClassifier,
        "knn": neighbors.KNeighborsClassifier,
        "naive_bayes": naive_bayes.GaussianNB,
    },
    "regression": {
        "gbdt": ensemble.HistGradientBoostingRegressor,
        "extra_trees": ensemble.ExtraTreesRegressor,
        "random_forest": ensemble.RandomForestRegressor,
        "ridge": linear_model.Ridge,
        "elastic_net": linear_model.ElasticNetCV,
        "mlp": neural_network.MLPRegressor,
        "knn": neighbors.KNeighborsRegressor,
    },
}
BEGIN, END = "<!-- learners: begin -->", "<!-- learners: end -->"


def peer_scores(frame, target, task, make):
    y = frame[target]
    y = y.to_numpy(float) if task == "regression" else (y.astype(str) == sorted(
        y.astype(str).unique())[1]).to_numpy(int)
    x = frame.drop(columns=target)
    numbers = list(x.select_dtypes("number").columns)
    others = [c for c in x if c not in numbers]
    prepare = compose.ColumnTransformer([
        ("n", pipeline.make_pipeline(impute.SimpleImputer(strategy="median"),
                                     preprocessing.StandardScaler()), numbers),
        ("c", pipeline.make_pipeline(impute.SimpleImputer(strategy="most_frequent"),
                                     preprocessing.OneHotEncoder(handle_unknown="ignore",
                                                                 sparse_output=False)), others)])
    split = model_selection.KFold if task == "regression" else model_selection.StratifiedKFold
    scores, seconds = [], []
    for train, valid in split(FOLDS, shuffle=True, random_state=1).split(x, y):
        a = prepare.fit_transform(x.iloc[train])
        b = prepare.transform(x.iloc[valid])
        model = make()
        begun = time.process_time()
        model.fit(a, y[train])
        seconds.append(time.process_time() - begun)
        if task == "regression":
            scores.append(float(np.sqrt(np.mean((model.predict(b) - y[valid]) ** 2))))
        else:
            scores.append(float(metrics.roc_auc_score(y[valid], model.predict_proba(b)[:, 1])))
    return scores, seconds


def own_scores(program, path, target, dropped, names, metric):
    command = [program, str(path), ",".join([target, *dropped]), str(FOLDS), str(FOLDS)]
    for name in names:
        command += [name, ""]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [json.loads(line) for line in out.splitlines()]
    return {r["learner"]: ([f[metric] for f in r["folds"]], [f["fit_s"] for f in r["folds"]])
            for r in rows}


def error(scores):
    return statistics.stdev(scores) / len(scores) ** 0.5


def compare(program, folder, table):
    target, dropped, task = TABLES[table]
    metric = "rmse" if task == "regression" else "roc_auc"
    path = folder / f"{table}.csv.gz"
    frame = pd.read_csv(path, na_values=["?", " "], skipinitialspace=True).drop(columns=dropped)
    for column in frame.select_dtypes("object"):
        as_number = pd.to_numeric(frame[column], errors="coerce")
        if column != target and as_number.notna().mean() > 0.9:
            frame[column] = as_number
    own = own_scores(program, path, target, dropped, PEERS[task], metric)
    for name, make in PEERS[task].items():
        scores, seconds = peer_scores(frame, target, task, make)
        mine, mine_s = own[name]
        sign = -1 if task == "regression" else 1
        gap = sign * (statistics.mean(mine) - statistics.mean(scores))
        noise = max(error(mine), error(scores))
        own_s, peer_s = statistics.median(mine_s), statistics.median(seconds)
        print(json.dumps({"figure": f"{table} {name}", "value": statistics.mean(mine),
                          "unit": metric, "peer": "scikit-learn",
                          "peer_value": statistics.mean(scores), "fold_error": noise,
                          "worse": gap < -noise, "fit_s": own_s, "peer_fit_s": peer_s,
                          "ratio": peer_s / max(own_s, 1e-9)}), flush=True)


def write_table(lines):
    rows = []
    for f in map(json.loads, lines):
        table, name = f["figure"].split()
        rows.append(f"| {table} | {name} | {f['value']:.5g} | {f['peer_value']:.5g} | "
                    f"{f['fold_error']:.2g} | {'worse' if f['worse'] else ''} | "
                    f"{f['fit_s']:.2g} | {f['peer_fit_s']:.2g} | {f['ratio']:.1f} |")
    head = ("| table | learner | Quern | scikit-learn | fold error | | fit s | its fit s | speed |\n"
            "|---|---|---|---|---|---|---|---|---|\n")
    readme = pathlib.Path(__file__).resolve().parents[1] / "README.md"
    body = f"{BEGIN}\n{head}" + "\n".join(rows) + f"\n{END}"
    readme.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: body, readme.read_text(), flags=re.S))


if sys.argv[1] == "--table":
    write_table(sys.stdin)
else:
    for asked in sys.argv[3:] or TABLES:
        compare(sys.argv[1], pathlib.Path(sys.argv[2]), asked)
