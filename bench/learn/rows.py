#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One row at a time: every learner of Quern beside scikit-learn's, fitted on the same rows.

    bench/learn/rows.py BUILD DATA [LEARNER …]

Quern is given cells, as they are in the table, and so does all that its recipe does; scikit-learn
once a row of a matrix, ready for the estimator, once the same cells, for a pipeline. Median
microseconds of a call, one thread. Prints the table of README.md."""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import pandas as pd
from sklearn import (ensemble, gaussian_process, linear_model, naive_bayes, neighbors,
                     neural_network, svm, tree)
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

ADULT = ("adult_train.csv.gz", "income")
HOUSING = ("california_housing.csv.gz", "median_house_value")
# Learner, table, rows, parameters of ours that make sizes alike, counterpart.
CASES = [
    ("gbdt", ADULT, 16000, "n_estimators=100",
     lambda: ensemble.HistGradientBoostingClassifier(max_iter=100)),
    ("random_forest", ADULT, 16000, "n_estimators=100",
     lambda: ensemble.RandomForestClassifier(n_jobs=1)),
    ("extra_trees", ADULT, 16000, "n_estimators=100",
     lambda: ensemble.ExtraTreesClassifier(n_jobs=1)),
    ("decision_tree", ADULT, 16000, "", lambda: tree.DecisionTreeClassifier(min_samples_leaf=10)),
    ("ebm", ADULT, 16000, "", None),
    ("logistic", ADULT, 16000, "C=1", lambda: linear_model.LogisticRegression(max_iter=1000)),
    ("elastic_net", ADULT, 16000, "", None),
    ("linear_svm", ADULT, 16000, "C=1", lambda: svm.LinearSVC()),
    ("mlp", ADULT, 16000, "", lambda: neural_network.MLPClassifier((192, 192), max_iter=10)),
    ("naive_bayes", ADULT, 16000, "", lambda: naive_bayes.GaussianNB()),
    ("knn", ADULT, 16000, "n_neighbors=15", lambda: neighbors.KNeighborsClassifier(15)),
    ("svm", ADULT, 6400, "C=1", lambda: svm.SVC()),
    ("gaussian_process", ADULT, 500, "",
     lambda: gaussian_process.GaussianProcessClassifier(gaussian_process.kernels.RBF())),
    ("linear", HOUSING, 16000, "", lambda: linear_model.LinearRegression()),
    ("ridge", HOUSING, 16000, "alpha=1", lambda: linear_model.Ridge()),
    ("glm", HOUSING, 16000, "alpha=0.001", lambda: linear_model.HuberRegressor(max_iter=1000)),
    ("gaussian_process", HOUSING, 1000, "", lambda: gaussian_process.GaussianProcessRegressor(
        gaussian_process.kernels.Matern(nu=2.5) + gaussian_process.kernels.WhiteKernel())),
    ("svm", HOUSING, 6400, "C=1", lambda: svm.SVR()),
]
ROWS = 300


def ours(build, folder, learner, params, target):
    quern, model = build / "src/cli/quern", folder / "model.quern"
    named = ",".join(f"{learner}.{p}" for p in params.split(",") if p)
    subprocess.run([quern, "fit", folder / "train.csv", "--target", target, "--learners", learner,
                    "--trials", "1", "--folds", "1", "--no-test", "--threads", "2", "--quiet",
                    "--report", "", "-o", model] + (["--params", named] if named else []),
                   check=True, stdout=subprocess.DEVNULL)
    out = subprocess.run([build / "bench/predict_row", model, folder / "test.csv", "10"], check=True,
                         capture_output=True, text=True)
    return json.loads(out.stdout)


def median_us(predict, rows):
    times = []
    for row in rows:
        begun = time.perf_counter()
        predict(row)
        times.append(1e6 * (time.perf_counter() - begun))
    return statistics.median(times)


def theirs(make, frame, test, target):
    x, y = frame.drop(columns=target), frame[target]
    numbers = x.select_dtypes("number").columns
    others = [c for c in x.columns if c not in numbers]
    prepare = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), list(numbers)),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), others))
    pipeline = make_pipeline(prepare, make())
    pipeline.fit(x, y)
    name = "predict_proba" if hasattr(pipeline, "predict_proba") else "predict"
    cells = test.drop(columns=target)
    matrix = pipeline[0].transform(cells)
    alone = median_us(getattr(pipeline[1], name), [matrix[i:i + 1] for i in range(ROWS)])
    whole = median_us(getattr(pipeline, name), [cells.iloc[i:i + 1] for i in range(ROWS // 3)])
    return alone, whole, type(pipeline[1]).__name__


def main():
    build, data = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    print("| learner, table | rows | Quern, µs | of scikit-learn | estimator, µs | pipeline, µs"
          " | times as fast as the estimator |\n|---|---|---|---|---|---|---|")
    for learner, (table, target), n_rows, params, make in CASES:
        if sys.argv[3:] and learner not in sys.argv[3:]:
            continue
        frame = pd.read_csv(data / table, skipinitialspace=True).sample(n_rows + ROWS,
                                                                        random_state=1)
        train, test = frame[:n_rows], frame[n_rows:]
        with tempfile.TemporaryDirectory() as folder:
            train.to_csv(pathlib.Path(folder) / "train.csv", index=False)
            test.to_csv(pathlib.Path(folder) / "test.csv", index=False)
            own = ours(build, pathlib.Path(folder), learner, params, target)
        line = f"| {learner}, {table.split('_')[0]} | {n_rows:,} | {own['us']:.1f} |"
        if make:
            alone, whole, name = theirs(make, train, test, target)
            line += f" {name} | {alone:,.0f} | {whole:,.0f} | {alone / own['us']:,.0f} |"
        else:
            line += " | | | |"
        print(line, flush=True)


if __name__ == "__main__":
    main()
