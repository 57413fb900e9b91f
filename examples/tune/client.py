#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tunes a Python function through 'quern ask' and 'quern tell': client.py SPACE.yaml [STORE]"""
import json
import subprocess
import sys

space, store = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "sqlite:client.db"


def quern(*words):
    return subprocess.run(["quern", *words, "--store", store], check=True, capture_output=True, text=True).stdout


def loss(rate, depth, **others):
    return abs(rate - 0.1) + (depth - 6) ** 2 / 10


for _ in range(10):
    trial = json.loads(quern("ask", space))
    quern("tell", str(trial["trial"]), repr(loss(**trial["params"])))
print(quern("study", "best"), end="")
