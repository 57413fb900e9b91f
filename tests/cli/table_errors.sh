# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Tables that cannot be used: file, row and column are named.
try quern fit nowhere.csv --target y --quiet
mkdir folder
try quern fit folder --target y --quiet
: >empty.csv
try quern fit empty.csv --target y --quiet
echo 'a,y' >header.csv
try quern fit header.csv --target y --quiet
printf 'a,y\n1,0\n2\n3,1\n' >short.csv
try quern fit short.csv --target y --quiet
printf 'a,y\n1,0\n2,"1\n' >open.csv
try quern fit open.csv --target y --quiet
printf 'a,y\n1,5\n2,5\n3,5\n' >same.csv
try quern fit same.csv --target y --quiet
{ echo a,y; for i in $(seq 40); do echo "$i,$((i % 2))"; done; echo 41,; } >missing.csv
try quern fit missing.csv --target y --quiet
printf '{"a": 1}\n{"a": }\n' >broken.jsonl
try quern fit broken.jsonl --target y --quiet
gzip -c examples/credit/train.csv | head -c 3000 >cut.csv.gz
try quern fit cut.csv.gz --target class --quiet
