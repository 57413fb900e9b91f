#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: a small network of every kind of layer, trained for some full-batch steps by
PyTorch (1.13.1 wrote the file here) on rows of real tables: predictions before and after.
usage: generate.py DATA_FOLDER

    dense 12, layer norm, GELU (tanh), dense 12, SiLU, batch norm, + output of GELU, dense 12,
    SELU, dense 12, ReLU, dense outputs

Parameters begin at 0.4 sin(1 + 0.7 i) for the i-th of all, weights as n_in x width, row after row;
gains and running variances at 1. Batch norm does
not follow a bias, whose slope would be rounding alone and AdamW's step of it a coin toss. Columns and numbers to predict have mean 0 and variance 1."""
import csv
import gzip
import itertools
import json
import math
import pathlib
import sys

import numpy as np
import torch
from torch.nn import functional

WIDTH, ROWS = 12, 400


def read(name, target, columns):
    with gzip.open(pathlib.Path(sys.argv[1]) / name, "rt", newline="") as file:
        rows = list(itertools.islice(csv.DictReader(file), ROWS))
    x = np.array([[float(r[c]) for c in columns] for r in rows])
    return (x - x.mean(0)) / x.std(0), [r[target] for r in rows]


class Network(torch.nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        sizes = [n_in, WIDTH, WIDTH, WIDTH, WIDTH, n_out]
        self.dense = torch.nn.ModuleList(
            torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.layer_norm, self.batch_norm = torch.nn.LayerNorm(WIDTH), torch.nn.BatchNorm1d(WIDTH)
        at = 0
        for dense, norm in zip(self.dense, [self.layer_norm, self.batch_norm, None, None, None]):
            n_weights = dense.in_features * dense.out_features
            values = 0.4 * np.sin(1 + 0.7 * (at + np.arange(n_weights + dense.out_features)))
            weights = values[:n_weights].reshape(dense.in_features, dense.out_features)
            dense.weight.data = torch.tensor(weights.T.copy(), dtype=torch.float32)
            dense.bias.data = torch.tensor(values[n_weights:], dtype=torch.float32)
            at += len(values) + (0 if norm is None else WIDTH * (4 if norm is self.batch_norm else 2))

    def forward(self, x):
        h = functional.gelu(self.layer_norm(self.dense[0](x)), approximate="tanh")
        h = self.batch_norm(functional.silu(self.dense[1](h))) + h
        h = functional.selu(self.dense[2](h))
        return self.dense[4](functional.relu(self.dense[3](h)))


def case(name, table, target, columns, task, optimizer, steps, rate, decay, clip, smoothing):
    x, labels = read(table, target, columns)
    classes = sorted(set(labels)) if task != "regression" else []
    n_out = len(classes) if task == "multiclass" else 1
    x = torch.tensor(x, dtype=torch.float32)
    raw = [float(v) if task == "regression" else classes.index(v) for v in labels]
    y = torch.tensor(raw, dtype=torch.float64)
    mean, sd = (y.mean(), y.std(unbiased=False)) if task == "regression" else (0, 1)
    network = Network(len(columns), n_out)

    def predict():
        network.eval()
        with torch.no_grad():
            out = network(x).double()
        network.train()
        if task == "regression":
            return out * sd + mean
        return torch.sigmoid(out) if task == "binary" else torch.softmax(out, 1)

    weights = [d.weight for d in network.dense]
    others = [p for p in network.parameters() if not any(p is w for w in weights)]
    groups = [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0}]
    step = torch.optim.AdamW(groups, lr=rate) if optimizer == "adamw" else \
        torch.optim.SGD([{**g, "weight_decay": 0} for g in groups], lr=rate, momentum=0.9,
                        nesterov=True)
    before = predict()
    for _ in range(steps):
        step.zero_grad()
        out = network(x)
        if task == "regression":
            loss = 0.5 * ((out.ravel() - ((y - mean) / sd).float()) ** 2).mean()
        elif task == "binary":
            wanted = y.float() * (1 - smoothing) + smoothing / 2
            loss = functional.binary_cross_entropy_with_logits(out.ravel(), wanted)
        else:
            loss = functional.cross_entropy(out, y.long(), label_smoothing=smoothing)
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
        step.step()
    return {"name": name, "table": table, "columns": columns, "target": target, "task": task,
            "train": len(raw), "test": 0, "classes": classes, "n_outputs": n_out,
            "params": f"epochs={steps},batch_size={ROWS},optimizer={optimizer},schedule=constant,"
                      f"learning_rate={rate},weight_decay={decay},clip={clip},averaging=0,"
                      f"label_smoothing={smoothing}",
            "before": before[::20].ravel().tolist(), "after": predict()[::20].ravel().tolist()}


torch.manual_seed(1)
torch.use_deterministic_algorithms(True)
housing = ["longitude", "latitude", "housing_median_age", "total_rooms", "population",
           "households", "median_income"]
with gzip.open(pathlib.Path(sys.argv[1]) / "letter.csv.gz", "rt") as letter_file:
    letters = next(csv.reader(letter_file))[1:11]
cases = [
    case("housing", "california_housing.csv.gz", "median_house_value", housing, "regression",
         "adamw", 40, 0.01, 0.1, 1, 0),
    case("housing, sgd", "california_housing.csv.gz", "median_house_value", housing, "regression",
         "sgd", 40, 0.02, 0, 0, 0),
    case("churn", "telco_churn.csv.gz", "Churn", ["SeniorCitizen", "tenure", "MonthlyCharges"],
         "binary", "adamw", 40, 0.01, 0.1, 0.5, 0.1),
    case("letters", "letter.csv.gz", "lettr", letters, "multiclass", "adamw", 12, 0.01, 0.01, 1,
         0.05),
]
pathlib.Path(__file__).with_name("cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
assert not any(math.isnan(v) for c in cases for v in c["after"])
