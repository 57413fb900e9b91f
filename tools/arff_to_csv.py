#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns an ARFF file into CSV, and cuts it into a training and a held-out part: every fifth row of
each class is held out.

    tools/arff_to_csv.py FILE.arff TRAIN.csv HOLDOUT.csv"""
import csv
import sys


def read_arff(path):
    names, rows, in_data = [], [], False
    for line in open(path, encoding="latin-1"):
        line = line.strip()
        if not line or line.startswith("%"):
            continue
        if in_data:
            rows.append([field.strip("'") for field in next(csv.reader([line], quotechar="'"))])
        elif line.lower().startswith("@attribute"):
            names.append(line.split(None, 2)[1].strip("'"))
        elif line.lower().startswith("@data"):
            in_data = True
    return names, rows


def main():
    source, train_path, holdout_path = sys.argv[1:]
    names, rows = read_arff(source)
    seen = {}
    parts = {train_path: [], holdout_path: []}
    for row in rows:
        seen[row[-1]] = seen.get(row[-1], 0) + 1
        parts[holdout_path if seen[row[-1]] % 5 == 0 else train_path].append(row)
    for path, part in parts.items():
        with open(path, "w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(names)
            writer.writerows(part)


if __name__ == "__main__":
    main()
