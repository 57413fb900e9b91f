#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Training boosted trees: Quern against LightGBM, XGBoost, scikit-learn and CatBoost, in one run, in turn.

    bench/tree/run.py [--program build/bench/train_trees] [--threads 2] [--rounds 3]
                      [--peers lightgbm,xgboost,sklearn,catboost] [SIZE …]

Same trees, leaves, bins and learning rate for all. Prints one JSON line per figure: seconds of
training without binning (medians), the peer's, the ratio (above 1: Quern is faster), and the
quality on held-out rows of both (roc_auc, or log_loss for classes). cpu_ratio compares the CPU
seconds of training instead: it means something on a busy machine too, with one thread."""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

HERE = pathlib.Path(__file__).resolve().parent
TEST_ROWS = 20000
# name: rows, features, classes, trees, leaves
SIZES = {
    "1Mx28": (1000000, 28, 2, 100, 255),
    "100kx100": (100000, 100, 2, 100, 31),
    "10kx20": (10000, 20, 2, 100, 31),
    "300kx54x7": (300000, 54, 7, 50, 63),
}


def make(rows, features, classes, seed=1):
    """Dense floats; the target depends on a third of them, with products and noise."""
    rng = np.random.default_rng(seed)
    n = rows + TEST_ROWS
    X = rng.normal(size=(n, features))
    used = max(4, features // 3)
    scores = []
    for _ in range(1 if classes == 2 else classes):
        w = rng.normal(size=used) / np.sqrt(used)
        pairs = rng.integers(0, used, size=(used, 2))
        s = X[:, :used] @ w + 0.7 * np.sum(X[:, pairs[:, 0]] * X[:, pairs[:, 1]], axis=1) / used**.5
        s += 0.5 * np.sin(2 * X[:, 0]) + (X[:, 1] > 0.5)
        scores.append(s)
    if classes == 2:
        y = (rng.random(n) < 1 / (1 + np.exp(-scores[0]))).astype(float)
    else:
        y = np.argmax(np.stack(scores, 1) + rng.gumbel(size=(n, classes)), axis=1).astype(float)
    return X, y


def quality(y, p, classes):
    if classes == 2:
        return {"roc_auc": round(float(roc_auc_score(y, p)), 5)}
    p = np.clip(p.reshape(len(y), classes), 1e-15, 1)
    return {"log_loss": round(float(log_loss(y, p, labels=list(range(classes)))), 5)}


def run_quern(args, case, data):
    rows, features, classes, trees, leaves = case
    X, y = data
    path = pathlib.Path(args.folder) / "matrix"
    if not path.exists():
        with open(path, "wb") as out:
            np.array([rows + TEST_ROWS, features, 0, TEST_ROWS], dtype=np.int64).tofile(out)
            np.zeros(features, dtype=np.int64).tofile(out)  # numbers all
            np.asfortranarray(X).T.tofile(out)
            y.tofile(out)
    out = path.with_name("out")
    params = f"n_estimators={trees},num_leaves={leaves},learning_rate=0.1" + args.extra
    done = subprocess.run([args.program, str(path), str(args.threads),
                           "binary" if classes == 2 else "multiclass", str(classes), params,
                           str(out)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    said = json.loads(done.stdout)
    p = np.fromfile(out)
    return said["train_s"], said["bin_s"], said["train_cpu_s"], quality(y[rows:], p, classes)


def run_lightgbm(args, case, data):
    import lightgbm as lgb
    rows, _, classes, trees, leaves = case
    X, y = data
    params = {"objective": "binary" if classes == 2 else "multiclass", "num_leaves": leaves,
              "learning_rate": 0.1, "max_bin": 255, "num_threads": args.threads, "verbose": -1,
              "min_data_in_leaf": 20, "seed": 1}
    if classes > 2:
        params["num_class"] = classes
    begun = time.perf_counter()
    train = lgb.Dataset(X[:rows], y[:rows], params=params)
    train.construct()
    binned, cpu = time.perf_counter(), time.process_time()
    model = lgb.train(params, train, num_boost_round=trees)
    trained, cpu = time.perf_counter(), time.process_time() - cpu
    return trained - binned, binned - begun, cpu, quality(y[rows:], model.predict(X[rows:]), classes)


def run_xgboost(args, case, data):
    import xgboost as xgb
    rows, _, classes, trees, leaves = case
    X, y = data
    params = {"objective": "binary:logistic" if classes == 2 else "multi:softprob",
              "max_leaves": leaves, "max_depth": 0, "grow_policy": "lossguide", "eta": 0.1,
              "tree_method": "hist", "max_bin": 255, "nthread": args.threads, "lambda": 0,
              "min_child_weight": 1e-3, "verbosity": 0}
    if classes > 2:
        params["num_class"] = classes
    begun = time.perf_counter()
    train = xgb.QuantileDMatrix(X[:rows], y[:rows], max_bin=255, nthread=args.threads)
    binned, cpu = time.perf_counter(), time.process_time()
    model = xgb.train(params, train, num_boost_round=trees)
    trained, cpu = time.perf_counter(), time.process_time() - cpu
    p = model.predict(xgb.DMatrix(X[rows:]))
    return trained - binned, binned - begun, cpu, quality(y[rows:], np.asarray(p, float), classes)


def run_catboost(args, case, data):
    import catboost
    rows, _, classes, trees, leaves = case
    X, y = data
    options = {"iterations": trees, "learning_rate": 0.1, "grow_policy": "Lossguide",
               "max_leaves": leaves, "depth": 16, "border_count": 254, "min_data_in_leaf": 20,
               "thread_count": args.threads, "verbose": False, "allow_writing_files": False,
               "loss_function": "Logloss" if classes == 2 else "MultiClass"}
    begun = time.perf_counter()
    pool = catboost.Pool(X[:rows], y[:rows], thread_count=args.threads)
    pool.quantize(border_count=254)
    binned, cpu = time.perf_counter(), time.process_time()
    model = catboost.CatBoost(options)
    model.fit(pool)
    trained, cpu = time.perf_counter(), time.process_time() - cpu
    p = model.predict(X[rows:], prediction_type="Probability")
    return trained - binned, binned - begun, cpu, quality(
        y[rows:], p[:, 1] if classes == 2 else p, classes)


def run_sklearn(args, case, data):
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits
    rows, _, classes, trees, leaves = case
    X, y = data
    model = HistGradientBoostingClassifier(max_iter=trees, max_leaf_nodes=leaves,
                                           learning_rate=0.1, early_stopping=False)
    with threadpool_limits(limits=args.threads):
        begun, cpu = time.perf_counter(), time.process_time()
        model.fit(X[:rows], y[:rows])
        trained, cpu = time.perf_counter(), time.process_time() - cpu
    p = model.predict_proba(X[rows:])
    return trained - begun, 0.0, cpu, quality(y[rows:], p[:, 1] if classes == 2 else p, classes)


RUNNERS = {"quern": run_quern, "lightgbm": run_lightgbm, "xgboost": run_xgboost,
           "sklearn": run_sklearn, "catboost": run_catboost}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", default=str(HERE.parent.parent / "build/bench/train_trees"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default="lightgbm,xgboost,sklearn,catboost")
    parser.add_argument("--extra", default="", help="more of Quern's parameters: ,name=value")
    parser.add_argument("sizes", nargs="*", default=list(SIZES))
    args = parser.parse_args()
    peers = [p for p in args.peers.split(",") if p]
    for name in args.sizes or SIZES:
        case = SIZES[name]
        data = make(*case[:3])
        with tempfile.TemporaryDirectory() as folder:
            args.folder = folder
            runs = {p: [] for p in ["quern", *peers]}
            for _ in range(args.rounds):
                for peer in runs:
                    runs[peer].append(RUNNERS[peer](args, case, data))
        own = [statistics.median(r[i] for r in runs["quern"]) for i in (0, 1, 2)]
        for peer, results in runs.items():
            train, binning, cpu = (statistics.median(r[i] for r in results) for i in (0, 1, 2))
            print(json.dumps({"figure": f"train {name} {args.threads} thr", "value": round(own[0], 3),
                              "unit": "s", "peer": peer, "peer_value": round(train, 3),
                              "ratio": round(train / own[0], 2),
                              "cpu_ratio": round(cpu / own[2], 2), "bin_s": round(binning, 3),
                              "bin_ratio": round(binning / own[1], 2), **results[0][3]}),
                  flush=True)


if __name__ == "__main__":
    sys.exit(main())
