#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: predictions of scikit-learn (1.9.1 wrote the file here) on rows of real tables
that follow those it was fitted on.
usage: generate.py DATA_FOLDER

Columns: numbers with the mean and variance of the rows fitted on; then categories, an indicator per
level; sparse columns as they are."""
import json
import pathlib
import sys

import numpy as np
import pandas as pd
from sklearn import linear_model, naive_bayes, neighbors
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, Matern, WhiteKernel
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.svm import SVR

TRAIN, TEST = 1500, 200
cases = []


def add(name, model, learner, params, table, target, task, columns=(), categories=(), sparse=(),
        raw_codes=False, tolerance=1e-6, rows=TRAIN):
    frame = pd.read_csv(pathlib.Path(sys.argv[1]) / table, nrows=rows + TEST, skipinitialspace=True)
    train = frame[:rows]
    blocks = [((frame[c] - train[c].mean()) / train[c].std(ddof=0)).to_numpy() for c in columns]
    levels = [{"name": c, "levels": sorted(train[c].unique())} for c in categories]
    for c in levels:
        if raw_codes:
            blocks.append(np.searchsorted(c["levels"], frame[c["name"]]))
        else:
            blocks += [(frame[c["name"]] == v).to_numpy(float) for v in c["levels"]]
    blocks += [frame[c].to_numpy(float) for c in sparse]
    x = np.column_stack(blocks)
    classes = sorted(train[target].astype(str).unique()) if task != "regression" else []
    y = frame[target].to_numpy(float) if task == "regression" else \
        np.searchsorted(classes, frame[target].astype(str))
    model.fit(x[:rows], y[:rows])
    test = x[rows::5]
    if task == "regression":
        out = model.predict(test)
    else:
        out = model.predict_proba(test)
        out = out[:, 1] if task == "binary" else out
    cases.append({"name": name, "learner": learner, "params": params, "table": table,
                  "target": target, "task": task, "columns": list(columns), "categories": levels,
                  "sparse": list(sparse), "classes": classes, "train": rows, "test": TEST,
                  "tolerance": tolerance, "predictions": np.ravel(out).tolist()})


housing = ("california_housing.csv.gz", "median_house_value", "regression",
           ["longitude", "latitude", "housing_median_age", "total_rooms", "population",
            "households", "median_income"])
cover = ("covertype_20k.csv.gz", "Cover_Type", "multiclass",
         list(pd.read_csv(pathlib.Path(sys.argv[1]) / "covertype_20k.csv.gz", nrows=1).columns[:10]))
churn = ("telco_churn.csv.gz", "Churn", "binary", ["tenure", "MonthlyCharges"])
levels = ["Contract", "InternetService", "PaymentMethod", "Partner"]
letter = "letter.csv.gz"
letters = list(pd.read_csv(pathlib.Path(sys.argv[1]) / letter, nrows=1).columns[1:])

knn = neighbors.KNeighborsRegressor
add("housing, by distance", knn(7, weights="distance"), "knn", "n_neighbors=7,weights=distance",
    *housing)
add("housing, manhattan", knn(9, metric="manhattan"), "knn",
    "n_neighbors=9,weights=uniform,metric=manhattan", *housing)
add("cover", neighbors.KNeighborsClassifier(5), "knn", "n_neighbors=5,weights=uniform", *cover)
add("churn, by distance", neighbors.KNeighborsClassifier(25, weights="distance"), "knn",
    "n_neighbors=25,weights=distance", *churn, tolerance=1e-4)


def gower(n_numbers, **params):
    """Numbers by their range, two indicators that differ as one category that does."""
    scale = ColumnTransformer([("n", MinMaxScaler(), slice(0, n_numbers)),
                               ("c", FunctionTransformer(lambda m: m / 2), slice(n_numbers, None))])
    return make_pipeline(scale, params.pop("model")(metric="manhattan", **params))


add("credit, Gower", gower(3, model=neighbors.KNeighborsClassifier, n_neighbors=9), "knn",
    "metric=gower,n_neighbors=9", "german_credit.csv.gz", "credit_risk", "binary",
    ["duration", "amount", "age"], ["status", "credit_history", "savings", "purpose"], rows=700)
add("adult, Gower", gower(4, model=neighbors.KNeighborsClassifier, n_neighbors=15,
                          weights="distance"), "knn",
    "metric=gower,n_neighbors=15,weights=distance", "adult_train.csv.gz", "income", "binary",
    ["age", "fnlwgt", "education-num", "hours-per-week"], ["sex", "marital-status", "relationship"],
    tolerance=1e-4)
add("diamonds, Gower", gower(3, model=knn, n_neighbors=5), "knn", "metric=gower,n_neighbors=5",
    "diamonds.csv.gz", "price", "regression", ["carat", "depth", "x"], ["cut", "color", "clarity"])
add("cover, Gaussian", naive_bayes.GaussianNB(), "naive_bayes", "", *cover)
add("churn, Gaussian, smoothed", naive_bayes.GaussianNB(var_smoothing=0.3), "naive_bayes",
    "var_smoothing=0.3", *churn)
add("adult, Gaussian", naive_bayes.GaussianNB(), "naive_bayes", "", "adult_train.csv.gz", "income",
    "binary", ["age", "fnlwgt", "education-num", "hours-per-week"])
add("churn, categorical", naive_bayes.CategoricalNB(alpha=0.5), "naive_bayes", "alpha=0.5",
    *churn[:3], categories=levels, raw_codes=True)
add("churn, Bernoulli", naive_bayes.BernoulliNB(), "naive_bayes", "categories=bernoulli",
    *churn[:3], categories=levels)
for name, table, target, chosen in (
        ("credit", "german_credit.csv.gz", "credit_risk",
         ["status", "credit_history", "purpose", "savings"]),
        ("bank", "bank_marketing.csv.gz", "y", ["job", "marital", "education", "housing"])):
    one = (table, target, "binary", ["age"])
    rows = {"rows": 800} if name == "credit" else {}
    add(f"{name}, Gaussian", naive_bayes.GaussianNB(), "naive_bayes", "", *one, **rows)
    add(f"{name}, categorical", naive_bayes.CategoricalNB(), "naive_bayes", "", *one[:3],
        categories=chosen, raw_codes=True, **rows)
    add(f"{name}, Bernoulli", naive_bayes.BernoulliNB(alpha=0.3), "naive_bayes",
        "categories=bernoulli,alpha=0.3", *one[:3], categories=chosen, **rows)
grounds = [f"Wilderness_Area{i}" for i in range(1, 5)] + [f"Soil_Type{i}" for i in range(1, 41)]
counts = ["hr", "weekday", "workingday", "weathersit", "casual", "registered"]
for name, model, params in (
        ("multinomial", naive_bayes.MultinomialNB(), ""),
        ("complement", naive_bayes.ComplementNB(alpha=0.5), "text=complement,alpha=0.5"),
        ("Bernoulli", naive_bayes.BernoulliNB(alpha=0.5), "text=bernoulli,alpha=0.5")):
    add(f"grounds, {name}", model, "naive_bayes", params, *cover[:3], sparse=grounds)
    add(f"bikes, {name}", model, "naive_bayes", params, "bike_sharing_hour.csv.gz", "season",
        "multiclass", sparse=counts, rows=8800)
add("letters, multinomial", naive_bayes.MultinomialNB(alpha=2), "naive_bayes", "alpha=2", letter,
    "lettr", "multiclass", sparse=letters)
add("letters, complement", naive_bayes.ComplementNB(), "naive_bayes", "text=complement", letter,
    "lettr", "multiclass", sparse=letters)
add("letters, Bernoulli", naive_bayes.BernoulliNB(), "naive_bayes", "text=bernoulli", letter,
    "lettr", "multiclass", sparse=letters)

everything = [c for c in pd.read_csv(pathlib.Path(sys.argv[1]) / "ames.csv.gz", nrows=TRAIN + TEST)
              .select_dtypes("number").dropna(axis=1).columns if c not in ("Id", "SalePrice")]
ames = ("ames.csv.gz", "SalePrice", "regression", everything)
net, exact = linear_model.ElasticNet, {"tol": 1e-12, "max_iter": 1000000}
add("housing, elastic net", net(alpha=2000, l1_ratio=0.7, **exact), "elastic_net",
    "alpha=2000,l1_ratio=0.7,tol=1e-18", *housing)
add("ames, lasso", linear_model.Lasso(alpha=1000, **exact), "elastic_net",
    "alpha=1000,l1_ratio=1,tol=1e-18", *ames, rows=1200)
add("letters as a number, sparse lasso", linear_model.Lasso(alpha=0.05, **exact), "elastic_net",
    "alpha=0.05,l1_ratio=1,tol=1e-18", letter, letters[0], "regression", sparse=letters[1:])
add("churn, logistic lasso", linear_model.LogisticRegression(
    C=1 / (0.02 * TRAIN), l1_ratio=1, solver="saga", random_state=1, tol=1e-10, max_iter=100000),
    "elastic_net", "alpha=0.02,l1_ratio=1,tol=1e-18", *churn, categories=levels, tolerance=1e-5)
add("churn, logistic elastic net", linear_model.LogisticRegression(
    C=1 / (0.01 * TRAIN), l1_ratio=0.3, solver="saga", random_state=1, tol=1e-10, max_iter=100000),
    "elastic_net", "alpha=0.01,l1_ratio=0.3,tol=1e-18", *churn, categories=levels, tolerance=1e-5)


def process(kernel, noise):
    return GaussianProcessRegressor(kernel + WhiteKernel(noise), alpha=0, optimizer=None,
                                    normalize_y=True)


diamonds = ("diamonds.csv.gz", "price", "regression", ["carat", "depth", "table", "x", "y", "z"])
add("housing, process", process(Matern(1.7, nu=2.5), 0.1), "gaussian_process",
    "length_scale=1.7,noise=0.1", *housing)
add("ames, rough process", process(Matern(9, nu=1.5), 0.05), "gaussian_process",
    "kernel=matern32,length_scale=9,noise=0.05", *ames, rows=1200)
add("diamonds, smooth process", process(RBF(2.5), 0.02), "gaussian_process",
    "kernel=rbf,length_scale=2.5,noise=0.02", *diamonds)

# Its probabilities are means over five error functions instead of the logistic one.
for name, table, kernel, params, spec in (
        ("churn", churn, Matern(1.5, nu=2.5), "length_scale=1.5", {"categories": levels}),
        ("cover", cover, RBF(2.0), "kernel=rbf,length_scale=2", {}),
        ("letters", (letter, "lettr", "multiclass", letters), Matern(3.0, nu=1.5),
         "kernel=matern32,length_scale=3", {})):
    add(f"{name}, process of classes", GaussianProcessClassifier(kernel, optimizer=None),
        "gaussian_process", params, *table, tolerance=2e-3, rows=600, **spec)

cuts = ("diamonds.csv.gz", "cut", "multiclass", ["carat", "depth", "table", "price"])
for name, table, cost, ratio in (("cover", cover, 0.05, 1), ("letters", (letter, "lettr", "multiclass",
                                 letters[:8]), 0.02, 1), ("diamonds", cuts, 0.1, 0.4)):
    add(f"{name}, multinomial, l1_ratio={ratio}", linear_model.LogisticRegression(
        C=cost, l1_ratio=ratio, solver="saga", random_state=1, tol=1e-9, max_iter=20000),
        "logistic", f"C={cost},l1_ratio={ratio},tol=1e-14", *table, tolerance=2e-5, rows=800)
add("churn, balanced lasso", linear_model.LogisticRegression(
    C=0.02, l1_ratio=1, class_weight="balanced", solver="saga", random_state=1, tol=1e-10,
    max_iter=100000), "logistic", "C=0.02,l1_ratio=1,class_weight=balanced,tol=1e-14", *churn,
    categories=levels,
    tolerance=1e-5)
add("churn, balanced", linear_model.LogisticRegression(
    C=0.02, class_weight="balanced", solver="newton-cholesky", tol=1e-10), "logistic",
    "C=0.02,class_weight=balanced,tol=1e-14", *churn, categories=levels, tolerance=1e-6)


for name, table in (("adult", ("adult_train.csv.gz", "income", "binary",
                               ["age", "fnlwgt", "education-num", "capital-gain", "hours-per-week"],
                               ["sex", "marital-status", "relationship"])),
                    ("bank", ("bank_marketing.csv.gz", "y", "binary",
                              ["age", "balance", "duration"], ["job", "marital", "housing"])),
                    ("cover", cover), ("diamonds", cuts)):
    add(f"{name}, logistic", linear_model.LogisticRegression(C=0.5, tol=1e-12, max_iter=100000,
                                                             solver="newton-cg"),
        "logistic", "C=0.5,tol=1e-15", *table, rows=1000)
for name, table, rows in (("housing", housing, TRAIN), ("ames", ames, 1200),
                          ("diamonds", diamonds, TRAIN)):
    add(f"{name}, ridge", linear_model.Ridge(alpha=20, solver="cholesky"), "ridge",
        "alpha=20,tol=1e-15", *table, rows=rows)


def machine(**params):
    return TransformedTargetRegressor(SVR(tol=1e-7, cache_size=500, **params),
                                      transformer=StandardScaler())


add("housing, machine", machine(C=2, gamma=0.2), "svm", "C=2,gamma=0.2,tol=1e-7", *housing,
    tolerance=2e-4)
add("ames, polynomial machine", machine(kernel="poly", degree=2, coef0=1, C=0.1, gamma=0.02), "svm",
    "kernel=poly,degree=2,coef0=1,C=0.1,gamma=0.02,tol=1e-7", *ames, rows=1200, tolerance=2e-4)
add("letters as a number, sparse machine", machine(C=1, gamma=0.03, epsilon=0.2), "svm",
    "C=1,gamma=0.03,epsilon=0.2,tol=1e-7", letter, letters[0], "regression", sparse=letters[1:],
    tolerance=2e-4)

add("housing, linear machine", machine(kernel="linear", C=0.5), "svm", "kernel=linear,C=0.5,tol=1e-7",
    *housing, tolerance=2e-4)
add("diamonds, polynomial machine", machine(kernel="poly", degree=3, coef0=0.5, C=0.2, gamma=0.1),
    "svm", "kernel=poly,degree=3,coef0=0.5,C=0.2,gamma=0.1,tol=1e-7", *diamonds, tolerance=2e-4)


def folds(n_rows):
    """Row i is left out of fold i modulo 5."""
    of = np.arange(n_rows) % 5
    return [(np.flatnonzero(of != f), np.flatnonzero(of == f)) for f in range(5)]


def by_folds(model, name, values, scoring, n_rows):
    return GridSearchCV(model, {name: values}, cv=folds(n_rows), scoring=scoring)


# Penalties chosen by cross-validation; the paths are those of the learners.
lasso = {"eps": 1e-3, "alphas": 30, "tol": 1e-12, "max_iter": 1000000}
for name, rows, spec, columns in (("housing", TRAIN, housing, {}), ("ames", 1200, ames, {}),
                                  ("letters as a number", TRAIN, (letter, letters[0], "regression"),
                                   {"sparse": letters[1:]})):
    add(f"{name}, lasso by folds", linear_model.LassoCV(cv=folds(rows), **lasso), "elastic_net",
        "cv=5,l1_ratio=1,n_alphas=30,eps=0.001,tol=1e-18", *spec, **columns, rows=rows)
for name, rows, spec in (("housing", TRAIN, housing), ("ames", 1200, ames),
                         ("diamonds", TRAIN, diamonds)):
    add(f"{name}, ridge by folds", by_folds(
        linear_model.Ridge(solver="cholesky"), "alpha", [1000, 200, 40, 10, 2, 0.5, 0.1],
        "neg_mean_squared_error", rows), "ridge", "tol=1e-15", *spec, rows=rows)
for name, spec, columns in (("churn", churn, {"categories": levels}), ("cuts", cuts, {}),
                            ("bank", ("bank_marketing.csv.gz", "y", "binary",
                                      ["age", "balance", "duration"], ["job", "marital"]), {})):
    add(f"{name}, logistic by folds", by_folds(
        linear_model.LogisticRegression(tol=1e-12, max_iter=100000, solver="newton-cg"), "C",
        [0.01, 0.05, 0.2, 1, 5, 25, 100], "neg_log_loss", TRAIN), "logistic", "cv=5,tol=1e-15",
        *spec, **columns, tolerance=1e-5)
for name, spec in (("housing", housing), ("diamonds", diamonds),
                   ("bikes", ("bike_sharing_hour.csv.gz", "cnt", "regression",
                              ["temp", "hum", "windspeed", "hr"]))):
    add(f"{name}, poisson by folds", by_folds(
        linear_model.PoissonRegressor(solver="newton-cholesky", tol=1e-12, max_iter=1000), "alpha",
        [0.1, 0.03, 0.01, 0.003, 0.001, 1e-4, 1e-5], "neg_mean_poisson_deviance", TRAIN), "glm",
        "loss=poisson,cv=5,tol=1e-14", *spec, tolerance=1e-5)

pathlib.Path(__file__).with_name("cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
