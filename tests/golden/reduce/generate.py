#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: principal components and truncated singular values by scikit-learn (PCA with
the full solver, TruncatedSVD by ARPACK; 1.9 wrote the file here) of all columns but one of real
tables, with mean 0 and variance 1, constant ones left out; and singular values of the counts of
three-byte pieces of trimmed texts, (a * 961 + b * 31 + c) mod 4096, by ARPACK (scipy).
usage: generate.py DATA_FOLDER"""
import json
import pathlib
import sys

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse import linalg
from sklearn.decomposition import PCA, TruncatedSVD

FOLDER = pathlib.Path(sys.argv[1])
K, TOLD = 6, 8
TABLES = [("arcene_train.csv.gz", "label", 100), ("lambdarank_train.csv.gz", "relevance", 1500),
          ("covertype_20k.csv.gz", "Cover_Type", 3000), ("letter.csv.gz", "lettr", 3000)]


def dense(table, target, rows):
    x = pd.read_csv(FOLDER / table, nrows=rows).drop(columns=target).to_numpy(float)
    x = x[:, x.std(0) > 0]
    x = (x - x.mean(0)) / x.std(0)
    pca = PCA(K, svd_solver="full").fit(x)
    shifted = x + 0.5
    svd = TruncatedSVD(K, algorithm="arpack", tol=0, random_state=1).fit(shifted)
    return {"table": table, "target": target, "rows": rows,
            "variance": pca.explained_variance_.tolist(),
            "ratio": pca.explained_variance_ratio_.tolist(),
            "rows_on_components": pca.transform(x[:TOLD]).ravel().tolist(),
            "svd_singular": svd.singular_values_.tolist(),
            "svd_variance": svd.explained_variance_.tolist(),
            "svd_ratio": svd.explained_variance_ratio_.tolist(),
            "svd_rows": svd.transform(shifted[:TOLD]).ravel().tolist()}


def texts():
    table = pd.read_csv(FOLDER / "sms_spam.csv.gz", keep_default_na=False)
    out = sparse.lil_matrix((len(table), 4096))
    for i, text in enumerate(table[table.columns[-1]]):
        b = text.encode().strip(b" \t\r\n")
        for j in range(len(b) - 2):
            out[i, (b[j] * 961 + b[j + 1] * 31 + b[j + 2]) % 4096] += 1
    out = out.tocsr()
    mean = np.asarray(out.mean(0)).ravel()
    centred = linalg.LinearOperator(
        out.shape, dtype=float, matvec=lambda v: out @ v.ravel() - mean @ v.ravel(),
        rmatvec=lambda u: out.T @ u.ravel() - mean * u.sum())
    singular = [np.sort(linalg.svds(a, 21, tol=1e-12, random_state=1)[1])[::-1].tolist()
                for a in (out, centred)]
    return {"table": "sms_spam.csv.gz", "column": table.columns[-1], "entries": int(out.nnz),
            "singular": singular[0], "centred": singular[1]}


cases = [dense(*t) for t in TABLES] + [texts()]
(pathlib.Path(__file__).parent / "cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
