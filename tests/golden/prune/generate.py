#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: decision trees of scikit-learn (1.9.1 wrote the file here), their
cost_complexity_pruning_path, and the trees pruned at some alphas: number of leaves, and what is
predicted for some rows.

    python3 tests/golden/prune/generate.py"""
import json
import pathlib

import numpy as np
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

HERE = pathlib.Path(__file__).resolve().parent


def tables():
    rng = np.random.default_rng(5)
    x = np.round(rng.normal(size=(150, 4)), 2)
    score = x[:, 0] + x[:, 1] * (x[:, 2] > 0) + rng.normal(size=150) * 0.7
    yield "numbers", DecisionTreeRegressor, x, np.round(score, 3), None
    yield "classes", DecisionTreeClassifier, x, np.digitize(score, [-0.5, 0.8]), None
    yield "weights", DecisionTreeClassifier, x, (score > 0).astype(int), rng.integers(1, 4, 150)


def predictions(tree, x):
    out = tree.predict_proba(x) if hasattr(tree, "predict_proba") else tree.predict(x)
    return np.asarray(out, float).reshape(len(x), -1).tolist()


def case(name, kind, x, y, weights):
    params = {"random_state": 1, "min_samples_leaf": 2}
    full = kind(**params).fit(x, y, sample_weight=weights)
    path = kind(**params).cost_complexity_pruning_path(x, y, sample_weight=weights)
    tree, few = full.tree_, x[::10]
    alphas = np.unique(np.round(path.ccp_alphas[1:], 12))
    between = ((alphas[1:] + alphas[:-1]) / 2)[::4].tolist() + [float(alphas[-1]) * 1.01]
    pruned = []
    for alpha in between:
        one = kind(**params, ccp_alpha=alpha).fit(x, y, sample_weight=weights)
        pruned.append({"alpha": alpha, "n_leaves": int(one.get_n_leaves()),
                       "predictions": predictions(one, few)})
    values = tree.value.reshape(tree.node_count, -1)
    return {"name": name, "left": tree.children_left.tolist(),
            "right": tree.children_right.tolist(), "feature": tree.feature.tolist(),
            "threshold": tree.threshold.tolist(), "impurity": tree.impurity.tolist(),
            "weight": tree.weighted_n_node_samples.tolist(), "values": values.tolist(),
            "ccp_alphas": path.ccp_alphas.tolist(), "rows": few.tolist(), "pruned": pruned}


def main():
    cases = [case(*table) for table in tables()]
    (HERE / "cases.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n",
                                     encoding="ascii")


if __name__ == "__main__":
    main()
