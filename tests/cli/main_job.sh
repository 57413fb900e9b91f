# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The form of what each step of the main job prints. Figures that a change of learners may move are
# left open.
try quern --version
try quern fit examples/credit/train.csv --target class --trials 2 --learners logistic,gbdt --folds 2 \
    --quiet -o m.quern
try quern predict m.quern examples/credit/holdout.csv --keep age,class -o p.csv
head -n 2 p.csv
try quern predict m.quern examples/credit/holdout.csv --interval 0.9
try quern predict m.quern examples/credit/holdout.csv --interval 0.7
try quern explain m.quern examples/credit/holdout.csv --row 1
try quern explain m.quern examples/credit/holdout.csv
try quern evaluate m.quern examples/credit/holdout.csv --slice housing
try quern inspect m.quern
