# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Groups of rows: three heaps, each with a colour of its own, and rows far from them; the same for
# new rows; and what is refused.
colours=(red green blue)
echo 'id,size,weight,colour,note' >t.csv
for i in $(seq 1 90); do
    heap=$((i % 3))
    printf '%d,%d,%d,%s,%s\n' "$i" $((heap * 100 + i * 7 % 11)) $((500 - heap * heap * 90 + i * 5 % 13)) \
        "${colours[heap]}" \
        "$([ $((i % 10)) = 0 ] && echo odd)"
done >>t.csv
try quern cluster t.csv -o c.csv --model m.quern
head -n 4 c.csv
printf 'size,weight,colour,note\n205,145,blue,\n3,505,red,odd\n104,411,,\n' >new.csv
quern predict m.quern new.csv | cut -d, -f1
quern predict m.quern new.csv --json | python3 -c 'import json, sys
for line in sys.stdin:
    row = json.loads(line)
    print(row["prediction"], min(row, key=lambda k: 99 if k == "prediction" else row[k]))'
quern cluster t.csv --k 4 --mini-batch --threads 1 --json >one.json
quern cluster t.csv --k 4 --mini-batch --threads 3 --json | cmp - one.json && echo same
python3 -c 'import json
d = json.load(open("one.json"))
print(d["clusters"], d["chosen_by"], sum(s["rows"] for s in d["sizes"]))'
try quern cluster t.csv --k 3 --drop colour,note --weight size
quern cluster t.csv --k 3 --drop colour,note --kind id=numeric --json | python3 -c 'import json, sys
print([c["column"] for c in json.load(sys.stdin)["centres"]])'
try quern cluster t.csv -k 5..3
try quern cluster t.csv --k 91
try quern cluster t.csv --drop sizes
printf 'a\nthe first long text here\nanother one of words\na third that differs\n' >text.csv
try quern cluster text.csv --kind a=text -k 2
printf 'a,b\n1,2\n' >short.csv
try quern cluster short.csv
try quern evaluate m.quern t.csv
try quern explain m.quern t.csv
try quern inspect m.quern
