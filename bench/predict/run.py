#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Predicting and explaining with trees: Quern against LightGBM and XGBoost, the same model, in one
run, in turn.

    bench/predict/run.py [--build build] [--rows 20000] [--trees 500] [--leaves 31] [--rounds 5]
                         [--explained 1000]

Trains a model of each library on 28 columns, gives each library its own model and Quern both, and
prints one JSON line per figure: the median over the rounds."""
import argparse
import ctypes
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import lightgbm as lgb
import numpy as np
import xgboost as xgb

HERE = pathlib.Path(__file__).resolve().parent
FEATURES = 28


def make_table(rows, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, FEATURES))
    x[rng.random(x.shape) < 0.02] = np.nan
    z = np.nan_to_num(x)
    y = (z[:, 0] * z[:, 1] + np.sin(2 * z[:, 2]) + z[:, 3:10].sum(axis=1) * 0.3
         + (z[:, 10] > z[:, 11]) + rng.normal(size=rows) * 0.5)
    return np.ascontiguousarray(x), y


def train(folder, args):
    x, y = make_table(20000, 1)
    params = {"objective": "regression", "num_leaves": args.leaves, "learning_rate": 0.05,
              "verbose": -1, "num_threads": 1, "seed": 1}
    light = lgb.train(params, lgb.Dataset(x, y), args.trees)
    light.save_model(os.path.join(folder, "light.txt"))
    params = {"objective": "reg:squarederror", "grow_policy": "lossguide", "max_depth": 0,
              "max_leaves": args.leaves, "learning_rate": 0.05, "nthread": 1, "seed": 1}
    boost = xgb.train(params, xgb.DMatrix(x, y), args.trees)
    boost.save_model(os.path.join(folder, "boost.json"))
    return light, boost


class LightGBM:
    """Its C API, without the wrapper's checks."""

    def __init__(self, path, x, threads):
        self.lib, self.x = lgb.basic._LIB, x
        self.booster, n = ctypes.c_void_p(), ctypes.c_int()
        self.call("LGBM_BoosterCreateFromModelfile", path.encode(), ctypes.byref(n),
                  ctypes.byref(self.booster))
        self.out = np.zeros(len(x))
        self.parameter = f"num_threads={threads}".encode()
        self.fast = ctypes.c_void_p()
        self.call("LGBM_BoosterPredictForMatSingleRowFastInit", self.booster, 0, 0, -1, 1,
                  FEATURES, b"num_threads=1", ctypes.byref(self.fast))

    def call(self, name, *args):
        if getattr(self.lib, name)(*args) != 0:
            raise RuntimeError(self.lib.LGBM_GetLastError())

    def batch(self):
        n = ctypes.c_int64()
        begin = time.perf_counter()
        self.call("LGBM_BoosterPredictForMat", self.booster,
                  self.x.ctypes.data_as(ctypes.c_void_p), 1, ctypes.c_int32(len(self.x)),
                  ctypes.c_int32(FEATURES), 1, 0, 0, -1, self.parameter, ctypes.byref(n),
                  self.out.ctypes.data_as(ctypes.c_void_p))
        return time.perf_counter() - begin

    def row_us(self):
        """The median, less the cost of a call from Python, measured on one that does nothing."""
        call, n = self.lib.LGBM_BoosterPredictForMatSingleRowFast, ctypes.c_int64()
        base, width = self.x.ctypes.data, FEATURES * 8
        out, length = ctypes.byref(ctypes.c_double()), ctypes.byref(n)
        classes = ctypes.byref(ctypes.c_int())
        clock = time.perf_counter
        rows, calls = [], []
        for i in range(3000):
            row = ctypes.c_void_p(base + i * width)
            begin = clock()
            call(self.fast, row, length, out)
            middle = clock()
            self.lib.LGBM_BoosterGetNumClasses(self.booster, classes)
            rows.append(middle - begin)
            calls.append(clock() - middle)
        return max(statistics.median(rows) - statistics.median(calls), 0) * 1e6


class XGBoost:
    """In-place prediction: what its C API does with an array."""

    def __init__(self, path, x, threads):
        self.booster = xgb.Booster({"nthread": threads})
        self.booster.load_model(path)
        self.booster.set_param({"nthread": threads})
        self.x = x

    def batch(self):
        begin = time.perf_counter()
        self.out = self.booster.inplace_predict(self.x)
        return time.perf_counter() - begin


def quern(args, model, rows, threads):
    command = [os.path.join(args.build, "bench/predict_trees"), model, rows, str(FEATURES),
               str(threads), "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def quern_shap(args, model, rows, threads, n_rows):
    values = rows + ".shap"
    command = [os.path.join(args.build, "bench/predict_trees"), model, rows, str(FEATURES),
               str(threads), "1", str(n_rows), values]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["shap_seconds"], np.fromfile(values).reshape(n_rows, -1)


def report(figure, value, unit, peer, peer_value, ratio):
    print(json.dumps({"figure": figure, "value": round(value, 2), "unit": unit, "peer": peer,
                      "peer_value": round(peer_value, 2), "ratio": round(ratio, 2)}), flush=True)


def compare(args, folder, threads):
    x, _ = make_table(args.rows, 2)
    rows = os.path.join(folder, "rows.f64")
    x.tofile(rows)
    light_path, boost_path = (os.path.join(folder, f) for f in ("light.txt", "boost.json"))
    light, boost = LightGBM(light_path, x, threads), XGBoost(boost_path, x, threads)
    runs = {"light": [], "boost": [], "own_light": [], "own_boost": [], "row": []}
    own = []
    for _ in range(args.rounds):
        runs["light"].append(light.batch())
        own.append(quern(args, light_path, rows, threads))
        runs["own_light"].append(own[-1]["seconds"])
        runs["boost"].append(boost.batch())
        runs["own_boost"].append(quern(args, boost_path, rows, threads)["seconds"])
        if threads == 1:
            runs["row"].append(light.row_us())
    assert abs(own[0]["sum"] - light.out.sum()) <= 1e-6 * max(1, abs(light.out.sum()))
    speed = {k: len(x) / statistics.median(v) for k, v in runs.items() if v and k != "row"}
    what = f"{args.trees} trees x {args.leaves} leaves, {threads} thread{'s' * (threads > 1)}"
    report("batch, " + what, speed["own_light"], "rows/s", "LightGBM C API", speed["light"],
           speed["own_light"] / speed["light"])
    report("batch, " + what, speed["own_boost"], "rows/s", "XGBoost in place", speed["boost"],
           speed["own_boost"] / speed["boost"])
    if threads == 1:
        p50, p99 = (statistics.median(o[k] for o in own) for k in ("p50_us", "p99_us"))
        peer = statistics.median(runs["row"])
        report("one row, p50", p50, "us", "LightGBM single-row fast, p50", peer, peer / p50)
        report("one row, p99", p99, "us", "none", 0, 0)


def timed(call):
    begin = time.perf_counter()
    out = call()
    return time.perf_counter() - begin, out


def compare_shap(args, folder, threads):
    """SHAP values of a thousand rows; each library's own against ours of the same model."""
    rows = os.path.join(folder, "rows.f64")
    x = np.fromfile(rows).reshape(-1, FEATURES)[:args.explained]
    light = lgb.Booster(model_file=os.path.join(folder, "light.txt"))
    boost = xgb.Booster({"nthread": threads}, model_file=os.path.join(folder, "boost.json"))
    boost.set_param({"nthread": threads})
    table = xgb.DMatrix(x, nthread=threads)
    peers = {"LightGBM": ("light.txt", lambda: light.predict(x, pred_contrib=True,
                                                            num_threads=threads)),
             "XGBoost": ("boost.json", lambda: boost.predict(table, pred_contribs=True))}
    for peer, (model, explain) in peers.items():
        theirs, ours = [], []
        for _ in range(max(1, args.rounds // 2)):
            seconds, expected = timed(explain)
            theirs.append(seconds)
            seconds, values = quern_shap(args, os.path.join(folder, model), rows, threads, len(x))
            ours.append(seconds)
        worst = np.abs(values - expected).max() / max(1, np.abs(expected).max())
        assert worst <= 1e-6, (peer, worst)
        own, other = statistics.median(ours), statistics.median(theirs)
        report(f"SHAP of {len(x)} rows, {threads} thread{'s' * (threads > 1)}", own, "s", peer,
               other, other / own)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--build", default=str(HERE.parent.parent / "build"))
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--leaves", type=int, default=31)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--explained", type=int, default=1000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        train(folder, args)
        for threads in (1, 2):
            compare(args, folder, threads)
            compare_shap(args, folder, threads)


if __name__ == "__main__":
    main()
