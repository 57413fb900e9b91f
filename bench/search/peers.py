# SPDX-License-Identifier: Apache-2.0
"""The peers of run.py, each a function (task, n_trials, seed) that yields after every trial its loss and the CPU
time of ask + tell. pip install optuna cmaes rustuna hyperopt scikit-optimize; gp needs PyTorch, too."""
import math
import time

import numpy as np


class Given:
    """Values that are there, behind the calls of an Optuna trial."""

    def __init__(self, values):
        self.values = values

    def suggest_float(self, name, low, high, **_):
        return min(max(self.values[name], low), high)

    def suggest_int(self, name, low, high, step=1, **_):
        return min(max(low + step * round((self.values[name] - low) / step), low), high)

    def suggest_categorical(self, name, _):
        return self.values[name]


class Recorder:
    """Finds a task's parameters: (kind, low, high, log, step) or ("choice", choices) by name."""

    def __init__(self, turn, found):
        self.turn, self.found = turn, found

    def suggest_float(self, name, low, high, log=False):
        self.found[name] = ("float", low, high, log, None)
        return low

    def suggest_int(self, name, low, high, log=False, step=1):
        self.found[name] = ("int", low, high, log, step)
        return low

    def suggest_categorical(self, name, choices):
        self.found[name] = ("choice", choices)
        return choices[self.turn % len(choices)]


def space_of(task):
    """All parameters at once: conditions are not told to peers that take none."""
    found = {}
    for turn in range(8):
        task(Recorder(turn, found))
    return found


def by_ask_and_tell(task, n_trials, ask, tell, given=lambda trial: trial):
    for _ in range(n_trials):
        begun = time.process_time()
        trial = ask()
        loss = task(given(trial))  # suggestions are part of the asking
        tell(trial, loss)
        yield loss, time.process_time() - begun


def optuna(make):
    def peer(task, n_trials, seed):
        import optuna
        study = optuna.create_study(sampler=make(optuna.samplers, seed))
        return by_ask_and_tell(task, n_trials, study.ask, study.tell)
    return peer


def rustuna(make):
    def peer(task, n_trials, seed):
        import rustuna
        study = rustuna.create_study(sampler=make(rustuna.samplers, seed))
        return by_ask_and_tell(task, n_trials, study.ask, lambda trial, loss: study.tell(trial.number, loss))
    return peer


def skopt(task, n_trials, seed):
    from skopt import Optimizer, space
    found = space_of(task)

    def dimension(kind, *rest):
        if kind == "choice":
            return space.Categorical(rest[0])
        low, high, log, _ = rest
        return (space.Real if kind == "float" else space.Integer)(low, high, "log-uniform" if log else "uniform")

    optimizer = Optimizer([dimension(*p) for p in found.values()], "GP", random_state=seed)
    return by_ask_and_tell(task, n_trials, optimizer.ask, lambda x, loss: optimizer.tell(x, float(loss)),
                           lambda x: Given(dict(zip(found, x))))


def hyperopt(task, n_trials, seed):
    """Its loop is its own: the time between two evaluations is its asking and telling."""
    from hyperopt import Trials, fmin, hp, tpe

    def parameter(name, kind, *rest):
        if kind == "choice":
            return hp.choice(name, rest[0])
        low, high, log, step = rest
        if kind == "float":
            return hp.loguniform(name, math.log(low), math.log(high)) if log else hp.uniform(name, low, high)
        if log:
            return hp.qloguniform(name, math.log(low - 0.5), math.log(high + 0.5), 1)
        return hp.quniform(name, low - step / 2, high + step / 2, step)

    steps, last = [], time.process_time()

    def objective(values):
        nonlocal last
        loss = task(Given(values))
        steps.append((loss, time.process_time() - last))
        last = time.process_time()
        return float(loss)

    fmin(objective, {name: parameter(name, *p) for name, p in space_of(task).items()}, tpe.suggest, n_trials,
         trials=Trials(), rstate=np.random.default_rng(seed), show_progressbar=False, verbose=False)
    return iter(steps)


PEERS = {
    "tpe": optuna(lambda samplers, seed: samplers.TPESampler(seed=seed, multivariate=True, group=True)),
    "cmaes": optuna(lambda samplers, seed: samplers.CmaEsSampler(seed=seed)),
    "gp": optuna(lambda samplers, seed: samplers.GPSampler(seed=seed)),
    "rustuna_tpe": rustuna(lambda samplers, seed: samplers.TPESampler(seed=seed)),
    "rustuna_cmaes": rustuna(lambda samplers, seed: samplers.CmaEsSampler(seed=seed)),
    "rustuna_random": rustuna(lambda samplers, seed: samplers.RandomSampler(seed=seed)),
    "hyperopt": hyperopt,
    "skopt": skopt,
}
