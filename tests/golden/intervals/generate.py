#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: the ends of prediction intervals by MAPIE (1.6 wrote the file here), split
conformal with residuals of either sign apart (AbsoluteConformityScore(sym=False)), around the
prediction 0. usage: generate.py"""
import json
import pathlib

import numpy as np
from mapie.conformity_scores import AbsoluteConformityScore
from mapie.regression import SplitConformalRegressor

LEVELS = [0.5, 0.8, 0.9, 0.95, 0.99]


class Given:
    """A model whose prediction is its one column."""
    fitted_ = True

    def fit(self, x, y):
        return self

    def predict(self, x):
        return np.asarray(x)[:, 0]

    def __sklearn_is_fitted__(self):
        return True


def case(n, rng):
    predicted = np.round(rng.normal(size=n) * 3, 4)
    target = np.round(predicted + rng.exponential(1.5, n) - 1, 4)
    # a level that asks for more rows than there are has infinite ends: not compared
    told = [level for level in LEVELS if n * (1 - level) / 2 > 1.0001]
    model = SplitConformalRegressor(Given(), confidence_level=told, prefit=True,
                                    conformity_score=AbsoluteConformityScore(sym=False))
    _, ends = model.conformalize(predicted[:, None], target).predict_interval(np.zeros((1, 1)))
    return {"predicted": predicted.tolist(), "target": target.tolist(), "levels": told,
            "ends": ends[0].T.tolist()}


rng = np.random.default_rng(7)
# (n + 1) (1 - level) / 2 is whole for none of these but at 0.5: there rounding would choose the row
cases = [case(n, rng) for n in (23, 41, 101, 210, 237, 480)]
path = pathlib.Path(__file__).with_name("cases.json")
path.write_text("[" + ",\n".join(json.dumps(c) for c in cases) + "]\n")
