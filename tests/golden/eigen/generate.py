#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: eigenvalues of symmetric matrices by LAPACK (scipy.linalg.eigh of SciPy 1.17
wrote the file here), and eigenvectors of the small ones, largest entry positive. The test makes the
same matrices from the same formulas."""
import json
import pathlib

import numpy as np
from scipy import linalg

MATRICES = {
    # pseudo-random whole numbers over 1024
    "mixed": lambda i, j: ((i * 7919 + j * 104729 + i * j * 31) % 2039 - 1019) / 1024,
    # Hilbert's matrix: values fall by many powers of ten
    "hilbert": lambda i, j: 1 / (i + j + 1),
    # Wilkinson's W+: pairs of values nearly equal
    "wilkinson": lambda i, j: abs(i - 10.0) if i == j else float(i - j == 1),
    # a value of many multiplicities
    "equal": lambda i, j: 3.0 if i == j else 0.5,
    # huge and graded
    "graded": lambda i, j: 2.0 ** (600 - 4 * (i + j)) * (1 + (i == j)),
    # every product of entries is below the least number
    "tiny": lambda i, j: 2.0 ** -700 * (1 + (i * j) % 7),
}
SIZES = [("mixed", n) for n in (1, 2, 3, 4, 33, 64, 129, 300)] + [
    ("hilbert", 12), ("wilkinson", 21), ("equal", 40), ("graded", 9), ("tiny", 17)]


def case(kind, n):
    a = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            a[i, j] = a[j, i] = MATRICES[kind](i, j)
    scale = np.abs(a).max()  # by a power of two: LAPACK keeps the digits
    scale = 2.0 ** np.floor(np.log2(scale))
    values, vectors = linalg.eigh(a / scale)
    order = np.argsort(-values)
    out = {"matrix": kind, "n": n, "values": (values[order] * scale).tolist()}
    if kind == "mixed" and n <= 33:
        vectors = vectors[:, order].T
        vectors *= np.sign(np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1))
        out["vectors"] = vectors.ravel().tolist()
    return out


cases = [case(*c) for c in SIZES]
(pathlib.Path(__file__).parent / "cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
