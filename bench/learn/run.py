#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every learner with its defaults against scikit-learn's counterpart with its defaults (for ebm
InterpretML's, where that is installed): five folds of real tables (a sample of at most --rows), one
thread each, processor seconds. Prints one JSON line per figure; with --table, puts such lines into
the tables of bench/README.md, between their markers.
usage: run.py [--rows 10000] [--learners a,b] CROSS_VALIDATE DATA_FOLDER [TABLE …] > FIGURES
       run.py --table < FIGURES"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import pandas as pd
from sklearn import (calibration, compose, ensemble, feature_extraction, gaussian_process, impute,
                     linear_model, metrics, model_selection, naive_bayes, neighbors, neural_network,
                     pipeline, preprocessing, svm, tree)

try:
    from interpret.glassbox import (ExplainableBoostingClassifier as EbmClassifier,
                                    ExplainableBoostingRegressor as EbmRegressor)
except ImportError:  # pip install interpret-core
    EbmClassifier = EbmRegressor = None

warnings.simplefilter("ignore")
FOLDS = 5
METRICS = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "rmse"}
TABLES = {  # target, columns left out, task
    "titanic": ("Survived", ["PassengerId", "Name", "Ticket", "Cabin"], "binary"),
    "german_credit": ("credit_risk", [], "binary"),
    "telco_churn": ("Churn", ["customerID"], "binary"),
    "mammography": ("class", [], "binary"),
    "bank_marketing": ("y", [], "binary"),
    "adult_train": ("income", [], "binary"),
    "electricity": ("class", [], "binary"),
    "weather_aus": ("RainTomorrow", ["RISK_MM", "Date"], "binary"),
    "sms_spam": ("label", [], "binary"),
    "arcene_train": ("label", [], "binary"),
    "letter": ("lettr", [], "multiclass"),
    "covertype_20k": ("Cover_Type", [], "multiclass"),
    "kddcup99_10pct": ("label", [], "multiclass"),
    "california_housing": ("median_house_value", [], "regression"),
    "ames": ("SalePrice", ["Id"], "regression"),
    "diamonds": ("price", [], "regression"),
    "bike_sharing_hour": ("cnt", ["casual", "registered", "instant", "dteday"], "regression"),
}
TEXTS = {"sms_spam": "text"}
CUBIC = {"svm": 10000, "gaussian_process": 1500}  # rows of the sample that both are given instead
CLASSIFIERS = {
    "gbdt": ensemble.HistGradientBoostingClassifier,
    "decision_tree": tree.DecisionTreeClassifier,
    "extra_trees": ensemble.ExtraTreesClassifier,
    "random_forest": ensemble.RandomForestClassifier,
    "logistic": linear_model.LogisticRegression,
    "elastic_net": lambda: linear_model.LogisticRegression(l1_ratio=0.5, solver="saga"),
    "linear_svm": lambda: calibration.CalibratedClassifierCV(svm.LinearSVC()),
    "svm": lambda: calibration.CalibratedClassifierCV(svm.SVC(), ensemble=False),
    "gaussian_process": gaussian_process.GaussianProcessClassifier,
    "mlp": neural_network.MLPClassifier,
    "knn": neighbors.KNeighborsClassifier,
    "naive_bayes": naive_bayes.GaussianNB,
}
PEERS = {
    "binary": CLASSIFIERS,
    "multiclass": CLASSIFIERS,
    "regression": {
        "gbdt": ensemble.HistGradientBoostingRegressor,
        "decision_tree": tree.DecisionTreeRegressor,
        "extra_trees": ensemble.ExtraTreesRegressor,
        "random_forest": ensemble.RandomForestRegressor,
        "ridge": linear_model.Ridge,
        "elastic_net": linear_model.ElasticNetCV,
        "linear": linear_model.LinearRegression,
        "glm": linear_model.HuberRegressor,
        "linear_svm": svm.LinearSVR,
        "svm": svm.SVR,
        "gaussian_process": lambda: gaussian_process.GaussianProcessRegressor(
            gaussian_process.kernels.RBF() + gaussian_process.kernels.WhiteKernel(),
            normalize_y=True),
        "mlp": neural_network.MLPRegressor,
        "knn": neighbors.KNeighborsRegressor,
    },
}
if EbmClassifier:
    PEERS["binary"]["ebm"] = lambda: EbmClassifier(n_jobs=1, random_state=1)
    PEERS["regression"]["ebm"] = lambda: EbmRegressor(n_jobs=1, random_state=1)
PLAIN = {"ebm"}  # counterparts that take the table as it is
SMALL = 3000  # rows of the tables in the first part of the README's


def read_table(folder, name, most):
    """The rows that both sides see: a sample, without rows of unknown target or rare classes."""
    target, dropped, task = TABLES[name]
    frame = pd.read_csv(folder / f"{name}.csv.gz", na_values=["?", " "], skipinitialspace=True)
    frame = frame.drop(columns=dropped).dropna(subset=[target])
    if len(frame) > most:
        frame = frame.sample(most, random_state=1)
    if task == "multiclass":
        frame = frame[frame[target].map(frame[target].value_counts()) >= 4 * FOLDS]
    return frame.reset_index(drop=True)


def columns_of(frame, target, text):
    x = frame.drop(columns=target)
    if text:
        words = feature_extraction.text.TfidfVectorizer(max_features=1000)
        dense = preprocessing.FunctionTransformer(lambda m: m.toarray())
        return x, compose.ColumnTransformer([("t", pipeline.make_pipeline(words, dense), text)])
    for column in x.select_dtypes(["object", "string"]):
        as_number = pd.to_numeric(x[column], errors="coerce")
        if as_number.notna().mean() > 0.9:
            x[column] = as_number
    numbers = list(x.select_dtypes("number").columns)
    others = [c for c in x if c not in numbers]
    return x, compose.ColumnTransformer([
        ("n", pipeline.make_pipeline(impute.SimpleImputer(strategy="median"),
                                     preprocessing.StandardScaler()), numbers),
        ("c", pipeline.make_pipeline(impute.SimpleImputer(strategy="most_frequent"),
                                     preprocessing.OneHotEncoder(handle_unknown="ignore",
                                                                 sparse_output=False)), others)])


def score(task, model, x, y):
    if task == "regression":
        return float(np.sqrt(np.mean((model.predict(x) - y) ** 2)))
    if task == "multiclass":
        return float(np.mean(model.predict(x) == y))
    return float(metrics.roc_auc_score(y, model.predict_proba(x)[:, 1]))


def peer_scores(frame, name, makers):
    """For each counterpart: scores and processor seconds of the folds."""
    target, _, task = TABLES[name]
    y = frame[target]
    y = y.to_numpy(float) if task == "regression" else np.unique(
        y.astype(str).to_numpy(str), return_inverse=True)[1]
    x, prepare = columns_of(frame, target, TEXTS.get(name))
    split = model_selection.KFold if task == "regression" else model_selection.StratifiedKFold
    results = {learner: ([], []) for learner in makers}
    for train, valid in split(FOLDS, shuffle=True, random_state=1).split(x, y):
        a = prepare.fit_transform(x.iloc[train])
        b = prepare.transform(x.iloc[valid])
        for learner, make in makers.items():
            model = make()
            fitted, asked = (x.iloc[train], x.iloc[valid]) if learner in PLAIN else (a, b)
            begun = time.process_time()
            model.fit(fitted, y[train])
            results[learner][1].append(time.process_time() - begun)
            results[learner][0].append(score(task, model, asked, y[valid]))
    return results


def own_scores(program, path, target, names, metric):
    command = [program, str(path), target, str(FOLDS), str(FOLDS)]
    for name in names:
        command += [name, ""]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [json.loads(line) for line in out.splitlines()]
    return {r["learner"]: ([f[metric] for f in r["folds"]], [f["fit_s"] for f in r["folds"]])
            for r in rows}


def error(scores):
    return statistics.stdev(scores) / len(scores) ** 0.5


def compare(asked, table):
    task = TABLES[table][2]
    wanted = [name for name in PEERS[task]
              if not asked.learners or name in asked.learners.split(",")]
    for most in sorted({min(asked.rows, CUBIC.get(name, asked.rows)) for name in wanted}):
        makers = {name: PEERS[task][name] for name in wanted
                  if min(asked.rows, CUBIC.get(name, asked.rows)) == most}
        compare_sample(asked, table, most, makers)


def compare_sample(asked, table, most, makers):
    target, _, task = TABLES[table]
    metric = METRICS[task]
    frame = read_table(asked.data, table, most)
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        frame.to_csv(file, index=False)
        file.flush()
        own = own_scores(asked.program, file.name, target, makers, metric)
    peers = {name: asked.known[table, name, len(frame)] for name in own
             if (table, name, len(frame)) in asked.known}
    peers |= peer_scores(frame, table, {name: makers[name] for name in own if name not in peers})
    for name, (mine, mine_s) in own.items():
        scores, seconds = peers[name]
        sign = -1 if task == "regression" else 1
        gap = sign * (statistics.mean(mine) - statistics.mean(scores))
        noise = max(error(mine), error(scores))
        own_s, peer_s = statistics.median(mine_s), statistics.median(seconds)
        print(json.dumps({"figure": f"{table} {name}", "value": statistics.mean(mine),
                          "unit": metric, "peer": "scikit-learn",
                          "peer_value": statistics.mean(scores), "fold_error": noise,
                          "worse": gap < -noise, "better": gap > noise,
                          "fit_s": own_s, "peer_fit_s": peer_s,
                          "ratio": peer_s / max(own_s, 1e-9), "rows": len(frame),
                          "peer_scores": scores, "peer_seconds": seconds}), flush=True)


def known_peers(path):
    """What counterparts had in an earlier run, by table, learner and rows."""
    known = {}
    for f in map(json.loads, path.read_text().splitlines() if path else ()):
        table, name = f["figure"].split()
        known[table, name, f["rows"]] = f["peer_scores"], f["peer_seconds"]
    return known


def row_of(f):
    table, name = f["figure"].split()
    return (f"| {table} | {f['unit']} | {name} | {f['value']:.5g} | {f['peer_value']:.5g} | "
            f"{f['fold_error']:.2g} | {'worse' if f['worse'] else ''} | "
            f"{f['fit_s']:.2g} | {f['peer_fit_s']:.2g} | {f['ratio']:.1f} |")


def place_of(table, name):
    learners = list(dict.fromkeys([*CLASSIFIERS, *PEERS["regression"], "ebm"]))
    return list(TABLES).index(table), learners.index(name)


def small_table(figures, before):
    """A row a figure; rows that the figures do not have stay as they are."""
    rows = {}
    for line in before.splitlines():
        cells = [c.strip() for c in line.split("|")]
        if len(cells) > 3 and cells[1] in TABLES:
            rows[place_of(cells[1], cells[3])] = line
    rows |= {place_of(*f["figure"].split()): row_of(f) for f in figures}
    head = ("| table | metric | learner | Quern | scikit-learn | fold error | | fit s | its fit s | "
            "speed |\n|---|---|---|---|---|---|---|---|---|---|\n")
    return head + "\n".join(rows[place] for place in sorted(rows))


def large_table(figures):
    """A row a table, a column a learner; what is worse is bold."""
    parts = []
    for is_number in (False, True):
        cells = {}
        for f in figures:
            table, name = f["figure"].split()
            if (TABLES[table][2] == "regression") != is_number:
                continue
            mark = "**" if f["worse"] else ""
            cells[table, name] = (f"{mark}{f['value']:.4g}{mark} / {f['peer_value']:.4g}"
                                  f"{' +' if f['better'] else ''}")
        learners = sorted({name for _, name in cells}, key=lambda n: place_of("titanic", n))
        parts.append(f"| table | {' | '.join(learners)} |\n|---{'|---' * len(learners)}|\n" + "\n".join(
            f"| {table} | {' | '.join(cells.get((table, n), '') for n in learners)} |"
            for table in TABLES if any(t == table for t, _ in cells)))
    n_worse, n_better = (sum(f[key] for f in figures) for key in ("worse", "better"))
    return (f"{len(figures)} figures: {n_better} better and {n_worse} worse by more than the fold "
            f"error.\n\n" + "\n\n".join(parts))


def write_table(lines):
    """Tables of up to SMALL rows go into the first part, greater ones into the second."""
    figures = {}
    for f in map(json.loads, lines):
        figures[f["figure"], f["rows"] > SMALL] = f
    readme = pathlib.Path(__file__).resolve().parents[1] / "README.md"
    text = readme.read_text()
    for part, is_large in (("learners", False), ("learners, more rows", True)):
        chosen = [f for (_, large), f in figures.items() if large == is_large]
        begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
        before = text[text.index(begin) + len(begin):text.index(end)]
        if chosen:
            made = large_table(chosen) if is_large else small_table(chosen, before)
            text = text.replace(begin + before + end, f"{begin}\n{made}\n{end}")
    readme.write_text(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--rows", type=int, default=10000)
    parser.add_argument("--learners")
    parser.add_argument("--peers", type=pathlib.Path, metavar="FIGURES",
                        help="take the counterparts' figures of an earlier run from there")
    parser.add_argument("program", nargs="?")
    parser.add_argument("data", nargs="?", type=pathlib.Path)
    parser.add_argument("tables", nargs="*")
    asked = parser.parse_args()
    if asked.table:
        write_table(sys.stdin)
        return
    asked.known = known_peers(asked.peers)
    for table in asked.tables or TABLES:
        compare(asked, table)


main()
