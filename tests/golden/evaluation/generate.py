#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: temperatures and 95 % confidence intervals by SciPy (1.17.1 wrote the file
here) and scikit-learn's metrics.

temperature  the one in [0.2, 5] of least weighted log-loss, by minimize_scalar
roc_auc      DeLong: the variances of the placement values, counted pair by pair; the normal
             quantile is SciPy's
others       value + (2.5 % and 97.5 % quantile - mean) of scipy.stats.bootstrap's distribution of
             20,000 resamples. Ours draws 200, so ends are compared in units of the width."""
import json
import pathlib

import numpy as np
from scipy import optimize, special, stats
from sklearn import metrics as m

rng = np.random.default_rng(5)
cases = []


def temperature_of(y, p, w, k):
    log_p = np.log(np.column_stack([1 - p, p]) if k == 2 else p)

    def loss(log_t):
        z = special.log_softmax(log_p / np.exp(log_t), axis=1)
        return -(w @ z[np.arange(len(y)), y]) / w.sum()

    return float(np.exp(optimize.minimize_scalar(loss, bounds=np.log([0.2, 5]), method="bounded",
                                                 options={"xatol": 1e-10}).x))


def delong(y, p):
    pairs = (p[y == 1][:, None] > p[y == 0]) + 0.5 * (p[y == 1][:, None] == p[y == 0])
    se = np.sqrt(pairs.mean(1).var(ddof=1) / pairs.shape[0] +
                 pairs.mean(0).var(ddof=1) / pairs.shape[1])
    auc = pairs.mean()
    assert abs(auc - m.roc_auc_score(y, p)) < 1e-12
    z = stats.norm.ppf(0.975)
    return [max(0, auc - z * se), min(1, auc + z * se)]


def bootstrap(metric, y, p):
    def statistic(rows):
        return metric(y[rows], p[rows])

    result = stats.bootstrap((np.arange(len(y)),), statistic, n_resamples=20000, batch=1,
                             vectorized=False, method="percentile", rng=rng)
    spread = result.bootstrap_distribution
    low, high = np.quantile(spread, [0.025, 0.975]) - spread.mean() + metric(y, p)
    return [float(low), float(high)]


def case(name, task, k, y, p, w=None, temperature=False, intervals=None):
    cases.append({"name": name, "task": task, "n_classes": k, "target": np.asarray(y, float).tolist(),
                  "predicted": np.ravel(p).tolist(), "weights": None if w is None else w.tolist(),
                  "temperature": temperature_of(y, p, np.ones(len(y)) if w is None else w, k)
                  if temperature else None,
                  "intervals": intervals or {}})


for stretch, weighted in ((0.5, False), (2.2, False), (3.0, True)):
    margin = rng.normal(0, 1.5, 300)
    y = (rng.random(300) < special.expit(margin)).astype(int)
    case(f"log-odds times {stretch}", "binary", 2, y, np.round(special.expit(stretch * margin), 9),
         rng.random(300) + 0.1 if weighted else None, temperature=True)
for stretch in (0.6, 2.5):
    z = rng.normal(0, 1.2, (250, 4))
    y = np.array([rng.choice(4, p=row) for row in special.softmax(z, axis=1)])
    case(f"four classes, log p times {stretch}", "multiclass", 4, y,
         np.round(special.softmax(stretch * z, axis=1), 9), temperature=True)

for n, ties in ((80, False), (250, True)):
    y = (rng.random(n) < 0.35).astype(int)
    p = np.clip(0.25 * y + 0.75 * rng.random(n), 0.01, 0.99)
    p = np.round(p, 1 if ties else 6)
    case(f"{n} rows, two classes", "binary", 2, y, p, intervals={
        "roc_auc": {"ends": delong(y, p), "tolerance": 1e-9},
        "accuracy": {"ends": bootstrap(lambda a, b: np.mean(a == (b >= 0.5)), y, p)},
        "brier": {"ends": bootstrap(lambda a, b: np.mean((a - b) ** 2), y, p)},
        "log_loss": {"ends": bootstrap(
            lambda a, b: -np.mean(np.log(np.where(a == 1, b, 1 - b))), y, p)}})
y = rng.gamma(2, 3, 200)
p = y + rng.normal(0, 2, 200)
case("200 rows of numbers", "regression", 0, y, p, intervals={
    "rmse": {"ends": bootstrap(lambda a, b: np.sqrt(np.mean((a - b) ** 2)), y, p)},
    "mae": {"ends": bootstrap(lambda a, b: np.mean(np.abs(a - b)), y, p)},
    "r2": {"ends": bootstrap(m.r2_score, y, p)}})
pathlib.Path(__file__).with_name("cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
