#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Linear learners against scikit-learn's solvers for the same optimum: the same matrix, two threads
each, medians of interleaved runs, processor seconds of all threads (a machine may be shared). scikit-learn is given the matrix dense and sparse, and every solver
it has for the problem; the quickest of those within 1e-5 of the least objective counts. Prints one
JSON line per row; with --table, makes the table in README.md beside it of such lines.
usage: linear_speed.py FIT_LINEAR DATA_FOLDER [TABLE …] > FIGURES
       linear_speed.py --table < FIGURES"""
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

THREADS, RUNS, SLOWEST_S = 2, 3, 15
CHOLESKY_COLUMNS_MAX = 2000  # its matrix would not fit memory
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(THREADS)

import numpy as np  # noqa: E402  (threads are set first)
import pandas as pd  # noqa: E402
from scipy import sparse, special  # noqa: E402
from sklearn import feature_extraction, linear_model, svm  # noqa: E402

warnings.simplefilter("ignore")
TABLES = {"adult": ("adult_train", "income"), "bank_marketing": ("bank_marketing", "y"),
          "covertype_20k": ("covertype_20k", "Cover_Type"), "sms_spam": ("sms_spam", "label"),
          "kddcup99": ("kddcup99_10pct", "label")}
KDD_ROWS, KDD_CLASS_MIN = 60000, 200


def load(folder, name):
    """Dense part, sparse part, class numbers: numbers scaled, an indicator per level, words."""
    file, target = TABLES[name]
    frame = pd.read_csv(folder / f"{file}.csv.gz", skipinitialspace=True)
    if name == "kddcup99":
        frame = frame.sample(KDD_ROWS, random_state=1)
        counts = frame[target].value_counts()
        frame = frame[frame[target].isin(counts.index[counts >= KDD_CLASS_MIN])]
    _, y = np.unique(frame.pop(target).astype(str), return_inverse=True)
    if name == "sms_spam":
        words = feature_extraction.text.TfidfVectorizer(ngram_range=(1, 2)).fit_transform(
            frame["text"])
        return np.zeros((len(y), 1)), words.astype(np.float32).tocsr(), y
    numbers = frame.select_dtypes("number")
    numbers = numbers.loc[:, numbers.std() > 0]
    others = frame.select_dtypes(exclude="number")
    scaled = ((numbers - numbers.mean()) / numbers.std(ddof=0)).to_numpy()
    levels = pd.get_dummies(others).to_numpy(float) if len(others.columns) else scaled[:, :0]
    return np.hstack([scaled, levels]), sparse.csr_matrix((len(y), 0), dtype=np.float32), y


def write_matrix(path, dense, csr, y, n_classes):
    with open(path, "wb") as out:
        np.array([len(y), dense.shape[1], csr.shape[1], csr.nnz, n_classes], np.int64).tofile(out)
        np.asarray(y, float).tofile(out)
        np.asfortranarray(dense).T.tofile(out)
        csr.indptr.astype(np.int64).tofile(out)
        csr.indices.astype(np.int32).tofile(out)
        csr.data.astype(np.float32).tofile(out)


def objective(kind, strength, x, y, w, b):
    """Of coefficients w (outputs × columns) and intercepts b."""
    m = x @ w.T + b
    if kind == "multinomial":
        loss = (special.logsumexp(m, axis=1) - m[np.arange(len(y)), y]).sum()
        return loss + (w ** 2).sum() / (2 * strength)
    w, m = w.ravel(), m.ravel()
    s = 2 * y - 1
    if kind == "logistic":
        return np.logaddexp(0, -s * m).sum() + w @ w / (2 * strength)
    if kind == "lasso_logistic":
        return np.logaddexp(0, -s * m).mean() + strength * np.abs(w).sum()
    if kind == "ridge":
        return ((y - m) ** 2).sum() / 2 + strength * w @ w / 2
    if kind == "lasso":
        return ((y - m) ** 2).mean() / 2 + strength * np.abs(w).sum()
    if kind == "poisson":
        return (np.exp(m) - y * m).mean() + strength * w @ w / 2
    excess = np.maximum(0, 1 - s * m)
    return (w @ w + b @ b) / 2 + strength * (excess if kind == "hinge" else excess ** 2).sum()


def logistic(c):
    return [linear_model.LogisticRegression(C=c, solver=s, tol=t, max_iter=10000)
            for s, t in (("newton-cholesky", 1e-6), ("lbfgs", 1e-5), ("newton-cg", 1e-5))]


# What is fitted, our learner and parameters, scikit-learn's candidates; classes it is for
ROWS = [
    ("ridge", 1.0, "ridge", "alpha=1,tol=1e-12,max_iter=2000",
     [linear_model.Ridge(alpha=1.0, solver=s, tol=1e-8)
      for s in ("cholesky", "lsqr", "sparse_cg")], "any"),
    ("lasso", 0.001, "elastic_net", "alpha=0.001,l1_ratio=1",
     [linear_model.Lasso(alpha=0.001, tol=t, max_iter=100000) for t in (1e-4, 1e-6)], "any"),
    ("poisson", 0.01, "glm", "loss=poisson,alpha=0.01",
     [linear_model.PoissonRegressor(alpha=0.01, solver=s, tol=1e-6, max_iter=10000)
      for s in ("newton-cholesky", "lbfgs")], "any"),
    ("logistic", 1.0, "logistic", "C=1", logistic(1.0), "two"),
    ("multinomial", 1.0, "logistic", "C=1,tol=1e-12,max_iter=10000", logistic(1.0), "many"),
    ("lasso_logistic", 0.001, "elastic_net", "alpha=0.001,l1_ratio=1",
     ["saga", "liblinear"], "two"),
    ("squared_hinge", 1.0, "squared_hinge", "C=1",
     [svm.LinearSVC(dual=d, C=1.0, tol=t, max_iter=20000) for d, t in
      ((False, 1e-4), (True, 1e-4), (False, 1e-6))], "two"),
    ("hinge", 0.1, "hinge", "C=0.1",
     [svm.LinearSVC(loss="hinge", C=0.1, tol=t, max_iter=20000) for t in (1e-2, 1e-4)], "two"),
]


def candidates(row, n):
    kind, strength, peers = row[0], row[1], row[4]
    if kind != "lasso_logistic":
        return peers
    c = 1 / (strength * n)
    return [linear_model.LogisticRegression(C=c, l1_ratio=1, solver="saga", tol=1e-5, max_iter=5000),
            linear_model.LogisticRegression(C=c, l1_ratio=1, solver="liblinear", tol=1e-5,
                                            intercept_scaling=1000, max_iter=5000)]


def fit_peer(model, x, y):
    begun, begun_cpu = time.perf_counter(), time.process_time()
    model.fit(x, y)
    seconds = time.perf_counter() - begun, time.process_time() - begun_cpu
    return seconds, np.atleast_2d(model.coef_), np.ravel(model.intercept_)


def quickest(row, x_dense, x_sparse, y):
    """The model and matrix that scikit-learn is quickest with, at the least objective."""
    tried = []
    for model in candidates(row, len(y)):
        for x in (x_dense, x_sparse):
            if x is None or ("cholesky" in str(getattr(model, "solver", ""))
                             and x.shape[1] > CHOLESKY_COLUMNS_MAX):
                continue
            try:
                seconds, w, b = fit_peer(model, x, y)
            except (ValueError, TypeError):
                continue  # a solver that does not take this kind of matrix
            tried.append((objective(row[0], row[1], x, y, w, b), seconds, model, x))
            if seconds[1] > SLOWEST_S:
                break  # the other matrix would take as long
    best = min(t[0] for t in tried)
    return min((t for t in tried if t[0] <= best * (1 + 1e-5)), key=lambda t: t[1][1])


def compare(program, folder, name):
    dense, csr, classes = load(folder, name)
    n_classes = int(classes.max()) + 1
    x_sparse = sparse.hstack([sparse.csr_matrix(dense), csr]).tocsr().astype(float)
    x_dense = dense if csr.shape[1] == 0 else None
    for row in ROWS:
        kind, strength, learner, params, _, classes_for = row
        if classes_for == ("many" if n_classes == 2 else "two"):
            continue
        y = classes.astype(float) if classes_for == "any" else classes
        with tempfile.TemporaryDirectory() as scratch:
            matrix, out = f"{scratch}/matrix", f"{scratch}/out"
            write_matrix(matrix, dense, csr, y, 0 if classes_for == "any" else n_classes)
            peer_value, _, model, x = quickest(row, x_dense, x_sparse, y)
            own_s, peer_s = [], []
            for _ in range(RUNS):
                run = subprocess.run([program, matrix, str(THREADS), learner, params, out],
                                     capture_output=True, text=True, check=True)
                own_s.append(tuple(map(float, run.stdout.split())))
                peer_s.append(fit_peer(model, x, y)[0])
            terms = np.fromfile(out)
        k = n_classes if classes_for == "many" else 1
        value = objective(kind, strength, x_sparse, y, terms[:-k].reshape(k, -1), terms[-k:])
        own_wall, own = (statistics.median(v) for v in zip(*own_s))
        peer_wall, peer = (statistics.median(v) for v in zip(*peer_s))
        solver = getattr(model, "solver", None) or type(model).__name__
        print(json.dumps({"figure": f"{name} {kind}", "value": own, "unit": "s",
                          "peer": f"scikit-learn {solver}", "peer_value": peer,
                          "ratio": peer / own, "wall": own_wall, "peer_wall": peer_wall,
                          "objective": value, "peer_objective": peer_value}),
              flush=True)


BEGIN, END = "<!-- linear: begin -->", "<!-- linear: end -->"


def write_table(lines):
    head = ("| table | problem | Quern | scikit-learn | its solver | times as fast | on the clock | objective |"
            " relative to its |\n|---|---|---|---|---|---|---|---|---|\n")
    rows = []
    for f in map(json.loads, lines):
        table, kind = f["figure"].split()
        rows.append(f"| {table} | {kind} | {f['value']:.3g} | {f['peer_value']:.3g} | "
                    f"{f['peer'].split()[1]} | {f['ratio']:.1f} | "
                    f"{f['peer_wall'] / f['wall']:.1f} | {f['objective']:.8g} | "
                    f"{f['objective'] / f['peer_objective'] - 1:+.0e} |")
    readme = pathlib.Path(__file__).with_name("README.md")
    body = f"{BEGIN}\n{head}" + "\n".join(rows) + f"\n{END}"
    readme.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: body, readme.read_text(), flags=re.S))


if sys.argv[1] == "--table":
    write_table(sys.stdin)
else:
    for asked in sys.argv[3:] or TABLES:
        compare(sys.argv[1], pathlib.Path(sys.argv[2]), asked)
