#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: minima of linear problems on real tables as scikit-learn (1.9.1 wrote the file
here) finds them, standard errors as statsmodels (0.15.0) has them, and predictions of rows that follow those it was fitted on.
usage: generate.py DATA_FOLDER

Columns: numbers with the mean and variance of the rows fitted on, then an indicator per level of
each category. The objective is

    factor sum_i w_i loss(y_i, b + x_i w) + l1 |w|_1 + l2 / 2 |w|^2 [+ l2 / 2 b^2]

with weights of mean 1; for huber it is least over the scale as well."""
import json
import pathlib
import sys
import warnings

import numpy as np
import pandas as pd
from scipy import optimize
import statsmodels.api as sm
from sklearn import linear_model, svm

TRAIN, TEST = 2000, 100
folder = pathlib.Path(sys.argv[1])
cases = []


def half_deviance(power):
    if power == 1:
        return lambda y, m: np.exp(m) - y * m
    if power == 2:
        return lambda y, m: m + y * np.exp(-m)
    return lambda y, m: (np.exp((2 - power) * m) / (2 - power)
                         - y * np.exp((1 - power) * m) / (1 - power))


def huber(epsilon):
    def value(y, m, w):
        r = np.abs(y - m)

        def at(log_scale):
            s = np.exp(log_scale)
            return w @ np.where(r <= epsilon * s, s + r * r / s, s + 2 * epsilon * r
                                - epsilon ** 2 * s)
        middle = np.log(r.mean())
        return optimize.minimize_scalar(at, bounds=(middle - 8, middle + 4), method="bounded",
                                        options={"xatol": 1e-12}).fun
    return value


LOSSES = {
    "poisson": lambda shape: half_deviance(1),
    "gamma": lambda shape: half_deviance(2),
    "tweedie": half_deviance,
    "squared": lambda shape: lambda y, m: (y - m) ** 2 / 2,
    "hinge": lambda shape: lambda y, m: np.maximum(0, 1 - (2 * y - 1) * m),
    "squared_hinge": lambda shape: lambda y, m: np.maximum(0, 1 - (2 * y - 1) * m) ** 2,
    "insensitive": lambda e: lambda y, m: np.maximum(0, np.abs(y - m) - e),
    "squared_insensitive": lambda e: lambda y, m: np.maximum(0, np.abs(y - m) - e) ** 2,
    "quantile": lambda q: lambda y, m: np.maximum(q * (y - m), (q - 1) * (y - m)),
}


def load(table, target, task, columns, categories, rows, weight=None):
    frame = pd.read_csv(folder / table, nrows=rows + TEST, skipinitialspace=True)
    train = frame[:rows]
    blocks = [((frame[c] - train[c].mean()) / train[c].std(ddof=0)).to_numpy() for c in columns]
    levels = [{"name": c, "levels": sorted(map(str, train[c].unique()))} for c in categories]
    for c in levels:
        blocks += [(frame[c["name"]].astype(str) == v).to_numpy(float) for v in c["levels"]]
    classes = sorted(train[target].astype(str).unique()) if task != "regression" else []
    y = frame[target].to_numpy(float) if task == "regression" else \
        np.searchsorted(classes, frame[target].astype(str))
    w = np.ones(rows) if weight is None else train[weight].to_numpy(float)
    return np.column_stack(blocks), y, w / w.mean(), levels, classes


class Ols:
    """statsmodels' least squares with scikit-learn's names."""

    def fit(self, x, y, sample_weight):
        result = sm.WLS(y, sm.add_constant(x), weights=sample_weight).fit()
        self.intercept_, self.coef_ = result.params[0], result.params[1:]
        self.std_errors = np.append(result.bse[1:], result.bse[0])
        return self

    def predict(self, x):
        return x @ self.coef_ + self.intercept_


def add(name, model, learner, params, loss, shape, table, l1=0.0, l2=0.0, mean=True, rows=TRAIN,
        weight=None, tolerance=1e-4,
        cost=None):
    path, target, task, columns, categories = table
    x, y, w, levels, classes = load(path, target, task, columns, categories, rows, weight)
    model.fit(x[:rows], y[:rows], sample_weight=w)
    b, coefficients = float(np.ravel(model.intercept_)[0]), np.ravel(model.coef_)
    margins = x[:rows] @ coefficients + b
    factor = cost or (1 / rows if mean else 1.0)
    if loss == "huber":
        value = factor * huber(shape)(y[:rows], margins, w)
    else:
        value = factor * w @ LOSSES[loss](shape)(y[:rows], margins)
    value += l1 * np.abs(coefficients).sum() + l2 / 2 * coefficients @ coefficients
    if cost:
        value += l2 / 2 * b * b
    cases.append({"name": name, "learner": learner, "params": params, "table": path,
                  "target": target, "task": task, "columns": list(columns), "categories": levels,
                  "classes": classes, "weight": weight, "train": rows, "test": TEST, "loss": loss,
                  "shape": shape, "l1": l1, "l2": l2, "factor": factor, "objective": float(value),
                  "penalises_intercept": cost is not None,
                  "std_errors": getattr(model, "std_errors", np.empty(0)).tolist(),
                  "tolerance": tolerance * (float(y.std()) if task == "regression" else 1),
                  "predictions": model.predict(x[rows::5]).tolist()})


housing = ("california_housing.csv.gz", "median_house_value", "regression",
           ["longitude", "latitude", "housing_median_age", "total_rooms", "population",
            "households", "median_income"], [])
bikes = ("bike_sharing_hour.csv.gz", "cnt", "regression", ["temp", "atemp", "hum", "windspeed"],
         ["hr", "weathersit", "workingday"])
diamonds = ("diamonds.csv.gz", "price", "regression", ["carat", "depth", "table"],
            ["cut", "color", "clarity"])

warnings.simplefilter("ignore")
flat = 0.2  # minima of piecewise linear losses are flat: only the objective is exact
exact = {"tol": 1e-9, "max_iter": 100000}
for table, short in ((bikes, "bikes"), (diamonds, "diamonds"), (housing, "housing")):
    add(f"{short}, poisson", linear_model.PoissonRegressor(
        alpha=0.01, solver="newton-cholesky", **exact), "glm", "loss=poisson,alpha=0.01",
        "poisson", 1, table, l2=0.01)
    add(f"{short}, gamma", linear_model.GammaRegressor(
        alpha=0.1, solver="newton-cholesky", **exact), "glm", "loss=gamma,alpha=0.1", "gamma", 2,
        table, l2=0.1)
    add(f"{short}, tweedie", linear_model.TweedieRegressor(
        power=1.7, alpha=0.01, link="log", solver="newton-cholesky", **exact), "glm",
        "loss=tweedie,power=1.7,alpha=0.01", "tweedie", 1.7, table, l2=0.01)
    add(f"{short}, median", linear_model.QuantileRegressor(quantile=0.5, alpha=0.01), "glm",
        "loss=quantile,alpha=0.01", "quantile", 0.5, table, l1=0.01, rows=1000, tolerance=flat)
    add(f"{short}, 9 of 10", linear_model.QuantileRegressor(quantile=0.9, alpha=0.001), "glm",
        "loss=quantile,quantile=0.9,alpha=0.001", "quantile", 0.9, table, l1=0.001, rows=1000,
        tolerance=flat)
    add(f"{short}, huber", linear_model.HuberRegressor(alpha=1, epsilon=1.35, max_iter=100000,
                                                       tol=1e-9), "glm",
        "loss=huber,alpha=1", "huber", 1.35, table, l2=2.0, mean=False, tolerance=2e-3)
add("housing, poisson, weights", linear_model.PoissonRegressor(
    alpha=0.01, solver="newton-cholesky", **exact), "glm", "loss=poisson,alpha=0.01", "poisson", 1,
    housing, l2=0.01, weight="housing_median_age")
add("housing, huber, weights", linear_model.HuberRegressor(
    alpha=100, epsilon=1.1, max_iter=100000, tol=1e-9), "glm", "loss=huber,alpha=100,epsilon=1.1",
    "huber", 1.1, housing, l2=200.0, mean=False, weight="housing_median_age", tolerance=2e-3)
add("housing, quartile, weights", linear_model.QuantileRegressor(quantile=0.25, alpha=10), "glm",
    "loss=quantile,quantile=0.25,alpha=10", "quantile", 0.25, housing, l1=10.0, rows=1000,
    weight="housing_median_age", tolerance=flat)

for name, table, weight in (("housing", housing, None), ("diamonds", diamonds[:4] + ([],), None),
                            ("bikes", bikes[:4] + ([],), "hum"),
                            ("housing, weights", housing, "housing_median_age")):
    add(f"{name}, least squares", Ols(), "linear", "", "squared", 0, table, mean=False,
        weight=weight, tolerance=1e-9)

# Machines of classes have no learner here: the model's coefficients contain Platt's scaling.
churn = ("telco_churn.csv.gz", "Churn", "binary", ["tenure", "MonthlyCharges"],
         ["Contract", "InternetService", "PaymentMethod", "Partner"])
adult = ("adult_train.csv.gz", "income", "binary",
         ["age", "education-num", "capital-gain", "hours-per-week"], ["sex", "relationship"])
bank = ("bank_marketing.csv.gz", "y", "binary", ["age", "balance", "duration", "campaign"],
        ["marital", "housing", "loan"])
for name, table in (("churn", churn), ("adult", adult), ("bank", bank)):
    for loss in ("hinge", "squared_hinge"):
        for cost in (0.01, 1.0):
            add(f"{name}, {loss}, C={cost}", svm.LinearSVC(
                loss=loss, C=cost, tol=1e-7, max_iter=200000, dual=True, random_state=1), "", "",
                loss, 0, table, l2=1.0, cost=cost, rows=1000, tolerance=2)
for name, table in (("housing", housing), ("diamonds", diamonds), ("bikes", bikes)):
    for loss in ("epsilon_insensitive", "squared_epsilon_insensitive"):
        add(f"{name}, {loss}", svm.LinearSVR(
            loss=loss, C=0.01, epsilon=20, tol=1e-7, max_iter=200000, random_state=1), "linear_svm",
            f"loss={loss},C=0.01,epsilon=20,tol=1e-10", loss.replace("epsilon_", ""), 20, table,
            l2=1.0, cost=0.01, rows=1000, tolerance=0.01)

pathlib.Path(__file__).with_name("cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
