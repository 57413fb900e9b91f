#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Accuracy at a budget: quern fit against scikit-learn's HistGradientBoosting and LightGBM with
early stopping, on the same splits of real tables.

    bench/accuracy/run.py [--quern build/src/cli/quern] [--data DIR] [--budget 60] [--seed 1] [TABLE …]

Prints one JSON line per figure: {"figure", "value", "std_error", "reach", "peer", "peer_value",
"ratio", "seconds"}. Small tables are cross-validated (5 outer folds), the others have a 20 %
stratified test part. Needs pandas, scikit-learn and lightgbm; none of them is part of Quern."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import pandas as pd

HERE = pathlib.Path(__file__).resolve().parent
# table, target, metric, figure to reach, columns dropped, outer folds (1: a 20 % test part)
TABLES = [
    ("adult", "income", "roc_auc", 0.928, "", 1),
    ("bank_marketing", "y", "roc_auc", 0.933, "", 1),
    ("mammography", "class", "roc_auc", 0.95, "", 1),
    ("sms_spam", "label", "roc_auc", 0.99, "", 1),
    ("california_housing", "median_house_value", "rmse", 46500, "", 1),
    ("diamonds", "price", "rmse", 545, "", 1),
    ("bike_sharing_hour", "cnt", "r2", 0.95, "casual,registered", 1),
    ("letter", "lettr", "accuracy", 0.965, "", 1),
    ("kddcup99_10pct", "label", "accuracy", 0.999, "", 1),
    ("telco_churn", "Churn", "roc_auc", 0.845, "", 5),
    ("titanic", "Survived", "roc_auc", 0.86, "", 5),
    ("german_credit", "credit_risk", "roc_auc", 0.785, "", 5),
]
LOWER_IS_BETTER = {"rmse", "log_loss"}


def splits(frame, target, metric, n_folds, seed):
    """Row numbers of (train, test), stratified; classes of one row always train."""
    from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
    rows = np.arange(len(frame))
    if metric in ("rmse", "r2"):
        strata = pd.qcut(frame[target], 10, labels=False, duplicates="drop")
    else:
        strata = frame[target]
    if n_folds > 1:
        yield from StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(rows, strata)
        return
    counts = strata.map(strata.value_counts())
    often = rows[counts >= 2]
    train, test = train_test_split(often, test_size=0.2, stratify=strata.iloc[often],
                                   random_state=seed)
    yield np.sort(np.concatenate([train, rows[counts < 2]])), np.sort(test)


def read(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=False)


def quern(args, train, test, spec, folder):
    _, target, metric, _, drop, _ = spec
    paths = [os.path.join(folder, name) for name in ("train.csv", "test.csv", "model.quern")]
    train.to_csv(paths[0], index=False)
    test.to_csv(paths[1], index=False)
    command = [args.quern, "fit", paths[0], "--test", paths[1], "--target", target, "--metric",
               metric, "--budget", f"{args.budget}s", "--seed", str(args.seed), "-o", paths[2],
               "--json", "--quiet"]
    if drop:
        command += ["--drop", drop]
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begun
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)["test"][metric], seconds


def typed(frame, target):
    """Columns as the peers want them: numbers, or categories."""
    out = pd.DataFrame(index=frame.index)
    for name in frame.columns:
        if name == target:
            continue
        text = frame[name].str.strip()
        text = text.where(~text.isin(["", "NA", "?", "NULL", "nan"]), None)
        numbers = pd.to_numeric(text, errors="coerce")
        if numbers.notna().sum() == text.notna().sum():
            out[name] = numbers.astype(float)
        elif text.nunique() <= 200:
            out[name] = text.astype("category")
        else:
            out[name] = text.fillna("").str.len().astype(float)
    return out


def score(metric, truth, model, features):
    from sklearn import metrics
    if metric == "roc_auc":
        return metrics.roc_auc_score(truth, model.predict_proba(features)[:, 1])
    if metric == "accuracy":
        return metrics.accuracy_score(truth, model.predict(features))
    predicted = model.predict(features)
    if metric == "r2":
        return metrics.r2_score(truth, predicted)
    return metrics.mean_squared_error(truth, predicted) ** 0.5


def peer(name, spec, frame, train, test, seed):
    import lightgbm
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.model_selection import train_test_split
    _, target, metric, _, drop, _ = spec
    frame = frame.drop(columns=[c for c in drop.split(",") if c])
    features = typed(frame, target)
    regression = metric in ("rmse", "r2")
    truth = (pd.to_numeric(frame[target]) if regression
             else pd.Series(pd.factorize(frame[target].str.strip(), sort=True)[0]))
    x_train, x_test = features.iloc[train], features.iloc[test]
    y_train, y_test = truth.iloc[train], truth.iloc[test]
    if name == "hist_gradient_boosting":
        kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
        rare = not regression and y_train.value_counts().min() < 2
        model = kind(max_iter=1000, early_stopping=not rare, random_state=seed,
                     categorical_features="from_dtype") if not rare else kind(
                         random_state=seed, categorical_features="from_dtype", early_stopping=False)
        model.fit(x_train, y_train)
    else:
        kind = lightgbm.LGBMRegressor if regression else lightgbm.LGBMClassifier
        strata = None if regression or y_train.value_counts().min() < 10 else y_train
        x_fit, x_stop, y_fit, y_stop = train_test_split(x_train, y_train, test_size=0.1,
                                                        stratify=strata, random_state=seed)
        if not regression:
            seen = y_stop.isin(set(y_fit))
            x_stop, y_stop = x_stop[seen], y_stop[seen]
        model = kind(n_estimators=2000, learning_rate=0.05, random_state=seed, verbose=-1)
        model.fit(x_fit, y_fit, eval_set=[(x_stop, y_stop)],
                  callbacks=[lightgbm.early_stopping(50, verbose=False)])
    return score(metric, y_test, model, x_test)


def figures(args, spec):
    table, target, metric, reach, _, n_folds = spec
    values, peers, seconds = [], {"hist_gradient_boosting": [], "lightgbm": []}, []
    if table == "adult":
        frame = read(args.data / "adult_train.csv.gz")
        test = read(args.data / "adult_test.csv.gz")
        test[target] = test[target].str.rstrip(".")
        cuts = [(np.arange(len(frame)), np.arange(len(frame), len(frame) + len(test)))]
        frame = pd.concat([frame, test], ignore_index=True)
    else:
        frame = read(args.data / f"{table}.csv.gz")
        shown = frame.copy()
        if metric in ("rmse", "r2"):
            shown[target] = pd.to_numeric(shown[target])
        cuts = list(splits(shown, target, metric, n_folds, args.seed))
    for train, test in cuts:
        with tempfile.TemporaryDirectory() as folder:
            value, took = quern(args, frame.iloc[train], frame.iloc[test], spec, folder)
        values.append(value)
        seconds.append(took)
        for name in peers:
            if args.no_peers:
                continue
            try:
                peers[name].append(peer(name, spec, frame, train, test, args.seed))
            except ValueError as problem:
                print(f"{table}: {name}: {problem}", file=sys.stderr)
    line = {"figure": f"{table} {metric}", "value": round(float(np.mean(values)), 6),
            "std_error": (round(float(np.std(values, ddof=1) / len(values) ** 0.5), 6)
                          if len(values) > 1 else None),
            "reach": reach, "seconds": [round(s, 2) for s in seconds]}
    ok = line["value"] <= reach if metric in LOWER_IS_BETTER else line["value"] >= reach
    line["reached"] = bool(ok)
    for name, scores in peers.items():
        line[name] = round(float(np.mean(scores)), 6) if scores else None
    print(json.dumps(line), flush=True)
    return ok


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quern", default=str(HERE.parent.parent / "build" / "quern"))
    parser.add_argument("--data", type=pathlib.Path,
                        default=HERE.parent.parent.parent / "shared" / "data")
    parser.add_argument("--budget", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("tables", nargs="*")
    args = parser.parse_args()
    chosen = [spec for spec in TABLES if not args.tables or spec[0] in args.tables]
    reached = [figures(args, spec) for spec in chosen]
    print(f"{sum(reached)} of {len(reached)} reached", file=sys.stderr)


if __name__ == "__main__":
    main()
