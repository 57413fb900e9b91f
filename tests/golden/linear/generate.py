#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: ridge, logistic and multinomial regression on real tables by scikit-learn
(1.9.1 wrote the file here): coefficients, intercepts, the objective and some predictions.
usage: generate.py DATA_FOLDER

The features are those of the recipe's dense view, made here with NumPy as tests/golden/recipe
proves them; the target encoding is that of all training rows. The objectives are

    ridge        1/2 sum_i w_i (y_i - b - x_i w)^2 + alpha/2 |w|^2
    logistic     sum_i w_i log(1 + exp(-s_i (b + x_i w))) + 1/(2 C) |w|^2,  s_i = -1 or 1
    multinomial  sum_i w_i (log sum_c exp(b_c + x_i w_c) - (b_y + x_i w_y)) + 1/(2 C) |w|^2

with weights of mean 1. The multinomial model is determined up to a constant added to all b_c:
intercepts are given with their mean taken off."""
import json
import pathlib
import sys

import numpy as np
import pandas as pd
from scipy import special, stats
from sklearn import metrics
from sklearn.linear_model import LogisticRegression, Ridge

KNOTS, CLIP, MARGIN = 65, 8, 3
repository = pathlib.Path(__file__).resolve().parents[3]


def straightness(z, y, task):
    """Log-likelihood of a line in z: of at most 4,000 rows, at equal steps."""
    n = min(len(z), 4000)
    rows = np.arange(n) * len(z) // n
    z, y = z[rows], y[rows]
    if task == "regression":
        return -0.5 * len(z) * np.log(1 - np.corrcoef(z, y)[0, 1] ** 2)
    if task == "binary":
        z = z.reshape(-1, 1)
        line = LogisticRegression(C=1000, tol=1e-10).fit(z, y)
        return -metrics.log_loss(y, line.predict_proba(z), normalize=False)
    groups = [z[y == c] for c in np.unique(y)]
    between = sum(len(g) * (g.mean() - z.mean()) ** 2 for g in groups) / (len(z) * z.var())
    return -0.5 * len(z) * np.log(1 - between)


def scaled_numbers(values, y, task):
    """Bent or not, whichever tells more of the target."""
    bent, straight = scaled(values, values, True), scaled(values, values, False)
    if straightness(straight, y, task) > straightness(bent, y, task) + MARGIN:
        return straight
    return bent


def scaled(train, values, may_bend):
    known = np.sort(train[np.isfinite(train)])
    fill = known[len(known) // 2]
    values = np.where(np.isnan(values), fill, values)
    if may_bend and abs(stats.skew(known)) > 1:
        p = np.arange(KNOTS) / (KNOTS - 1)
        knots, place = np.unique(known[(p * (len(known) - 1) + 0.5).astype(int)],
                                 return_inverse=True)
        scores = stats.norm.ppf(np.clip(p, 0.002, 0.998))
        means = np.bincount(place, scores) / np.bincount(place)
        if len(knots) > 2:
            known, values = np.interp(known, knots, means), np.interp(values, knots, means)
    return np.clip((values - known.mean()) / known.std(), -CLIP, CLIP)


def dense_view(frame, numeric, y, task):
    features = {}
    for name in frame:
        column = frame[name]
        if name in numeric:
            values = column.to_numpy(float)
            features[name] = scaled_numbers(values, y, task)
            if np.isnan(values).any():
                features[name + " is missing"] = np.isnan(values).astype(float)
            continue
        counts = column.value_counts()
        order = sorted((v for v in counts.index if counts[v] >= 2), key=lambda v: (-counts[v], v))
        for level in order[:30]:
            features[f"{name}={level}"] = (column == level).to_numpy(float)
        features[name + "~rare"] = (column.notna() & ~column.isin(order[:30])).to_numpy(float)
        features[name + " is missing"] = column.isna().to_numpy(float)
        if len(order) >= 9:
            sums = pd.Series(y).groupby(column.to_numpy()).agg(["sum", "count"])
            means = (sums["sum"] + 10 * y.mean()) / (sums["count"] + 10)
            means = means[means.index.isin(order)]
            encoded = column.map(means).fillna(y.mean()).to_numpy(float)
            log_count = np.log(column.map(counts[order])).fillna(0).to_numpy(float)
            features[name + "~target"] = scaled(encoded, encoded, False)
            features[name + "~count"] = scaled(log_count, log_count, False)
    return features


def case(name, path, rows, target, task, numeric, strength, weight=None, example=False):
    folder = repository / "examples/credit" if example else pathlib.Path(sys.argv[1])
    frame = pd.read_csv(folder / path, nrows=rows)
    label = frame.pop(target)
    classes = sorted(label.unique()) if task != "regression" else []
    y = label.to_numpy(float) if task == "regression" else np.searchsorted(classes, label)
    w = np.ones(len(y)) if weight is None else frame[weight].to_numpy(float)
    w = w / w.mean()
    features = dense_view(frame, numeric if numeric else list(frame), np.asarray(y, float), task)
    x = np.column_stack(list(features.values()))
    if task == "regression":
        model = Ridge(alpha=strength, solver="cholesky").fit(x, y, w)
        coefficients, intercepts = model.coef_.reshape(1, -1), np.atleast_1d(model.intercept_)
        predictions = model.predict(x)
        loss = 0.5 * w @ (y - predictions) ** 2
        penalty = 0.5 * strength * (coefficients ** 2).sum()
    else:
        model = LogisticRegression(C=strength, solver="newton-cg", tol=1e-12, max_iter=10000)
        model.fit(x, y, w)
        coefficients, intercepts = model.coef_, model.intercept_
        margins = x @ coefficients.T + intercepts
        if task == "binary":
            predictions = special.expit(margins.ravel())
            loss = w @ np.logaddexp(0, np.where(y == 1, -1, 1) * margins.ravel())
        else:
            predictions = special.softmax(margins, axis=1)
            loss = w @ (special.logsumexp(margins, axis=1) - margins[np.arange(len(y)), y])
            intercepts = intercepts - intercepts.mean()
        penalty = 0.5 / strength * (coefficients ** 2).sum()
    return {"name": name, "table": path, "example": example, "rows": len(y), "target": target,
            "task": task, "numeric": list(numeric), "weight": weight, "strength": strength,
            "objective": float(loss + penalty), "scale": float(y.std()) if not classes else 1,
            "features": list(features), "intercepts": intercepts.tolist(),
            "coefficients": coefficients.tolist(),
            "predictions": np.ravel(predictions[::max(1, len(y) // 40)]).tolist()}


credit = ["duration", "credit_amount", "installment_commitment", "residence_since", "age",
          "existing_credits", "num_dependents"]
housing = ["longitude", "latitude", "housing_median_age", "total_rooms", "total_bedrooms",
           "population", "households", "median_income"]
cases = [
    case("credit", "train.csv", 800, "class", "binary", credit, 1.0, example=True),
    case("credit, a strong penalty and weights", "train.csv", 800, "class", "binary", credit,
         0.01, weight="installment_commitment", example=True),
    case("housing", "california_housing.csv.gz", 20640, "median_house_value", "regression",
         housing, 1.0),
    case("housing, a strong penalty and weights", "california_housing.csv.gz", 20640,
         "median_house_value", "regression", housing, 5000.0, weight="housing_median_age"),
    case("letters", "letter.csv.gz", 4000, "lettr", "multiclass", [], 1.0),
]
pathlib.Path(__file__).with_name("cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
