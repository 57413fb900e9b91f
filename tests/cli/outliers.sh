# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Rows unlike the others and what makes them so; the same for new rows and on any number of threads;
# and what is refused.
echo 'amount,hour,shop' >t.csv
for i in $(seq 1 120); do
    printf '%d,%d,%s\n' $((50 + i * 7 % 31)) $((8 + i * 11 % 10)) \
        "$([ $((i % 3)) = 0 ] && echo north || echo south)"
done >>t.csv
printf '999,3,south\n60,,east\n61,9,east\n' >>t.csv
try quern outliers t.csv --contamination 0.01 --top 2 -o scores.csv --model odd.quern
quern predict odd.quern t.csv | cmp - scores.csv && echo 'new rows as the old ones'
head -n 1 scores.csv
grep -n outlier scores.csv | cut -d, -f1
printf 'amount,hour,shop\n60,12,south\n5000,2,west\n' | quern predict odd.quern - | cut -d, -f1
printf 'amount,hour,shop\n5000,2,west\n' | quern predict odd.quern - --json | cut -d, -f1
quern outliers t.csv --threads 1 --json >one.json
quern outliers t.csv --contamination auto --threads 2 --json | cmp - one.json && echo same
quern outliers t.csv --seed 2 --json | cmp -s - one.json || echo 'another seed, other trees'
python3 -c 'import json
d = json.load(open("one.json"))
print(list(d), len(d["top"]), d["top"][0]["row"], d["threshold"])'
try quern outliers t.csv --contamination 0.6
try quern outliers t.csv --max-samples 1
try quern outliers t.csv --n-estimators -1
try quern outliers t.csv --drop d
printf 'a,b\n1,x\n' >one.csv
try quern outliers one.csv
printf 'a,b\n1,x\n2,y\n' >two.csv
try quern outliers two.csv --kind a=numeric
printf 'a,b\n7,\n7,\n7,\n' >same.csv
try quern outliers same.csv
try quern evaluate odd.quern t.csv
try quern explain odd.quern t.csv
try quern inspect odd.quern
quern fit examples/credit/train.csv --target class --trials 1 --learners constant --outliers drop=0.02 --report '' \
    -o m.quern 2>notes.txt >/dev/null
grep -c '^note: row .* is an outlier, score 0\.[0-9]*, set apart by .* = .* ([0-9]* %)' notes.txt
grep 'training rows are outliers' notes.txt | sed 's/0\.[0-9]*/S/'
quern inspect m.quern --json | python3 -c 'import json, sys
print(sum("outlier" in f["message"] for f in json.load(sys.stdin)["record"]["findings"]))'
try quern fit examples/credit/train.csv --outliers delete
