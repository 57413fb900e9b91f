#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.txt: metric values of scikit-learn (1.9.1 wrote the one here) for predictions with
ties, weights and rare classes. A case is four lines: its head, targets, predictions, weights; then
one line "metric value" each, ended by a blank line."""
import pathlib

import numpy as np
from sklearn import metrics as m

rng = np.random.default_rng(7)
out = []


def case(task, n_classes, y, p, w, values):
    out.append(f"case {task} {n_classes} {len(y)} {0 if w is None else 1}")
    out.append(" ".join(repr(float(v)) for v in y))
    out.append(" ".join(repr(float(v)) for v in np.asarray(p).ravel()))
    out.append(" ".join(repr(float(v)) for v in (np.ones(len(y)) if w is None else w)))
    out.extend(f"{name} {float(value)!r}" for name, value in values.items())
    out.append("")


def averages(y, label, w, k):
    values = {}
    for name, f in (("precision", m.precision_score), ("recall", m.recall_score), ("f1", m.f1_score)):
        for average in ("macro", "weighted"):
            values[f"{name}_{average}"] = f(y, label, average=average, sample_weight=w, zero_division=0)
        if k == 2:
            values[name] = f(y, label, sample_weight=w, zero_division=0)
    values["accuracy"] = m.accuracy_score(y, label, sample_weight=w)
    values["balanced_accuracy"] = m.balanced_accuracy_score(y, label, sample_weight=w)
    values["mcc"] = m.matthews_corrcoef(y, label, sample_weight=w)
    return values


for n, ties, weighted in ((50, False, False), (200, True, False), (200, True, True), (7, True, True)):
    y = (rng.random(n) < 0.3).astype(int)
    y[:2] = [0, 1]
    p = np.clip(0.3 * y + 0.7 * rng.random(n), 0, 1)
    if ties:
        p = np.round(p, 1)
    w = rng.integers(0, 4, n).astype(float) + 0.5 * (np.arange(n) < 3) if weighted else None
    values = {"roc_auc": m.roc_auc_score(y, p, sample_weight=w),
              "average_precision": m.average_precision_score(y, p, sample_weight=w),
              "log_loss": m.log_loss(y, p, sample_weight=w),
              "brier": m.brier_score_loss(y, p, sample_weight=w)}
    case("binary", 2, y, p, w, values | averages(y, (p >= 0.5).astype(int), w, 2))

for n, k, weighted in ((90, 3, False), (300, 5, True)):
    y = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    p = rng.random((n, k)) + 0.8 * np.eye(k)[y]
    p /= p.sum(1, keepdims=True)
    w = rng.random(n) if weighted else None
    values = {"log_loss": m.log_loss(y, p, sample_weight=w)}
    if w is None:
        values["roc_auc"] = m.roc_auc_score(y, p, multi_class="ovr")
    case("multiclass", k, y, p, w, values | averages(y, p.argmax(1), w, k))

for n, weighted in ((40, False), (301, True), (2, False)):
    y = rng.gamma(2, 3, n)
    p = np.abs(y + rng.normal(0, 1, n))
    w = rng.integers(0, 3, n) + 0.25 if weighted else None
    case("regression", 0, y, p, w, {
        "mse": m.mean_squared_error(y, p, sample_weight=w),
        "rmse": m.root_mean_squared_error(y, p, sample_weight=w),
        "mae": m.mean_absolute_error(y, p, sample_weight=w),
        "r2": m.r2_score(y, p, sample_weight=w),
        "mape": m.mean_absolute_percentage_error(y, p, sample_weight=w),
        "rmsle": m.root_mean_squared_log_error(y, p, sample_weight=w),
        "max_error": m.max_error(y, p),
        "medae": m.median_absolute_error(y, p, sample_weight=w)})

for n, k in ((30, 5), (12, 10)):
    y = rng.integers(0, 5, n).astype(float)
    p = rng.permutation(n).astype(float)
    case("ranking", 0, y, p, None, {"ndcg": m.ndcg_score([y], [p]),
                                    "ndcg@5": m.ndcg_score([y], [p], k=5),
                                    "ndcg@10": m.ndcg_score([y], [p], k=10),
                                    "map": m.average_precision_score(y > 0, p)})

pathlib.Path(__file__).with_name("cases.txt").write_text("\n".join(out) + "\n")
