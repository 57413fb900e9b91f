#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `--steps` and `--outliers` change on real tables, learner by learner: the lines of the table in
README.md beside it.
usage: steps.py QUERN DATA [TABLE …]"""
import json
import subprocess
import sys
import tempfile

TABLES = [("german_credit", "credit_risk"), ("telco_churn", "Churn"), ("titanic", "Survived"), ("mammography", "class"),
          ("california_housing", "median_house_value"), ("sms_spam", "label")]
LEARNERS = {"roc_auc": ["gbdt", "extra_trees", "logistic", "knn"], "rmse": ["gbdt", "extra_trees", "ridge", "knn"]}
SETTINGS = [("--steps", "pca=0.95"), ("--steps", "kmeans=8"), ("--steps", "kmeans=30"), ("--steps", "svd=50"),
            ("--outliers", "drop=0.01"), ("--outliers", "drop=0.05"), ("--outliers", "weight=0.05")]


def score(quern, data, table, target, learner, setting):
    with tempfile.TemporaryDirectory() as work:
        command = [quern, "fit", f"{data}/{table}.csv.gz", "--target", target, "--learners", learner, "--trials", "1",
                   "--folds", "5", "--no-test", "--json", "--quiet", "--report", "",
                   "-o", f"{work}/m.quern", *setting]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        return None, result.stderr.strip()
    entry = next(e for e in json.loads(result.stdout)["leaderboard"] if e["learner"] == learner)
    return (entry["cv_score"], entry["std_error"]), None


def row(quern, data, table, target, metric, learner):
    base, problem = score(quern, data, table, target, learner, [])
    if not base:
        sys.exit(problem)
    cells = [f"{base[0]:.5g} ± {base[1]:.2g}"]
    for setting in SETTINGS:
        found, _ = score(quern, data, table, target, learner, setting)
        gain = found and (found[0] - base[0]) * (1 if metric == "roc_auc" else -1) / base[1]
        cells.append("–" if found is None else f"{gain:+.1f}")
    return f"| {table} | {learner} | " + " | ".join(cells) + " |"


def main():
    quern, data, asked = sys.argv[1], sys.argv[2], sys.argv[3:]
    print("| table | learner | score | " + " | ".join(s[1] for s in SETTINGS) + " |")
    print("|---" * (3 + len(SETTINGS)) + "|")
    for table, target in TABLES:
        if asked and table not in asked:
            continue
        metric = "rmse" if table == "california_housing" else "roc_auc"
        for learner in LEARNERS[metric]:
            print(row(quern, data, table, target, metric, learner), flush=True)


main()
