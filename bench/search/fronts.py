#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hypervolume of NSGA-II and NSGA-III against Optuna's (pip install optuna), with the same population and number
of trials. One JSON line per figure, medians over seeds.

usage: fronts.py BUILD [--seeds N] [--trials N]"""
import argparse
import json
import math
import pathlib
import statistics
import subprocess
import warnings

import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore")


def zdt(shape):
    def values(x):
        g = 1 + sum(x[1:])
        return x[0], g * shape(x[0] / g, x[0])
    return values


def dtlz2(x):
    g = 1 + sum((v - 0.5) ** 2 for v in x[2:])
    a, b = x[0] * math.pi / 2, x[1] * math.pi / 2
    return g * math.cos(a) * math.cos(b), g * math.cos(a) * math.sin(b), g * math.sin(a)


PROBLEMS = {"zdt1": (10, zdt(lambda q, x: 1 - math.sqrt(q))), "zdt2": (10, zdt(lambda q, x: 1 - q * q)),
            "zdt3": (10, zdt(lambda q, x: 1 - math.sqrt(q) - q * math.sin(10 * math.pi * x))), "dtlz2": (12, dtlz2)}
# ours, problem, Optuna's samplers
CASES = [*((f"nsga2:population={n}", problem, {"NSGA-II": lambda seed, n=n: optuna.samplers.NSGAIISampler(
    population_size=n, seed=seed)}) for problem in PROBLEMS for n in (50,)),
    ("nsga3:population=91", "dtlz2", {
        "NSGA-III": lambda seed: optuna.samplers.NSGAIIISampler(population_size=91, seed=seed),
        "NSGA-III, 12 divisions": lambda seed: optuna.samplers.NSGAIIISampler(
            population_size=91, dividing_parameter=12, seed=seed)})]


def volume(build, *arguments, text=None):
    result = subprocess.run([build / "bench" / "fronts", *map(str, arguments)], input=text, check=True,
                            capture_output=True, text=True)
    return json.loads(result.stdout)["hypervolume"]


def theirs(build, problem, sampler, n_trials):
    n, function = PROBLEMS[problem]
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * (3 if problem == "dtlz2" else 2))
    lines = []
    for _ in range(n_trials):
        trial = study.ask()
        values = function([trial.suggest_float(f"x{d}", 0, 1) for d in range(n)])
        study.tell(trial, values)
        lines.append(" ".join(map(repr, values)))
    return volume(build, "-", problem, text="\n".join(lines))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=2000)
    options = parser.parse_args()
    build, seeds = options.build.resolve(), range(1, options.seeds + 1)
    for sampler, problem, peers in CASES:
        mine = statistics.median(volume(build, sampler, problem, options.trials, seed) for seed in seeds)
        for name, make in peers.items():
            other = statistics.median(theirs(build, problem, make(seed), options.trials) for seed in seeds)
            print(json.dumps({"figure": f"{sampler}, {problem}, hypervolume after {options.trials} trials",
                              "value": mine, "unit": "", "peer": f"Optuna {optuna.__version__} {name}",
                              "peer_value": other, "ratio": mine / other if other else None}), flush=True)


main()
