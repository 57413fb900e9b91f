#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ranking end to end: lists of a made-up shop, where what sells depends on a row's place among the
others of its query, and the queries' own level says nothing. Boosting by lambdarank must order
them nearly as well as the score that made them, and figures must not depend on the order of rows.
usage: ranking.py QUERN"""
import csv
import json
import pathlib
import random
import subprocess
import sys
import tempfile

N_QUERIES, N_ROWS = 240, 15


def write_tables(folder):
    """Grades 0 to 4 by rank within the query, of a score with noise; in no order of queries."""
    rng = random.Random(7)
    tables = {"train": [], "test": []}
    for query in range(N_QUERIES):
        rows = []
        level = rng.gauss(0, 3)
        for _ in range(N_ROWS):
            a, b, c = rng.gauss(0, 1), rng.gauss(0, 1), rng.choice("xyz")
            score = a + 0.8 * abs(b) + (c == "y") + rng.gauss(0, 0.3)
            rows.append((score, f"q{query}", round(a, 4), round(b, 4), c, round(level, 3)))
        rows.sort()
        grades = [0] * 8 + [1] * 3 + [2] * 2 + [3, 4]
        part = tables["train" if query < N_QUERIES * 3 // 4 else "test"]
        part += [(*row[1:], grade) for row, grade in zip(rows, grades)]
    for name, rows in tables.items():
        rng.shuffle(rows)
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(["query", "a", "b", "c", "level", "grade"])
            writer.writerows(rows)


def fit(quern, folder, *options):
    done = subprocess.run(
        [quern, "fit", folder / "train.csv", "--target", "grade", "--task", "ranking", "--group",
         "query", "--test", folder / "test.csv", "--learners", "gbdt", "--trials", "1", "--json",
         "--quiet", "-o", folder / "model.quern", *options],
        capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def main():
    quern = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_tables(folder)
        said = fit(quern, folder)
        again = fit(quern, folder, "--threads", "1")
        bytes_1 = (folder / "model.quern").read_bytes()
        fit(quern, folder, "--threads", "3")
        checks = {
            "the metric is ndcg@10": said["metric"] == "ndcg@10",
            "the test part is ordered well": said["test"]["ndcg@10"] > 0.95,
            "threads change no figure": again["test"] == said["test"],
            "nor a byte": (folder / "model.quern").read_bytes() == bytes_1,
        }
        done = subprocess.run([quern, "evaluate", folder / "model.quern", folder / "test.csv",
                               "--json"], capture_output=True, text=True, check=True)
        figure = json.loads(done.stdout)["metrics"]["ndcg@10"]
        checks["evaluate says the same"] = abs(figure - said["test"]["ndcg@10"]) < 1e-12
    for name, good in checks.items():
        print("ok" if good else "FAILED", name)
    print(json.dumps(said["test"]))
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
