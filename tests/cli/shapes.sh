# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The terms of additive models: as a list, as a table of every cell and as JSON; and what is refused.
try quern fit examples/credit/train.csv --target class --trials 1 --learners ebm --folds 2 --quiet -o m.quern >fit.txt
grep -o '<h2>Shape functions</h2>' m.html
quern explain m.quern --shapes | sed -n '1,4s/[0-9.]*$//p'
try quern explain m.quern --shapes -o s.csv >list.txt
head -n 1 s.csv
python3 - <<'PY'
import csv, json, math, subprocess
rows = list(csv.DictReader(open("s.csv")))
terms = {r["term"] for r in rows}
print(len(terms) > 20, {r["class"] for r in rows})
for term in sorted(terms)[:3]:  # a term's shares add up to 1, and its scores average 0 in each model
    print(term, abs(sum(float(r["share"]) for r in rows if r["term"] == term) - 1) < 1e-9)
shapes = json.loads(subprocess.run(["quern", "explain", "m.quern", "--shapes", "--json"], capture_output=True).stdout)
print(shapes["candidate"], shapes["models"], len(shapes["terms"]) == len(terms))
PY
try quern explain m.quern --shapes examples/credit/holdout.csv
try quern explain m.quern
try quern explain m.quern examples/credit/holdout.csv -o p.csv
quern fit examples/credit/train.csv --target class --trials 1 --learners logistic --folds 2 --quiet -o l.quern >fit.txt
try quern explain l.quern --shapes
