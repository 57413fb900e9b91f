#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json with Optuna (5.0.0 wrote the one here): trials and the importances of their
parameters. PED-ANOVA's are exact; of fANOVA's, whose forest is another one, the mean over seeds.

Parameters of fANOVA's cases lie on the unit interval, since Optuna takes the variance on the linear
scale, Quern on the scale that is searched."""
import json
import math
import pathlib
import warnings

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore")
N_SEEDS = 8


def unit(n):
    return {f"x{i}": FloatDistribution(0, 1) for i in range(n)}


def branin(p):
    a, b = 15 * p["x0"] - 5, 15 * p["x1"]
    u = b - 5.1 * a * a / (4 * math.pi ** 2) + 5 * a / math.pi - 6
    return u * u + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10


def hartmann6(p):
    alpha = [1.0, 1.2, 3.0, 3.2]
    a = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    q = [[0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886], [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
         [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650], [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381]]
    return -sum(alpha[i] * math.exp(-sum(a[i][j] * (p[f"x{j}"] - q[i][j]) ** 2 for j in range(6))) for i in range(4))


def weighted(p):
    return sum(2 ** -i * (p[f"x{i}"] - 0.3) ** 2 for i in range(5))


def categories(p):
    return 2 * "abcd".index(p["c"]) * (p["c"] != "d") + 3 * p["x0"] + math.sin(6 * p["x1"]) + 0.5 * p["flag"]


def mixed(p):
    return ((math.log10(p["rate"]) + 2) ** 2 + 0.3 * (p["depth"] - 7) ** 2 / 4 + abs(p["step"] - 0.5)
            + 0.4 * math.log2(p["leaves"] / 64) ** 2 + "abc".index(p["c"]) + 0.3 * p["flag"])


def conditional(p):
    if p["kind"] == "a":
        return 1 + p["a_x"] ** 2
    return 0.6 + (math.log10(p["b_rate"]) + 2) ** 2


SPACES = {
    "branin": (branin, unit(2), ("fanova", "ped_anova")),
    "hartmann6": (hartmann6, unit(6), ("fanova", "ped_anova")),
    "weighted": (weighted, unit(5), ("fanova", "ped_anova")),
    "categories": (categories, {**unit(2), "c": CategoricalDistribution(list("abcd")),
                                "flag": CategoricalDistribution([False, True])}, ("fanova", "ped_anova")),
    "mixed": (mixed, {"rate": FloatDistribution(1e-5, 1, log=True), "depth": IntDistribution(1, 12),
                      "step": FloatDistribution(0, 1, step=0.125), "leaves": IntDistribution(2, 1024, log=True),
                      "c": CategoricalDistribution(list("abc")), "flag": CategoricalDistribution([False, True])},
              ("ped_anova",)),
    "conditional": (conditional, {"kind": CategoricalDistribution(["a", "b"]), "a_x": FloatDistribution(-5, 5),
                                  "b_rate": FloatDistribution(1e-4, 1, log=True)}, ("ped_anova",)),
}


def draw(rng, d):
    if isinstance(d, CategoricalDistribution):
        return d.choices[rng.integers(len(d.choices))]
    if isinstance(d, IntDistribution):
        if d.log:
            return int(np.clip(round(math.exp(rng.uniform(math.log(d.low - 0.5), math.log(d.high + 0.5)))), d.low, d.high))
        return int(rng.integers(d.low, d.high + 1))
    if d.step:
        return float(d.low + d.step * rng.integers(round((d.high - d.low) / d.step) + 1))
    if d.log:
        return float(f"{math.exp(rng.uniform(math.log(d.low), math.log(d.high))):.4g}")
    return round(rng.uniform(d.low, d.high), 4)


def space_text(name, d):
    when = {"a_x": {"kind": "a"}, "b_rate": {"kind": "b"}}.get(name)
    item = {"type": "bool"} if isinstance(d, CategoricalDistribution) and d.choices == (False, True) else \
        {"type": "categorical", "choices": list(d.choices)} if isinstance(d, CategoricalDistribution) else \
        {"type": "int" if isinstance(d, IntDistribution) else "float", "low": d.low, "high": d.high,
         **({"log": True} if d.log else {}), **({"step": d.step} if d.step and not d.log and d.step != 1 else {})}
    return {**item, **({"when": when} if when else {})}


cases = []
for name, (function, space, methods) in SPACES.items():
    rng = np.random.default_rng(7)
    study = optuna.create_study()
    trials = []
    for _ in range(200):
        params = {k: draw(rng, d) for k, d in space.items()}
        if name == "conditional":
            del params["b_rate" if params["kind"] == "a" else "a_x"]
        value = round(function(params), 6)
        trials.append({"params": params, "value": value})
        study.add_trial(optuna.trial.create_trial(params=params, distributions={k: space[k] for k in params}, value=value))
    case = {"name": name, "space": {"parameters": {k: space_text(k, d) for k, d in space.items()}}, "trials": trials}
    if "ped_anova" in methods:
        case["ped_anova"] = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    if "fanova" in methods:
        seeds = [get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=s)) for s in range(N_SEEDS)]
        case["fanova"] = {k: float(np.mean([s[k] for s in seeds])) for k in space}
        case["fanova_deviation"] = max(float(np.std([s[k] for s in seeds])) for k in space)
    cases.append(case)
    print(name, {k: {n: round(v, 3) for n, v in case[k].items()} for k in methods}, case.get("fanova_deviation"))
pathlib.Path(__file__).with_name("cases.json").write_text(json.dumps(cases) + "\n")
