#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rows a second of training a network of 3 x 256 on 64 numbers in batches of 512, by AdamW, on one
thread, against PyTorch: processor time, rounds interleaved, medians. One JSON line.
usage: mlp_speed.py CROSS_VALIDATE"""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import torch

ROWS, COLS, BATCH, EPOCHS, ROUNDS = 20000, 64, 512, 6, 5
FIXED = ("n_layers=3,hidden=256,dropout=0,batch_size=512,numeric_embedding=none,clip=0,"
         "patience=1000,schedule=constant,learning_rate=0.001,epochs=")


def write_table(path):
    x = torch.randn(ROWS, COLS)
    y = (x @ torch.randn(COLS) + torch.randn(ROWS) > 0).int()
    with open(path, "w") as file:
        file.write(",".join(f"x{j}" for j in range(COLS)) + ",y\n")
        for row, label in zip(x.tolist(), y.tolist()):
            file.write(",".join(f"{v:.5f}" for v in row) + f",{label}\n")


def fit_s(program, path, epochs):
    out = subprocess.run([program, path, "y", "5", "1", "mlp", FIXED + str(epochs)],
                         capture_output=True, text=True, check=True).stdout
    return json.loads(out)["folds"][0]["fit_s"]


def own(program, path):
    """Training rows are four fifths; what a fit takes beside its epochs is taken off."""
    return 0.8 * ROWS * EPOCHS / (fit_s(program, path, EPOCHS + 1) - fit_s(program, path, 1))


def peer():
    x, y = torch.randn(ROWS, COLS), (torch.randn(ROWS) > 0).float()
    layers = [torch.nn.Linear(COLS, 256), torch.nn.ReLU()]
    for _ in range(2):
        layers += [torch.nn.Linear(256, 256), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers, torch.nn.Linear(256, 1))
    step = torch.optim.AdamW(net.parameters(), lr=0.001)
    begun = time.process_time()
    for _ in range(EPOCHS):
        order = torch.randperm(ROWS)
        for first in range(0, ROWS, BATCH):
            rows = order[first:first + BATCH]
            step.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(net(x[rows]).ravel(),
                                                                 y[rows]).backward()
            step.step()
    return ROWS * EPOCHS / (time.process_time() - begun)


torch.manual_seed(1)
torch.set_num_threads(1)
with tempfile.TemporaryDirectory() as folder:
    table = str(pathlib.Path(folder) / "numbers.csv")
    write_table(table)
    pairs = [(own(sys.argv[1], table), peer()) for _ in range(ROUNDS)]
value, peer_value = (statistics.median(column) for column in zip(*pairs))
print(json.dumps({"figure": "mlp training, 3 x 256, batch 512", "value": round(value),
                  "unit": "rows/s", "peer": f"PyTorch {torch.__version__}, one thread",
                  "peer_value": round(peer_value), "ratio": round(value / peer_value, 2)}))
