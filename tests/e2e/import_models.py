#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains LightGBM and XGBoost on every objective they have, with missing values, zeros and
categories, imports each model and compares what both predict for rows never seen.

    tests/e2e/import_models.py build/quern [--write FOLDER]

--write keeps small models and what they predict, for tests/golden/trees (the C tests read them).
Skips, saying so, where the libraries are absent."""
import csv
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

try:
    import numpy as np
    import lightgbm as lgb
    import xgboost as xgb
except ImportError as missing:
    print(f"[  SKIPPED ] import_models: {missing.name} is not installed")
    sys.exit(77)

warnings.filterwarnings("ignore")
TOLERANCE = 1e-6  # of the largest prediction; XGBoost adds in single precision


def table(rows, seed):
    """Numbers, some missing and some zero; two columns of categories, one of them wide."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 7))
    x[:, 1] = np.where(rng.random(rows) < 0.3, 0, x[:, 1])
    x[:, 2] = np.round(x[:, 2] * 3)
    x[:, 3] = rng.integers(0, 9, rows)
    x[:, 4] = rng.integers(0, 320, rows)
    x[:, 6] *= 1e-35
    for column in (0, 1, 2, 3):
        x[rng.random(rows) < 0.1, column] = np.nan
    z = np.nan_to_num(x)
    y = (z[:, 0] - 0.7 * z[:, 1] + 0.3 * z[:, 2] * (z[:, 5] > 0) + 0.2 * (z[:, 3] % 3 - 1)
         + 0.3 * np.sin(z[:, 4]) + (x[:, 6] > 0) + rng.normal(size=rows) * 0.2)
    return x, y


def targets(y):
    edges = np.quantile(y, [0.4, 0.75])
    return {"y": y, "positive": np.exp(y / 2) + 0.01, "count": np.floor(np.exp(y / 2)),
            "binary": (y > 0.2).astype(int), "share": 1 / (1 + np.exp(-y)),
            "class": np.digitize(y, edges), "two": np.column_stack([y, y * 2 - 1])}


LIGHTGBM = [
    ("l2", "y", {"objective": "regression"}),
    ("l2_sqrt", "y", {"objective": "regression", "reg_sqrt": True}),
    ("l1", "y", {"objective": "regression_l1"}),
    ("huber", "y", {"objective": "huber"}),
    ("fair", "y", {"objective": "fair"}),
    ("quantile", "y", {"objective": "quantile", "alpha": 0.8}),
    ("mape", "positive", {"objective": "mape"}),
    ("poisson", "count", {"objective": "poisson"}),
    ("gamma", "positive", {"objective": "gamma"}),
    ("tweedie", "positive", {"objective": "tweedie"}),
    ("binary", "binary", {"objective": "binary"}),
    ("binary_sigmoid", "binary", {"objective": "binary", "sigmoid": 0.7, "is_unbalance": True}),
    ("cross_entropy", "share", {"objective": "cross_entropy"}),
    ("cross_entropy_lambda", "share", {"objective": "cross_entropy_lambda"}),
    ("multiclass", "class", {"objective": "multiclass", "num_class": 3}),
    ("multiclassova", "class", {"objective": "multiclassova", "num_class": 3}),
    ("lambdarank", "class", {"objective": "lambdarank"}),
    ("rank_xendcg", "class", {"objective": "rank_xendcg"}),
    ("rf", "binary", {"objective": "binary", "boosting": "rf", "bagging_fraction": 0.6,
                      "bagging_freq": 1}),
    ("rf_multiclass", "class", {"objective": "multiclass", "num_class": 3, "boosting": "rf",
                                "bagging_fraction": 0.6, "bagging_freq": 1}),
    ("dart", "y", {"objective": "regression", "boosting": "dart", "drop_rate": 0.5}),
    ("goss", "binary", {"objective": "binary", "data_sample_strategy": "goss"}),
    ("zero_missing", "y", {"objective": "regression", "zero_as_missing": True}),
    ("no_missing", "y", {"objective": "regression", "use_missing": False}),
    ("large_leaves", "y", {"objective": "regression", "num_leaves": 400, "min_data_in_leaf": 1}),
    ("linear_tree", "y", {"objective": "regression", "linear_tree": True}),
    ("stump", "y", {"objective": "regression", "min_data_in_leaf": 100000}),
]
XGBOOST = [
    ("squarederror", "y", {"objective": "reg:squarederror"}),
    ("absoluteerror", "y", {"objective": "reg:absoluteerror"}),
    ("pseudohuber", "y", {"objective": "reg:pseudohubererror"}),
    ("quantile", "y", {"objective": "reg:quantileerror", "quantile_alpha": 0.7}),
    ("squaredlogerror", "positive", {"objective": "reg:squaredlogerror"}),
    ("reg_logistic", "share", {"objective": "reg:logistic"}),
    ("logistic", "binary", {"objective": "binary:logistic", "base_score": 0.3}),
    ("logitraw", "binary", {"objective": "binary:logitraw"}),
    ("hinge", "binary", {"objective": "binary:hinge"}),
    ("softprob", "class", {"objective": "multi:softprob", "num_class": 3}),
    ("poisson", "count", {"objective": "count:poisson"}),
    ("gamma", "positive", {"objective": "reg:gamma"}),
    ("tweedie", "positive", {"objective": "reg:tweedie"}),
    ("cox", "positive", {"objective": "survival:cox"}),
    ("ndcg", "class", {"objective": "rank:ndcg"}),
    ("pairwise", "class", {"objective": "rank:pairwise"}),
    ("dart", "y", {"objective": "reg:squarederror", "booster": "dart", "rate_drop": 0.4}),
    ("dart_softprob", "class", {"objective": "multi:softprob", "num_class": 3, "booster": "dart",
                                "rate_drop": 0.4}),
    ("rf", "y", {"objective": "reg:squarederror", "num_parallel_tree": 5, "subsample": 0.6,
                 "learning_rate": 1, "rounds": 1}),
    ("rf_softprob", "class", {"objective": "multi:softprob", "num_class": 3, "subsample": 0.6,
                              "num_parallel_tree": 4}),
    ("categories", "y", {"objective": "reg:squarederror", "categories": True,
                         "max_cat_to_onehot": 4, "max_cat_threshold": 100}),
    ("one_hot", "y", {"objective": "reg:squarederror", "categories": True,
                      "max_cat_to_onehot": 1000}),
    ("exact", "y", {"objective": "reg:squarederror", "tree_method": "exact"}),
    ("lossguide", "binary", {"objective": "binary:logistic", "grow_policy": "lossguide",
                             "max_leaves": 30, "max_depth": 0}),
]

# What --write keeps: small, and together every line of the importers.
KEPT = {"lightgbm": {"l2", "l2_sqrt", "poisson", "binary_sigmoid", "cross_entropy_lambda",
                     "multiclass", "multiclassova", "rf_multiclass", "zero_missing", "no_missing",
                     "linear_tree", "stump", "dart", "lambdarank"},
        "xgboost": {"squarederror.json", "softprob.ubj", "dart.ubj", "categories.json",
                    "logistic.ubj", "gamma.json", "rf_softprob.ubj", "two_targets.json"}}
WRITTEN_ONLY = [  # a model file holds one value a row, so only the C tests can predict with it
    ("two_targets", "two", {"objective": "reg:squarederror", "tree_method": "hist",
                            "multi_strategy": "multi_output_tree"}),
]


def train_lightgbm(params, x, y, rounds):
    params = {"verbose": -1, "num_threads": 1, "seed": 3, "min_data_per_group": 5,
              "min_data_in_leaf": 10, "cat_smooth": 1, "max_cat_to_onehot": 3, **params}
    ranks = "rank" in params["objective"]
    categories = [] if params.get("linear_tree") else [3, 4]
    data = lgb.Dataset(x, y, categorical_feature=categories, params=params,
                       group=[50] * (len(y) // 50) if ranks else None)
    return lgb.train(params, data, rounds)


def matrix(x, y=None, categories=False, group=False):
    kinds = ["c" if categories and i in (3, 4) else "q" for i in range(x.shape[1])]
    data = xgb.DMatrix(x, y, feature_types=kinds, enable_categorical=categories)
    if group:
        data.set_group([50] * (len(y) // 50))
    return data


def train_xgboost(params, x, y, rounds):
    params = {"nthread": 1, "seed": 3, "max_depth": 5, **params}
    categories = params.pop("categories", False)
    rounds = params.pop("rounds", rounds)
    data = matrix(x, y, categories, params["objective"].startswith("rank"))
    return xgb.train(params, data, rounds)


def edge_rows(booster, x):
    """Rows at XGBoost's thresholds themselves, and at the doubles on either side."""
    frame = booster.trees_to_dataframe() if hasattr(booster, "trees_to_dataframe") else None
    if frame is None or "Split" not in frame:
        return x
    splits = [(int(f[1:]), np.float32(s)) for f, s in zip(frame["Feature"], frame["Split"])
              if f != "Leaf" and s == s][:200]
    rows = []
    for i, (column, split) in enumerate(splits):
        below = np.nextafter(split, np.float32(-np.inf))
        middle = (float(split) + float(below)) / 2
        for value in (float(split), float(below), middle, np.nextafter(middle, -np.inf),
                      np.nextafter(middle, np.inf)):
            row = x[i % len(x)].copy()
            row[column] = value
            rows.append(row)
    return np.vstack([x, np.array(rows)]) if rows else x


def write_table(path, names, x):
    with open(path, "w", newline="", encoding="ascii") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        for row in x:
            writer.writerow(["" if v != v else repr(float(v)) for v in row])


def read_predictions(path):
    rows = list(csv.reader(open(path, encoding="ascii")))
    first = 1 if len(rows[0]) > 1 else 0
    return np.array([[float(v) for v in row[first:]] for row in rows[1:]])


def expected_table(raw, n_classes):
    raw = np.asarray(raw, dtype=float)
    if n_classes == 2:
        return np.column_stack([1 - raw, raw])
    return raw.reshape(len(raw), -1)


def imported_predictions(quern, folder, model, names, x):
    bundle, data, out = (os.path.join(folder, f) for f in ("m.quern", "x.csv", "p.csv"))
    write_table(data, names, x)
    for command in ([quern, "import", model, "-o", bundle],
                    [quern, "predict", bundle, data, "-o", out, "--threads", "2"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
    return read_predictions(out)


def compare(name, got, expected):
    scale = max(1.0, float(np.max(np.abs(expected))))
    worst = float(np.max(np.abs(got - expected))) / scale
    good = got.shape == expected.shape and worst <= TOLERANCE
    print(f"[ {'      OK' if good else '  FAILED'} ] {name}: {worst:.1e}")
    return good


def keep(folder, name, model, x, expected):
    """A small model and what it predicts, beside each other."""
    folder = pathlib.Path(folder)
    (folder / name).write_bytes(pathlib.Path(model).read_bytes())
    lines = [" ".join(repr(float(v)) for v in (*row, *p)) for row, p in zip(x, expected)]
    (folder / (name + ".expected")).write_text(
        f"{x.shape[1]} {expected.shape[1]} {len(x)}\n" + "\n".join(lines) + "\n", encoding="ascii")


def run_lightgbm(quern, folder, write):
    x, y = table(200 if write else 2000, 1)
    fresh, _ = table(40 if write else 700, 2)
    good = True
    for name, target, params in LIGHTGBM:
        if write and name not in KEPT["lightgbm"]:
            continue
        if write:
            params = {**params, "num_leaves": min(8, params.get("num_leaves", 8))}
        booster = train_lightgbm(params, x, targets(y)[target], 2 if write else 20)
        model = os.path.join(folder, "model.txt")
        booster.save_model(model)
        expected = booster.predict(fresh)
        if write:
            keep(write, f"lightgbm_{name}.txt", model, fresh, np.reshape(expected, (len(fresh), -1)))
            continue
        n_classes = {"binary": 2}.get(params["objective"], 0)
        got = imported_predictions(quern, folder, model, booster.feature_name(), fresh)
        good &= compare("lightgbm " + name, got, expected_table(expected, n_classes))
    return good


def run_xgboost(quern, folder, write):
    x, y = table(200 if write else 2000, 1)
    fresh, _ = table(40 if write else 700, 2)
    good = True
    for name, target, params in XGBOOST + (WRITTEN_ONLY if write else []):
        if write:
            params = {**params, "max_depth": 3, "num_parallel_tree": params.get(
                "num_parallel_tree", 0) // 2 or 1}
        booster = train_xgboost(dict(params), x, targets(y)[target], 2 if write else 20)
        names = [f"f{i}" for i in range(x.shape[1])]
        rows = fresh if params.get("categories") or write else edge_rows(booster, fresh)
        expected = booster.predict(matrix(rows, categories=params.get("categories", False)))
        for ending in ("json", "ubj"):
            model = os.path.join(folder, "model." + ending)
            booster.save_model(model)
            if write and f"{name}.{ending}" not in KEPT["xgboost"]:
                continue
            if write:
                keep(write, f"xgboost_{name}.{ending}", model, rows,
                     np.reshape(expected, (len(rows), -1)))
                continue
            n_classes = 2 if params["objective"] in ("binary:logistic", "binary:hinge") else 0
            got = imported_predictions(quern, folder, model, names, rows)
            good &= compare(f"xgboost {name} .{ending}", got, expected_table(expected, n_classes))
    return good


def main():
    quern = os.path.abspath(sys.argv[1])
    write = sys.argv[3] if len(sys.argv) > 3 and sys.argv[2] == "--write" else None
    with tempfile.TemporaryDirectory() as folder:
        good = run_lightgbm(quern, folder, write)
        good &= run_xgboost(quern, folder, write)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
