#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mean losses of boosting objectives, by scikit-learn 1.9, into cases.txt beside this file.

A case: name, parameter, k; then a line each of targets, weights and scores (k a row), and the loss.
scikit-learn's deviances are twice the loss less that of a perfect prediction, which depends on the
targets alone and is added here."""
import pathlib

import numpy as np
from scipy.special import expit, softmax
from sklearn import metrics

rng = np.random.default_rng(11)
N = 12
w = rng.uniform(0.5, 2, N)
s = rng.normal(size=N)
lines = []


def text(values):
    return " ".join(repr(float(v)) for v in np.ravel(values))


def case(name, parameter, k, y, scores, loss):
    lines.extend([f"{name} {parameter} {k}", text(y), text(w), text(scores), repr(float(loss))])


def mean(values):
    return np.average(values, weights=w)


y = rng.normal(size=N)
case("regression", 0, 1, y, s, metrics.mean_squared_error(y, s, sample_weight=w))
case("regression_l1", 0, 1, y, s, metrics.mean_absolute_error(y, s, sample_weight=w) / 2)
for alpha in (0.1, 0.9):
    case("quantile", alpha, 1, y, s,
         metrics.mean_pinball_loss(y, s, alpha=alpha, sample_weight=w))
y = rng.poisson(2.0, N)
perfect = mean(y - np.where(y > 0, y * np.log(np.maximum(y, 1)), 0))
case("poisson", 0, 1, y, s,
     metrics.mean_poisson_deviance(y, np.exp(s), sample_weight=w) / 2 + perfect)
y = rng.gamma(2.0, size=N)
case("gamma", 0, 1, y, s,
     metrics.mean_gamma_deviance(y, np.exp(s), sample_weight=w) / 2 + mean(1 + np.log(y)))
y = rng.poisson(1.0, N) * rng.gamma(2.0, size=N)
for p in (1.2, 1.7):
    perfect = mean(y ** (2 - p) / (2 - p) - y ** (2 - p) / (1 - p))
    case("tweedie", p, 1, y, s,
         metrics.mean_tweedie_deviance(y, np.exp(s), power=p, sample_weight=w) / 2 + perfect)
y = (rng.random(N) < 0.4).astype(int)
case("binary", 0, 1, y, s, metrics.log_loss(y, expit(s), sample_weight=w))
S = rng.normal(size=(N, 3))
y = np.arange(N) % 3
case("multiclass", 0, 3, y, S, metrics.log_loss(y, softmax(S, 1), sample_weight=w))
case("multiclassova", 0, 3, y, S,
     sum(metrics.log_loss(y == c, expit(S[:, c]), sample_weight=w) for c in range(3)))
pathlib.Path(__file__).with_name("cases.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
