# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A table in numbers, alone and with a target.
printf 'id,size,colour,copy,y\n' >t.csv
for i in $(seq 1 60); do
    printf '%d,%d,%s,%d,%s\n' "$i" $((i * 7 % 13)) "$([ $((i % 4)) = 0 ] && echo blue)" $((i * 7 % 13)) \
        "$([ $((i % 3)) = 0 ] && echo yes || echo no)"
done >>t.csv
try quern profile t.csv
try quern profile t.csv --target y
quern profile t.csv --target y --kind size=categorical --json | python3 -c 'import json, sys
d = json.load(sys.stdin)
print(d["table"], d["profile"]["rows"], d["kinds"], [f["kind"] for f in d["findings"]])'
try quern profile t.csv --target z
try quern profile t.csv --kind size=categorical
try quern profile no_such.csv
