#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tunes a Python function over a pipe to 'quern ask --pipe': pipe.py SPACE.yaml [OPTIONS]"""
import json
import subprocess
import sys

quern = subprocess.Popen(["quern", "ask", sys.argv[1], "--pipe", *sys.argv[2:]], text=True, bufsize=1,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def request(op, **members):
    print(json.dumps({"op": op, **members}), file=quern.stdin)
    return json.loads(quern.stdout.readline())


for _ in range(100):
    trial = request("ask")
    x = trial["params"]
    request("tell", trial=trial["trial"], value=abs(x["rate"] - 0.1) + (x["depth"] - 6) ** 2 / 10)
print(json.dumps(request("best")["best"]))
