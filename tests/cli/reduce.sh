# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Few columns of many: two that say one thing, one of its own; the same for new rows; texts; and what
# is refused. Signs are fixed, and last digits left to the tests of numbers.
echo 'a,b,c,kind' >t.csv
for i in $(seq 1 60); do
    printf '%d,%d.5,%d,%s\n' $((i * 7 % 31)) $((i * 7 % 31 * 2 + i % 2)) $((i * 11 % 17)) \
        "$([ $((i % 3)) = 0 ] && echo x || echo y)"
done >>t.csv
try quern reduce t.csv --components 2 -o few.csv --model few.quern
quern predict few.quern t.csv | cmp - few.csv && echo 'new rows as the old ones'
head -n 1 few.csv
quern reduce t.csv --components 0.6 --json | python3 -c 'import json, sys
d = json.load(sys.stdin)
print(d["method"], len(d["components"]), 0.6 <= d["explained"] <= 1)'
quern reduce t.csv --method svd --components 1 --threads 1 --json >one.json
quern reduce t.csv --method svd --components 1 --threads 2 --json | cmp - one.json && echo same
quern predict few.quern t.csv --json | head -n 1 | python3 -c 'import json, sys
print(list(json.load(sys.stdin)))'
printf 'label,text\n' >text.csv
for i in $(seq 1 80); do
    printf '%d,"%s number %d of many %s"\n' "$i" "$([ $((i % 2)) = 0 ] && echo 'cats and dogs' || echo 'stocks and bonds')" \
        "$i" "$([ $((i % 5)) = 0 ] && echo 'today it rains')"
done >>text.csv
quern reduce text.csv --kind text=text --components 3 --json | python3 -c 'import json, sys
d = json.load(sys.stdin)
print(d["method"], len(d["components"]), d["features"] > 100)'
try quern reduce t.csv --components 0
try quern reduce t.csv --components 1001
try quern reduce t.csv --method tsne
try quern reduce t.csv --drop d
try quern evaluate few.quern t.csv
try quern inspect few.quern
