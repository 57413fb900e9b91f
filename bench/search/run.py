#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time of ask + tell and quality after 100 trials, against Optuna (pip install optuna cmaes). One JSON line
per figure.

usage: run.py BUILD [--seeds N] [--figures time|quality]"""
import argparse
import json
import math
import pathlib
import statistics
import subprocess
import time
import warnings

import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore")


def floats(trial, n, low, high):
    return [trial.suggest_float(f"x{i}", low, high) for i in range(n)]


def branin(trial):
    x = floats(trial, 2, 0, 15)
    a = x[0] - 5
    u = x[1] - 5.1 * a * a / (4 * math.pi ** 2) + 5 * a / math.pi - 6
    return u * u + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10


def hartmann6(trial):
    alpha = [1.0, 1.2, 3.0, 3.2]
    a = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    p = [[0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886], [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
         [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650], [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381]]
    x = floats(trial, 6, 0, 1)
    return -sum(alpha[i] * math.exp(-sum(a[i][j] * (x[j] - p[i][j]) ** 2 for j in range(6))) for i in range(4))


def rosenbrock10(trial):
    x = floats(trial, 10, -5, 10)
    return sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(9))


def ackley10(trial):
    x = floats(trial, 10, -20, 40)
    return (-20 * math.exp(-0.2 * math.sqrt(sum(v * v for v in x) / 10))
            - math.exp(sum(math.cos(2 * math.pi * v) for v in x) / 10) + 20 + math.e)


def conditional(trial):
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    if kind == "a":
        return 1 + trial.suggest_float("a_x", -5, 5) ** 2
    if kind == "b":
        n, x = trial.suggest_int("b_n", 1, 64, log=True), trial.suggest_float("b_x", 0, 1)
        return 0.6 + abs(math.log(n / 16)) + 4 * (x - 0.3) ** 2
    u = math.log10(trial.suggest_float("c_rate", 1e-5, 1, log=True)) + 2.5
    v, w = (trial.suggest_int("c_depth", 1, 12) - 7) / 4, trial.suggest_float("c_share", 0.1, 1) - 0.6
    return u * u + v * v + 3 * w * w + u * v


def mixed10(trial):
    total = sum((trial.suggest_float(f"f{i}", 0, 1) - 0.3) ** 2 for i in range(3))
    flag = trial.suggest_categorical("flag", [False, True])
    total += 0.1 * (math.log10(trial.suggest_float("rate", 1e-5, 1, log=True)) + 2) ** 2
    total += 0.1 * math.log2(trial.suggest_int("leaves", 2, 1024, log=True) / 64) ** 2
    total += 0.01 * (trial.suggest_int("depth", 1, 15) - 7) ** 2
    total += 1e-5 * (trial.suggest_int("batch", 16, 512, step=16) - 128) ** 2
    total += 0.2 * abs("abc".index(trial.suggest_categorical("three", list("abc"))) - 1)
    total += 0.1 * abs("abcde".index(trial.suggest_categorical("five", list("abcde"))) - 3)
    return total + 0.1 * flag


FUNCTIONS = [branin, hartmann6, rosenbrock10, ackley10, conditional, mixed10]


def ours(build, sampler, function, n_trials, seed, window=100):
    result = subprocess.run([build / "bench" / "ask_tell", sampler, function, str(n_trials), str(seed), str(window)],
                            check=True, capture_output=True, text=True)
    return json.loads(result.stdout)


def theirs(function, n_trials, seed, window=100, peer="tpe"):
    sampler = (optuna.samplers.CmaEsSampler(seed=seed) if peer == "cmaes"
               else optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True))
    study = optuna.create_study(sampler=sampler)
    spent = 0.0
    for i in range(n_trials):
        begun = time.process_time()
        trial = study.ask()
        study.tell(trial, function(trial))
        spent += time.process_time() - begun if i >= n_trials - window else 0
    return {"best": study.best_value, "ms_per_trial": 1e3 * spent / window}


def figure(name, value, unit, peer_value):
    print(json.dumps({"figure": name, "value": value, "unit": unit, "peer": f"Optuna {optuna.__version__}",
                      "peer_value": peer_value, "ratio": value / peer_value if peer_value else None}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--figures", default="time,quality")
    options = parser.parse_args()
    build = options.build.resolve()
    if "time" in options.figures:
        figure("TPE ask+tell, 10 mixed parameters, 1000 trials", ours(build, "tpe", "mixed10", 1000, 1)["ms_per_trial"],
               "ms CPU", theirs(mixed10, 1000, 1, 20)["ms_per_trial"])
        value = ours(build, "tpe", "mixed10", 10000, 1)["ms_per_trial"]
        print(json.dumps({"figure": "TPE ask+tell, 10 mixed parameters, 10000 trials", "value": value, "unit": "ms CPU"}))
        value = ours(build, "random", "mixed10", 1000, 1)["ms_per_trial"]
        print(json.dumps({"figure": "random ask+tell", "value": value, "unit": "ms CPU"}))
    if "quality" in options.figures:
        for function in FUNCTIONS:
            name = function.__name__
            seeds = range(1, options.seeds + 1)
            tpe = [theirs(function, 100, seed, peer="tpe")["best"] for seed in seeds]
            cmaes = [theirs(function, 100, seed, peer="cmaes")["best"] for seed in seeds]
            for sampler, peer in (("tpe", tpe), ("cmaes", cmaes), ("gp", tpe), ("gp", cmaes)):
                mine = [ours(build, sampler, name, 100, seed)["best"] for seed in seeds]
                figure(f"{sampler}, {name}, median best of 100 trials, against {'TPE' if peer is tpe else 'CMA-ES'}",
                       statistics.median(mine), "loss", statistics.median(peer))


main()
