#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SHAP values and interaction values of the models in tests/golden/trees, by the libraries that
made them, for the first rows of NAME.expected beside each:

    python3 tests/golden/explain/generate.py

writes NAME.values (rows, outputs, features + 1; the expected value last) and, for XGBoost,
NAME.interactions (rows, outputs, (features + 1)^2). Linear leaves have none. NAME.importance has
two lines of all models: total gain and number of splits by feature."""
import pathlib

import lightgbm as lgb
import numpy as np
import xgboost as xgb

HERE = pathlib.Path(__file__).resolve().parent
ROWS, PAIR_ROWS = 12, 3


def first_rows(path):
    lines = path.read_text(encoding="ascii").splitlines()
    n_features, n_outputs, _ = map(int, lines[0].split())
    rows = np.array([[float(v) for v in line.split()] for line in lines[1:1 + ROWS]])
    return rows[:, :n_features], n_outputs


def write(path, values, n_outputs, width):
    values = np.asarray(values, dtype=float).reshape(-1, n_outputs * width)
    lines = [" ".join(repr(float(v)) for v in row) for row in values]
    path.write_text(f"{len(values)} {n_outputs} {width}\n" + "\n".join(lines) + "\n",
                    encoding="ascii")


def importance(path, n_features):
    if path.name.startswith("lightgbm"):
        booster = lgb.Booster(model_file=str(path))
        lines = [booster.feature_importance("gain"), booster.feature_importance("split")]
    else:
        booster = xgb.Booster(model_file=str(path))
        scores = [booster.get_score(importance_type=t) for t in ("total_gain", "weight")]
        names = booster.feature_names or [f"f{i}" for i in range(n_features)]
        lines = [[s.get(name, 0) for name in names] for s in scores]
    (HERE / (path.name + ".importance")).write_text(
        "\n".join(" ".join(repr(float(v)) for v in line) for line in lines) + "\n",
        encoding="ascii")


def main():
    for path in sorted((HERE.parent / "trees").iterdir()):
        if path.suffix == ".expected":
            continue
        if "two_targets" not in path.name:  # XGBoost has none of vector leaves
            importance(path, first_rows(path.with_name(path.name + ".expected"))[0].shape[1])
        if "linear_tree" in path.name:
            continue
        x, n_outputs = first_rows(path.with_name(path.name + ".expected"))
        width = x.shape[1] + 1
        if path.name.startswith("lightgbm"):
            booster = lgb.Booster(model_file=str(path))
            values = booster.predict(x, pred_contrib=True)
            if "boosting: rf" in path.read_text(encoding="ascii"):
                values = values / booster.current_iteration()  # it leaves the averaging out
            write(HERE / (path.name + ".values"), values, n_outputs, width)
            continue
        booster = xgb.Booster(model_file=str(path))
        kinds = ["c" if "categories" in path.name and i in (3, 4) else "q"
                 for i in range(width - 1)]
        data = xgb.DMatrix(x, feature_types=kinds, enable_categorical=True)
        few = xgb.DMatrix(x[:PAIR_ROWS], feature_types=kinds, enable_categorical=True)
        try:
            write(HERE / (path.name + ".values"), booster.predict(data, pred_contribs=True),
                  n_outputs, width)
            write(HERE / (path.name + ".interactions"),
                  booster.predict(few, pred_interactions=True), n_outputs, width * width)
        except xgb.core.XGBoostError as error:
            print(path.name, str(error).splitlines()[0])


if __name__ == "__main__":
    main()
