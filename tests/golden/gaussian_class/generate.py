#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: Gaussian processes for two classes on rows of real tables by scikit-learn
(1.9.1 wrote the file here): approximate log marginal likelihood and its gradient, means and
variances of f at fixed hyperparameters, the probability that they mean by SciPy's quadrature, and
the likelihood at the optimum of its own search with three restarts.
usage: generate.py DATA_FOLDER

Columns are standardised and rounded to five decimals, as they stand in the file."""
import json
import pathlib
import sys

import numpy as np
import pandas as pd
from scipy import integrate, special, stats
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern

TRAIN, TEST = 120, 12


def rows(path, columns, target, positive):
    frame = pd.read_csv(pathlib.Path(sys.argv[1]) / path)[columns + [target]].dropna()
    frame = frame.sample(TRAIN + TEST, random_state=1)
    x = frame[columns].astype(float)
    return ((x - x.mean()) / x.std()).round(5).to_numpy(), \
        (frame[target].astype(str) == positive).to_numpy(float)


def kernel(kind, lengths, variance):
    bounds = (1e-3, 1e4)
    smooth = {"rbf": lambda: RBF(lengths, bounds),
              "matern32": lambda: Matern(lengths, bounds, nu=1.5),
              "matern52": lambda: Matern(lengths, bounds, nu=2.5)}[kind]()
    return ConstantKernel(variance, (1e-4, 1e4)) * smooth


def probability(mean, variance):
    sd = np.sqrt(variance)
    return integrate.quad(lambda u: special.expit(mean + sd * u) * stats.norm.pdf(u), -12, 12,
                          points=[np.clip(-mean / sd, -12, 12)], epsabs=1e-13, limit=400)[0]


def case(name, path, columns, target, positive, kind):
    x, y = rows(path, columns, target, positive)
    d = x.shape[1]
    lengths = np.round(0.8 + 0.45 * np.arange(d), 4)
    model = GaussianProcessClassifier(kernel(kind, lengths, 7.5), optimizer=None)
    model.fit(x[:TRAIN], y[:TRAIN])
    value, gradient = model.log_marginal_likelihood(model.kernel_.theta, eval_gradient=True)
    mean, variance = model.latent_mean_and_variance(x[TRAIN:])
    best = GaussianProcessClassifier(kernel(kind, np.full(d, np.sqrt(d)), 1.0),
                                     n_restarts_optimizer=3, random_state=0)
    best.fit(x[:TRAIN], y[:TRAIN])
    return {"name": name, "table": path, "kind": kind, "n_dims": d,
            "x": x.ravel().tolist(), "y": y.tolist(),
            "hyperparameters": np.log([7.5, *lengths]).tolist(),
            "log_likelihood": value, "gradient": gradient.tolist(), "mean": mean.tolist(),
            "variance": variance.tolist(),
            "probability": [probability(m, v) for m, v in zip(mean, variance)],
            "best_log_likelihood": best.log_marginal_likelihood_value_}


cases = [
    case("bank", "bank_marketing.csv.gz", ["age", "duration", "balance"], "y", "yes", "rbf"),
    case("electricity", "electricity.csv.gz",
         ["period", "nswprice", "nswdemand", "vicdemand", "transfer"], "class", "1", "matern32"),
    case("cover", "covertype_20k.csv.gz", ["Elevation", "Slope", "Hillshade_9am"], "Cover_Type",
         "2", "matern52"),
]
pathlib.Path(__file__).with_name("cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
