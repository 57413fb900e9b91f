#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How often --stop-gain ends a study too early, and what it saves: studies of 200 trials, each once
with the rule and once without. The gain is a share of what lies between the median of random results
and the best there is; too early means that the rest of the 200 would have gained more.

usage: stop_rule.py BUILD [SEEDS]     (default 10)"""
import json
import statistics
import subprocess
import sys

SPREAD = {"branin": 20.4, "hartmann6": 2.9, "rosenbrock10": 494000, "ackley10": 20.8, "conditional": 2.03,
          "mixed10": 1.54}
N_TRIALS = 200


def study(build, sampler, function, seed, *stop):
    out = subprocess.run([f"{build}/bench/ask_tell", sampler, function, str(N_TRIALS), str(seed), "1", *stop],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def main():
    build, seeds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
    for sampler in ["gp", "tpe", "random"]:
        for function, spread in SPREAD.items():
            wholes = [study(build, sampler, function, seed) for seed in range(1, seeds + 1)]
            for share in [0.1, 0.01]:
                gain, stopped, early, trials = share * spread, 0, 0, []
                for seed, whole in enumerate(wholes, 1):
                    cut = study(build, sampler, function, seed, str(gain))
                    trials.append(cut["trials"])
                    stopped += cut["trials"] < N_TRIALS
                    early += cut["best"] - whole["best"] >= gain
                print(json.dumps({"sampler": sampler, "function": function, "share": share, "studies": seeds,
                                  "stopped": stopped, "too_early": early,
                                  "trials": statistics.median(trials)}), flush=True)


main()
