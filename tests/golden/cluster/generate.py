#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: inertia of scikit-learn's KMeans and MiniBatchKMeans (1.9 wrote the file here)
over five seeds, ten beginnings each, on columns of real tables with mean 0 and variance 1; the
inertia of one cluster; weighted k-means, rows weighing 1 to 3 in turn; and the silhouette of the
labels (x0 > 0) + 2 (x1 > 0).
usage: generate.py DATA_FOLDER"""
import csv
import gzip
import itertools
import json
import pathlib
import sys

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import silhouette_score

SEEDS = range(5)
CASES = [
    ("california_housing.csv.gz", "median_house_value", 6,
     ["longitude", "latitude", "housing_median_age", "total_rooms", "population", "households",
      "median_income"], 3000),
    ("covertype_20k.csv.gz", "Cover_Type", 7,
     ["Elevation", "Aspect", "Slope", "Horizontal_Distance_To_Hydrology",
      "Vertical_Distance_To_Hydrology", "Horizontal_Distance_To_Roadways", "Hillshade_9am",
      "Hillshade_Noon", "Hillshade_3pm", "Horizontal_Distance_To_Fire_Points"], 3000),
    ("bank_marketing.csv.gz", "pdays", 20,
     ["age", "balance", "day", "duration", "campaign"], 3000),
    ("letter.csv.gz", "x.box", 26,
     ["y.box", "width", "high", "onpix", "x.bar", "y.bar", "x2bar",
      "y2bar", "xybar", "x2ybr", "xy2br", "x.ege"], 3000),
]


def inertias(make, x, weights=None):
    return [float(make(seed).fit(x, sample_weight=weights).inertia_) for seed in SEEDS]


def case(table, target, k, columns, rows):
    with gzip.open(pathlib.Path(sys.argv[1]) / table, "rt", newline="") as file:
        read = list(itertools.islice(csv.DictReader(file), rows))
    x = np.array([[float(r[c]) for c in columns] for r in read])
    x = (x - x.mean(0)) / x.std(0)
    w = 1.0 + np.arange(rows) % 3
    labels = (x[:, 0] > 0) + 2 * (x[:, 1] > 0)
    return {"table": table, "target": target, "task": "regression", "columns": columns,
            "train": rows, "test": 0, "k": k, "total": float((x ** 2).sum()),
            "kmeans": inertias(lambda s: KMeans(k, n_init=10, random_state=s), x),
            "weighted": inertias(lambda s: KMeans(k, n_init=10, random_state=s), x, w),
            "mini_batch": inertias(lambda s: MiniBatchKMeans(k, n_init=10, random_state=s), x),
            "silhouette": float(silhouette_score(x, labels))}


out = "[\n" + ",\n".join(json.dumps(case(*c)) for c in CASES) + "\n]\n"
(pathlib.Path(__file__).parent / "cases.json").write_text(out)
