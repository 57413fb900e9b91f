#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""k-means, mini-batch k-means, principal components and truncated singular values against
scikit-learn, on the same matrices: the dense view that `quern cluster` and `quern reduce` make of
real tables. Two threads each, fits in turn, medians of wall seconds. One JSON line per figure.
usage: unlabelled_speed.py [--rounds 5] UNLABELLED_FIT DATA_FOLDER [TABLE …]"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

THREADS = "2"
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = THREADS

import numpy as np  # noqa: E402 (threads are set first)
from scipy import sparse  # noqa: E402
from sklearn import cluster, decomposition  # noqa: E402

TABLES = {"adult_train": "income", "bank_marketing": "y", "covertype_20k": "Cover_Type",
          "sms_spam": "label", "kddcup99_10pct": "label"}
N_CLUSTERS, N_COMPONENTS = 8, 10


def read_view(path):
    data = pathlib.Path(path).read_bytes()
    n, n_dense, n_sparse, entries = np.frombuffer(data, np.int64, 4)
    at = 32
    dense = np.frombuffer(data, float, n * n_dense, at).reshape(n_dense, n).T.copy()
    at += dense.nbytes
    if not n_sparse:
        return dense, None
    starts = np.frombuffer(data, np.int64, n + 1, at)
    cols = np.frombuffer(data, np.int32, entries, at + starts.nbytes)
    values = np.frombuffer(data, np.float32, entries, at + starts.nbytes + cols.nbytes)
    words = sparse.csr_matrix((values.astype(float), cols, starts), shape=(n, n_sparse))
    return dense, sparse.hstack([sparse.csr_matrix(dense), words]).tocsr()


def peers(dense, both):
    def inertia(model):
        return model.inertia_

    def explained(model):
        return model.explained_variance_ratio_.sum()
    yield "kmeans", N_CLUSTERS, dense, lambda s: cluster.KMeans(
        N_CLUSTERS, n_init=10, random_state=s), inertia
    yield "mini_batch", N_CLUSTERS, dense, lambda s: cluster.MiniBatchKMeans(
        N_CLUSTERS, n_init=10, random_state=s), inertia
    if both is None:
        yield "pca", N_COMPONENTS, dense, lambda s: decomposition.PCA(
            N_COMPONENTS, random_state=s), explained
    yield "svd", N_COMPONENTS, dense if both is None else both, lambda s: (
        decomposition.TruncatedSVD(N_COMPONENTS, random_state=s)), explained


def compare(program, table, what, number, x, make, value_of, rounds):
    own, theirs, own_values, their_values = [], [], [], []
    with subprocess.Popen([*program, what, str(number)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        for seed in range(rounds + 1):  # the first of each warms up
            process.stdin.write("\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            begun = time.perf_counter()
            model = make(seed).fit(x)
            seconds = time.perf_counter() - begun
            if seed == 0:
                continue
            own.append(answer["fit_s"])
            theirs.append(seconds)
            own_values.append(answer["value"])
            their_values.append(float(value_of(model)))
        process.stdin.close()
    a, b = statistics.median(own), statistics.median(theirs)
    print(json.dumps({"figure": f"{table} {what}", "value": a, "unit": "s", "peer": "scikit-learn",
                      "peer_value": b, "ratio": b / a, "result": statistics.mean(own_values),
                      "peer_result": statistics.mean(their_values)}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("program")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("tables", nargs="*")
    args = parser.parse_args()
    for table in args.tables or TABLES:
        program = [args.program, str(args.data / f"{table}.csv.gz"), TABLES[table], THREADS]
        with tempfile.NamedTemporaryFile() as file:
            subprocess.run([*program, "dump", file.name], check=True)
            dense, both = read_view(file.name)
        for what, number, x, make, value_of in peers(dense, both):
            compare(program, table, what, number, x, make, value_of, args.rounds)


main()
