#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: of scikit-learn's IsolationForest (1.9 wrote the file here) on columns of real
tables, the area under the curve of its scores for the rows that the label calls odd, over five
seeds; and the ranks of the first 400 rows by scores averaged over the seeds. Columns are taken as
they are: cuts do not depend on units.
usage: generate.py DATA_FOLDER"""
import csv
import gzip
import json
import pathlib
import sys

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

SEEDS = range(5)
COMPARED = 400
CASES = [
    ("mammography.csv.gz", "class", "1", ["attr1", "attr2", "attr3", "attr4", "attr5", "attr6"]),
    ("covertype_20k.csv.gz", "Cover_Type", "7",
     ["Elevation", "Aspect", "Slope", "Horizontal_Distance_To_Hydrology",
      "Horizontal_Distance_To_Roadways", "Hillshade_9am", "Hillshade_3pm",
      "Horizontal_Distance_To_Fire_Points"]),
    ("bank_marketing.csv.gz", "y", "yes",
     ["age", "balance", "day", "duration", "campaign", "pdays", "previous"]),
]


def case(table, label, odd, columns):
    with gzip.open(pathlib.Path(sys.argv[1]) / table, "rt", newline="") as file:
        read = list(csv.DictReader(file))
    x = np.array([[float(r[c]) for c in columns] for r in read])
    y = np.array([r[label].strip("'") == odd for r in read])
    scores = [-IsolationForest(random_state=s).fit(x).score_samples(x) for s in SEEDS]
    ranks = rankdata(np.mean(scores, axis=0)[:COMPARED])
    return {"table": table, "label": label, "odd": odd, "columns": columns, "rows": len(x),
            "auc": [float(roc_auc_score(y, s)) for s in scores], "ranks": ranks.tolist()}


out = "[\n" + ",\n".join(json.dumps(case(*c)) for c in CASES) + "\n]\n"
(pathlib.Path(__file__).parent / "cases.json").write_text(out)
