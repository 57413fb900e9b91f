#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of boosted trees alone: Quern's engine, LightGBM and XGBoost on the same matrices.

    bench/tree/accuracy.py [--program build/bench/train_trees] [--data DIR] [--seeds 5] [--threads 1]
                           [--libraries quern,lightgbm,xgboost] [--save FILE.jsonl] [--write] [TABLE …]
    bench/tree/accuracy.py --from FILE.jsonl --write

Each seed splits a table into 60 % training, 20 % validation and 20 % test rows (ranking: queries).
Categories are codes by frequency among the training rows, missing ones stay missing. Rounds end by
the validation loss (30 without improvement, 2,000 at most) for all. "equal": learning rate 0.1, 31
leaves, at least 20 rows and a hessian of 0.001 in a leaf, no penalty, 255 bins: LightGBM's defaults.
"defaults": what each library does when told nothing. Prints one JSON line a run; --write rewrites
the table in bench/README.md from all of them, the last of each kind counting."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd
from sklearn import metrics

HERE = pathlib.Path(__file__).resolve().parent
README = HERE.parent / "README.md"
BEGIN, END = "<!-- accuracy: begin -->", "<!-- accuracy: end -->"
# table: files, target, task, figures (the first two decide), columns dropped
TABLES = {
    "adult": (["adult_train"], "income", "binary", ["log_loss", "roc_auc"], []),
    "bank_marketing": (["bank_marketing"], "y", "binary", ["log_loss", "roc_auc"], []),
    "california_housing": (["california_housing"], "median_house_value", "regression",
                           ["rmse", "mae"], []),
    "diamonds": (["diamonds"], "price", "regression", ["rmse", "mae"], []),
    "letter": (["letter"], "lettr", "multiclass", ["log_loss", "accuracy"], []),
    "covertype_20k": (["covertype_20k"], "Cover_Type", "multiclass", ["log_loss", "accuracy"], []),
    "kddcup99": (["kddcup99_10pct"], "label", "multiclass", ["log_loss", "accuracy"], []),
    "lambdarank": (["lambdarank_train", "lambdarank_test"], "relevance", "ranking",
                   ["ndcg@10", "ndcg@5"], []),
}
LOWER_IS_BETTER = {"log_loss", "rmse", "mae"}
KDD_ROWS, ROUNDS, PATIENCE = 60000, 2000, 30


class Split:
    """Train, valid and test rows of one table, in this order; `X` is float64, codes for categories."""

    def __init__(self, frame, target, task, seed):
        rng = np.random.default_rng(seed)
        self.task, self.groups = task, None
        if task == "ranking":
            queries = rng.permutation(frame["qid"].unique())
            place = {q: i / len(queries) for i, q in enumerate(queries)}
            share = frame["qid"].map(place).to_numpy()
            part = np.digitize(share, [0.6, 0.8])
            order = np.lexsort((np.arange(len(frame)), frame["qid"], part))
        else:
            order = rng.permutation(len(frame))
            part = np.digitize(np.arange(len(frame)) / len(frame), [0.6, 0.8])[np.argsort(order)]
        self.n = [int((part == p).sum()) for p in range(3)]
        frame = frame.iloc[order].reset_index(drop=True)
        if task == "ranking":
            self.groups = frame.pop("qid").to_numpy()
        y = frame.pop(target)
        self.n_classes = 0
        if task in ("binary", "multiclass"):
            classes = np.sort(y.unique())
            self.n_classes = len(classes)
            y = np.searchsorted(classes, y)
        self.y = np.asarray(y, float)
        self.levels, columns = [], []
        for name in frame:
            column = frame[name]
            if pd.api.types.is_numeric_dtype(column):
                self.levels.append(0)
                columns.append(column.to_numpy(float))
                continue
            known = column[:self.n[0]].value_counts().index  # by frequency; others are missing
            codes = column.map({level: code for code, level in enumerate(known)})
            self.levels.append(max(len(known), 1))
            columns.append(codes.to_numpy(float))
        self.X = np.column_stack(columns)

    def rows(self, part):
        begin = sum(self.n[:part])
        return slice(begin, begin + self.n[part])

    def queries(self, part):
        """Rows of each query of the part, in order."""
        return np.unique(self.groups[self.rows(part)], return_counts=True)[1]


def load(name, folder):
    files, target, task, _, drop = TABLES[name]
    frame = pd.concat([pd.read_csv(folder / f"{file}.csv.gz", skipinitialspace=True,
                                   na_values=["?"]) for file in files], ignore_index=True)
    frame = frame.drop(columns=drop)
    if name == "kddcup99":  # a sample, and no class that a part could lack
        counts = frame[target].map(frame[target].value_counts())
        frame = frame[counts >= 200].sample(KDD_ROWS, random_state=0).reset_index(drop=True)
    return frame, target, task


# Learners: each returns predictions of the test rows (probabilities or scores) and rounds.

def run_quern(args, split, equal):
    params = f"n_estimators={ROUNDS},early_stopping_rounds={PATIENCE}"
    if equal:
        params += ",learning_rate=0.1"
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "matrix"
        with open(path, "wb") as out:
            n, f = split.X.shape
            np.array([n, f, split.n[1], split.n[2]] + split.levels, dtype=np.int64).tofile(out)
            np.asfortranarray(split.X).T.tofile(out)
            split.y.tofile(out)
            if split.groups is not None:
                split.groups.astype(float).tofile(out)
        done = subprocess.run([args.program, path, str(args.threads), split.task, str(split.n_classes), params,
                               path.with_name("out")], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return np.fromfile(path.with_name("out")), json.loads(done.stdout)["rounds"]


def run_lightgbm(args, split, equal):
    import lightgbm as lgb
    params = {"objective": {"ranking": "lambdarank"}.get(split.task, split.task), "verbose": -1,
              "num_threads": args.threads, "seed": 1, "deterministic": True, "force_row_wise": True}
    if split.task == "multiclass":
        params["num_class"] = split.n_classes
    if split.task == "ranking":
        params["eval_at"] = [30]
    assert equal  # they are its defaults
    sets = [lgb.Dataset(split.X[split.rows(p)], split.y[split.rows(p)],
                        group=split.queries(p) if split.groups is not None else None,
                        categorical_feature=[f for f, n in enumerate(split.levels) if n],
                        params=params, free_raw_data=False) for p in range(2)]
    model = lgb.train(params, sets[0], ROUNDS, valid_sets=[sets[1]],
                      callbacks=[lgb.early_stopping(PATIENCE, verbose=False)])
    return model.predict(split.X[split.rows(2)]), model.best_iteration


def run_xgboost(args, split, equal):
    import xgboost as xgb
    params = {"objective": {"binary": "binary:logistic", "multiclass": "multi:softprob",
                            "regression": "reg:squarederror", "ranking": "rank:ndcg"}[split.task],
              "nthread": args.threads, "verbosity": 0, "tree_method": "hist", "seed": 1}
    if split.task == "multiclass":
        params |= {"num_class": split.n_classes, "eval_metric": "mlogloss"}
    if split.task == "binary":
        params["eval_metric"] = "logloss"
    if split.task == "ranking":
        params["eval_metric"] = "ndcg@30"
    if equal:
        params |= {"eta": 0.1, "max_depth": 0, "max_leaves": 31, "grow_policy": "lossguide",
                   "lambda": 0, "min_child_weight": 1e-3, "max_bin": 255}
    types = ["c" if n else "q" for n in split.levels]
    sets = []
    for p in range(3):
        matrix = xgb.DMatrix(split.X[split.rows(p)], split.y[split.rows(p)], feature_types=types,
                             enable_categorical=True, nthread=args.threads)
        if split.groups is not None:
            matrix.set_group(split.queries(p))
        sets.append(matrix)
    model = xgb.train(params, sets[0], ROUNDS, evals=[(sets[1], "valid")], verbose_eval=False,
                      early_stopping_rounds=PATIENCE)
    best = model.best_iteration
    return np.asarray(model.predict(sets[2], iteration_range=(0, best + 1)), float), best + 1


RUNNERS = [("quern", "equal", run_quern), ("lightgbm", "equal", run_lightgbm),
           ("xgboost", "equal", run_xgboost), ("quern", "defaults", run_quern),
           ("xgboost", "defaults", run_xgboost)]


def ndcg(split, scores, at):
    """Mean over queries with a relevant row, gains 2^grade - 1: what lambdarank aims at."""
    values = []
    y, groups = split.y[split.rows(2)], split.groups[split.rows(2)]
    discounts = 1 / np.log2(np.arange(at) + 2)
    for query in np.unique(groups):
        own = groups == query
        gains = 2 ** y[own] - 1
        best = np.sort(gains)[::-1][:at] @ discounts[:own.sum()]
        ranked = gains[np.argsort(-scores[own], kind="stable")][:at] @ discounts[:own.sum()]
        if best > 0:
            values.append(ranked / best)
    return float(np.mean(values))


def score(split, figures, out):
    y = split.y[split.rows(2)]
    if split.task == "multiclass":
        out = np.clip(out.reshape(len(y), split.n_classes), 1e-15, 1)
        out /= out.sum(1, keepdims=True)
    labels = list(range(max(split.n_classes, 2)))
    known = {
        "log_loss": lambda: metrics.log_loss(y, out, labels=labels),
        "roc_auc": lambda: metrics.roc_auc_score(y, out),
        "accuracy": lambda: metrics.accuracy_score(y, out.argmax(1)),
        "rmse": lambda: np.sqrt(np.mean((y - out) ** 2)),
        "mae": lambda: np.mean(np.abs(y - out)),
        "ndcg@10": lambda: ndcg(split, out, 10),
        "ndcg@5": lambda: ndcg(split, out, 5),
    }
    return {figure: float(known[figure]()) for figure in figures}


def run(args):
    results = []
    for name in args.tables or TABLES:
        frame, target, task = load(name, pathlib.Path(args.data))
        for seed in range(1, args.seeds + 1):
            split = Split(frame.copy(), target, task, seed)
            for library, settings, runner in RUNNERS:
                if library not in args.libraries.split(","):
                    continue
                out, rounds = runner(args, split, settings == "equal")
                result = {"table": name, "library": library, "settings": settings, "seed": seed,
                          "rounds": rounds, **score(split, TABLES[name][3], out)}
                results.append(result)
                line = json.dumps(result)
                print(line, flush=True)
                if args.save:
                    with open(args.save, "a", encoding="utf-8") as save:
                        save.write(line + "\n")
    return results


def summarise(values):
    mean = statistics.mean(values)
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0
    digits = 5 if abs(mean) < 10 else 1
    return f"{mean:.{digits}f} ± {error:.{digits}f}"


def by_seed(results, table, library, settings, figure):
    if library == "lightgbm":
        settings = "equal"  # the same
    return {r["seed"]: r[figure] for r in results if (r["table"], r["library"], r["settings"]) ==
            (table, library, settings)}


def compare(own, other, figure):
    """Mean difference by seed, in standard errors of it; positive: ours is better."""
    sign = -1 if figure in LOWER_IS_BETTER else 1
    apart = [sign * (own[s] - other[s]) for s in own if s in other]
    if len(apart) < 2:
        return 0.0
    error = statistics.stdev(apart) / len(apart) ** 0.5
    return statistics.mean(apart) / error if error > 0 else 0.0


def table_of(results):
    lines = ["| table | figure | settings | seeds | Quern | LightGBM | XGBoost | ahead of LightGBM by "
             "| of XGBoost by |", "|---|---|---|---|---|---|---|---|---|"]
    for table, (_, _, _, figures, _) in TABLES.items():
        for settings in ("equal", "defaults"):
            for figure in figures:
                sides = [by_seed(results, table, library, settings, figure)
                         for library in ("quern", "lightgbm", "xgboost")]
                if not all(sides):
                    continue
                common = sorted(set.intersection(*map(set, sides)))
                sides = [{seed: side[seed] for seed in common} for side in sides]
                cells = [summarise(list(side.values())) for side in sides]
                ahead = [f"{compare(sides[0], side, figure):+.1f} s.e." if len(common) > 1 else "-"
                         for side in sides[1:]]
                lines.append(f"| {table} | {figure} | {settings} | {len(common)} | " + " | ".join(cells + ahead) +
                             " |")
    return "\n".join(lines)


def write(results):
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n{table_of(results)}\n{END}{after}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    root = HERE.parent.parent
    parser.add_argument("--program", default=str(root / "build/bench/train_trees"))
    parser.add_argument("--data", default=os.environ.get("QUERN_DATA", str(root.parent / "data")))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--libraries", default="quern,lightgbm,xgboost")
    parser.add_argument("--save", help="append each run to this file")
    parser.add_argument("--from", dest="source", help="read runs from this file, run none")
    parser.add_argument("--write", action="store_true", help="rewrite the table in bench/README.md")
    parser.add_argument("tables", nargs="*")
    args = parser.parse_args()
    if args.source:
        lines = pathlib.Path(args.source).read_text(encoding="utf-8").splitlines()
        results = list({(r["table"], r["library"], r["settings"], r["seed"]): r
                        for r in map(json.loads, lines)}.values())
    else:
        results = run(args)
    if args.write:
        write(results)
    else:
        print(table_of(results), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
