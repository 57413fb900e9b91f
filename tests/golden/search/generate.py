#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json with SciPy (1.17.1 wrote the one here): Sobol and Halton points, signed-rank
probabilities, and Parzen densities computed directly from their formulas."""
import json
import pathlib

import numpy as np
from scipy import stats
from scipy.stats import qmc

rng = np.random.default_rng(5)
dimensions = [0, 1, 2, 7, 30, 100, 255]
sobol = qmc.Sobol(256, scramble=False).random(130)
halton = qmc.Halton(256, scramble=False).random(40)
cases = {
    "dimensions": dimensions,
    "sobol": [[row[d] for d in dimensions] for row in sobol.tolist()],
    "halton": [[row[d] for d in dimensions] for row in halton.tolist()],
    "wilcoxon": [],
    "parzen": [],
}
for n, kind in [(1, "plain"), (5, "plain"), (12, "plain"), (30, "plain"), (45, "plain"), (12, "ties"),
                (30, "ties"), (9, "zeros")]:
    x = rng.normal(0.3, 1, n)
    if kind != "plain":
        x = np.round(x, 0 if kind == "zeros" else 1)
    if kind == "ties":
        x[x == 0] = 0.1
    exact = n <= 40 and kind == "plain"
    p = stats.wilcoxon(x, alternative="greater", zero_method="zsplit", correction=False,
                       method="exact" if exact else "approx").pvalue
    cases["wilcoxon"].append({"differences": x.tolist(), "p": float(p)})


def log_normal_mass(mean, sigma, low, high, a, b):
    """log of the share of a normal cut at low … high that lies in a … b."""
    cdf = lambda t: stats.norm.cdf((t - mean) / sigma)
    return np.log((cdf(b) - cdf(a)) / (cdf(high) - cdf(low)))


# Three parameters: float 0 … 10; int 1 … 5; one of four choices. Kernels: (x, k, c).
for n in (1, 3, 20):
    x, k, c = rng.uniform(0, 10, n), rng.integers(1, 6, n), rng.integers(0, 4, n)
    w = rng.uniform(0.2, 1, n)
    rounded = 1.05 ** np.floor(np.log(n) / np.log(1.05))
    share = 0.15 * rounded ** (-1 / 7)
    narrowest = 1 / min(100, 2 + int(rounded))
    sx = 10 * min(max(share, narrowest), 1)
    sk = 5 * min(max(share, narrowest, 0.5 / 5), 1)
    points = []
    for px, pk, pc in ((0.5, 1, 0), (5.0, 3, 1), (9.9, 5, 3)):
        weights = np.append(w, 1.0) / (w.sum() + 1)
        terms = []
        for i in range(n):
            t = stats.truncnorm.logpdf(px, (0 - x[i]) / sx, (10 - x[i]) / sx, x[i], sx)
            t += log_normal_mass(k[i], sk, 0.5, 5.5, pk - 0.5, pk + 0.5)
            t += np.log(((c[i] == pc) + 1 / (n + 1)) / (1 + 4 / (n + 1)))
            terms.append(t)
        t = stats.truncnorm.logpdf(px, -0.5, 0.5, 5, 10)
        t += log_normal_mass(3, 5, 0.5, 5.5, pk - 0.5, pk + 0.5) + np.log(0.25)
        terms.append(t)
        density = np.log(np.sum(weights * np.exp(np.array(terms))))
        points.append({"point": [px, pk - 1, pc], "log_density": float(density)})
    cases["parzen"].append({"x": x.tolist(), "k": (k - 1).tolist(), "c": c.tolist(), "weights": w.tolist(),
                            "points": points})
pathlib.Path(__file__).with_name("cases.json").write_text(json.dumps(cases) + "\n", encoding="utf-8")
