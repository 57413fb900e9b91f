# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Features made of many columns: a model with each kind, what is shown of them, the same prediction
# for a row alone and in its table, and what is refused.
try quern fit examples/credit/train.csv --target class --trials 3 --learners gbdt,knn,logistic --folds 2 \
    --steps pca=0.9,kmeans=4 --report '' --quiet --json -o m.quern >fit.json
quern inspect m.quern | grep -A 1 '^steps'
quern inspect m.quern --json | python3 -c 'import json, sys
steps = json.load(sys.stdin)["predictor"]["recipes"][0][-2:]
print([s["transform"] for s in steps], steps[1]["made_of"][3]["feature"], len(steps[1]["made_of"][3]["columns"]))'
head -n 6 examples/credit/holdout.csv >five.csv
(head -n 1 five.csv && tail -n 1 five.csv) >one.csv
quern predict m.quern five.csv | tail -n 1 >last_of_five.txt
quern predict m.quern one.csv | tail -n 1 | cmp - last_of_five.txt && echo same
quern predict m.quern five.csv --explain --json | python3 -c 'import json, math, sys
for line in sys.stdin:
    row = json.loads(line)
    of_class_1 = math.log(row["p_good"] / row["p_bad"])
    print(abs(sum(row["explain"].values()) + row["explain_expected"] - of_class_1) < 1e-6)' | sort | uniq -c
try quern fit examples/credit/train.csv --steps pca,wavelet
try quern fit examples/credit/train.csv --steps kmeans=0.5
try quern fit examples/credit/train.csv --steps pca --monotone age=increasing
try quern fit examples/credit/train.csv --target class --steps svd --trials 1 --quiet
