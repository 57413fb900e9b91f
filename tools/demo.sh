#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job on a real table that ships with the repository: fit, predict, evaluate.
# usage: tools/demo.sh QUERN [BUDGET]
set -eu
cd "$(dirname "$0")/.."
quern=$1
budget=${2:-20s}
out=out/credit
mkdir -p "$out"
echo "== quern fit examples/credit/train.csv --target class --budget $budget"
"$quern" fit examples/credit/train.csv --target class --budget "$budget" \
    -o "$out/credit.quern" --report "$out/credit.html"
echo
echo "== quern predict: the held-out part"
"$quern" predict "$out/credit.quern" examples/credit/holdout.csv -o "$out/predictions.csv"
head -n 4 "$out/predictions.csv"
echo
echo "== quern evaluate: the held-out part"
"$quern" evaluate "$out/credit.quern" examples/credit/holdout.csv
echo
echo "model        $out/credit.quern"
echo "report       $out/credit.html"
echo "predictions  $out/predictions.csv"
