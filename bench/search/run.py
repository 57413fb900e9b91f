#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time of ask + tell and quality after 100 trials, against the peers of peers.py. One JSON line per figure.

usage: run.py BUILD [--seeds N] [--figures check,time,quality] [--samplers …] [--peers tpe,cmaes,gp] [--tasks …]

Peers tpe, cmaes and gp are Optuna's samplers; gp and skopt need ten to a hundred seconds for 100 trials."""
import argparse
import json
import math
import pathlib
import statistics
import subprocess
import time
import warnings

import numpy as np
import optuna

from peers import PEERS

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


def table_task(path):
    """The setting of a table nearest to the trial's, as tabulated.c takes it."""
    with open(path) as file:
        space = json.loads(file.readline()[2:])["parameters"]
        numbers = np.loadtxt(file, delimiter=",", skiprows=1)
    units, losses = numbers[:, :len(space)], numbers[:, -1]

    def differences(parameter, value, units):
        if "choices" in parameter:
            n = len(parameter["choices"])
            return (np.minimum(units * n, n - 1).astype(int) != parameter["choices"].index(value)).astype(float)
        half = 0.5 if parameter["type"] == "int" else 0
        scale = math.log if parameter.get("log") else float
        low, high = scale(parameter["low"] - half), scale(parameter["high"] + half)
        return (scale(value) - low) / (high - low) - units

    def loss_of(values):
        distance = 0
        for at, (name, parameter) in enumerate(space.items()):
            distance += differences(parameter, values[name], units[:, at]) ** 2
        return losses[np.argmin(distance)]

    def suggest(trial, name, p):
        if "choices" in p:
            return trial.suggest_categorical(name, p["choices"])
        kind = trial.suggest_int if p["type"] == "int" else trial.suggest_float
        return kind(name, p["low"], p["high"], log=p.get("log", False))

    def task(trial):
        return loss_of({name: suggest(trial, name, p) for name, p in space.items()})

    task.__name__, task.path, task.loss_of = path.stem, path, loss_of
    return task


HERE = pathlib.Path(__file__).parent
FUNCTIONS = [branin, hartmann6, rosenbrock10, ackley10, conditional, mixed10]
TASKS = FUNCTIONS + [table_task(path) for path in sorted((HERE / "tables").glob("*.csv")) if path.stem != "adult_rows"]


def lines_of(command):
    result = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return [json.loads(line) for line in result.stdout.splitlines()]


def ours(build, sampler, task, n_trials, seed, window=100):
    if hasattr(task, "path"):
        return lines_of([build / "bench" / "tabulated", sampler, "none", task.path, n_trials, seed])[0]
    return lines_of([build / "bench" / "ask_tell", sampler, task.__name__, n_trials, seed, window])[0]


def theirs(task, n_trials, seed, window=100, peer="tpe"):
    losses, seconds = zip(*PEERS[peer](task, n_trials, seed))
    return {"best": min(losses), "ms_per_trial": 1e3 * sum(seconds[-window:]) / window}


def figure(name, value, unit, peer, peer_value):
    print(json.dumps({"figure": name, "value": value, "unit": unit, "peer": peer,
                      "peer_value": peer_value, "ratio": value / peer_value if peer_value else None}), flush=True)


def times(build):
    figure("TPE ask+tell, 10 mixed parameters, 1000 trials", ours(build, "tpe", mixed10, 1000, 1)["ms_per_trial"],
           "ms CPU", "tpe", theirs(mixed10, 1000, 1, 20)["ms_per_trial"])
    value = ours(build, "tpe", mixed10, 10000, 1)["ms_per_trial"]
    print(json.dumps({"figure": "TPE ask+tell, 10 mixed parameters, 10000 trials", "value": value, "unit": "ms CPU"}))
    value = ours(build, "random", mixed10, 1000, 1)["ms_per_trial"]
    print(json.dumps({"figure": "random ask+tell", "value": value, "unit": "ms CPU"}))


def quality(build, options):
    seeds = range(1, options.seeds + 1)
    for task in [task for task in TASKS if not options.tasks or task.__name__ in options.tasks.split(",")]:
        mine = {sampler: statistics.median(ours(build, sampler, task, 100, seed)["best"] for seed in seeds)
                for sampler in options.samplers.split(",")}
        for peer in filter(None, options.peers.split(",")):
            best = statistics.median(theirs(task, 100, seed, peer=peer)["best"] for seed in seeds)
            for sampler, value in mine.items():
                figure(f"{sampler}, {task.__name__}, median best of 100 trials", value, "loss", peer, best)


def check(build):
    """Both sides must give the same loss to the same parameters."""
    for task in TASKS[len(FUNCTIONS):]:
        *trials, _ = lines_of([build / "bench" / "tabulated", "random", "none", task.path, 200, 1, "trace"])
        for trial in trials:
            assert task.loss_of(trial["params"]) == trial["loss"], (task.__name__, trial)
        print(f"{task.__name__}: the same loss for {len(trials)} settings")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--figures", default="check,time,quality")
    parser.add_argument("--samplers", default="auto,gp,tpe,cmaes,cfo")
    parser.add_argument("--peers", default="tpe,cmaes")
    parser.add_argument("--tasks", default="")
    options = parser.parse_args()
    build = options.build.resolve()
    if "check" in options.figures:
        check(build)
    if "time" in options.figures:
        times(build)
    if "quality" in options.figures:
        quality(build, options)


if __name__ == "__main__":
    main()
