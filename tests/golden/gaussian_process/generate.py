#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: Gaussian processes on rows of real tables by scikit-learn (1.9.1 wrote the file
here): log marginal likelihood, its gradient, means and standard deviations at fixed
hyperparameters, and the likelihood at the optimum of its own search with three restarts.
usage: generate.py DATA_FOLDER

Columns and target are standardised and rounded to five decimals, as they stand in the file."""
import json
import pathlib
import sys

import numpy as np
import pandas as pd
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

TRAIN, TEST = 120, 12


def rows(path, columns, target):
    frame = pd.read_csv(pathlib.Path(sys.argv[1]) / path)[columns + [target]].dropna()
    frame = frame.iloc[:: len(frame) // (TRAIN + TEST)][: TRAIN + TEST].astype(float)
    values = ((frame - frame.mean()) / frame.std()).round(5).to_numpy()
    return values[:, :-1], values[:, -1]


def kernel(kind, lengths, variance, noise):
    bounds = (1e-3, 1e4)
    smooth = {"rbf": lambda: RBF(lengths, bounds),
              "matern32": lambda: Matern(lengths, bounds, nu=1.5),
              "matern52": lambda: Matern(lengths, bounds, nu=2.5)}[kind]()
    return ConstantKernel(variance, (1e-4, 1e4)) * smooth + WhiteKernel(noise, (1e-8, 1e2))


def case(name, path, columns, target, kind):
    x, y = rows(path, columns, target)
    d = x.shape[1]
    lengths = np.round(0.8 + 0.45 * np.arange(d), 4)
    model = GaussianProcessRegressor(kernel(kind, lengths, 1.3, 0.2), alpha=0, optimizer=None)
    model.fit(x[:TRAIN], y[:TRAIN])
    value, gradient = model.log_marginal_likelihood(model.kernel_.theta, eval_gradient=True)
    mean, sd = model.predict(x[TRAIN:], return_std=True)
    best = GaussianProcessRegressor(kernel(kind, np.full(d, np.sqrt(d)), 1.0, 0.1), alpha=0,
                                    n_restarts_optimizer=3, random_state=0)
    best.fit(x[:TRAIN], y[:TRAIN])
    target = 7 + 50 * y
    learner = GaussianProcessRegressor(kernel(kind, np.full(d, 1.5), 1.0, 0.2), alpha=0, optimizer=None,
                                       normalize_y=True).fit(x[:TRAIN], target[:TRAIN])
    learner_mean, learner_sd = learner.predict(x[TRAIN:], return_std=True)
    return {"name": name, "table": path, "kind": kind, "n_dims": d,
            "x": x.ravel().tolist(), "y": y.tolist(),
            "hyperparameters": np.log([1.3, *lengths, 0.2]).tolist(),
            "log_likelihood": value, "gradient": gradient.tolist(), "mean": mean.tolist(),
            # of f alone: scikit-learn's holds the noise of an observation too
            "sd": np.sqrt(sd ** 2 - 0.2).tolist(),
            # of an observation of 7 + 50 y, one length and a normalised target
            "learner_mean": learner_mean.tolist(), "learner_sd": learner_sd.tolist(),
            "best_log_likelihood": best.log_marginal_likelihood_value_}


cases = [
    case("housing", "california_housing.csv.gz",
         ["longitude", "latitude", "housing_median_age", "total_rooms", "median_income"],
         "median_house_value", "rbf"),
    case("diamonds", "diamonds.csv.gz", ["carat", "depth", "table", "x", "y", "z"], "price",
         "matern32"),
    case("bikes", "bike_sharing_hour.csv.gz", ["hr", "temp", "hum", "windspeed", "weekday"], "cnt",
         "matern52"),
]
pathlib.Path(__file__).with_name("cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
