# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What a model file tells in words: standard errors of least squares, out-of-bag scores.
t=examples/credit/train.csv
quern fit $t --target credit_amount --learners linear --trials 1 --folds 2 --quiet -o ols.quern --report '' >/dev/null
quern inspect ols.quern | sed -n '/^coefficients/,$p'
quern fit $t --target class --learners random_forest --params random_forest.oob_score=true --trials 1 --folds 2 --quiet -o forest.quern --report '' >/dev/null
quern inspect forest.quern | sed -n '/^leaderboard/,/^$/p'
