# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Models that are not there, damaged, or given a table that does not fit.
t=examples/credit/holdout.csv
quern fit examples/credit/train.csv --target class --trials 1 --learners logistic --folds 2 --quiet \
    -o m.quern --report '' >fit.txt || exit 1
try quern predict nowhere.quern $t
try quern predict $t $t
head -c 5000 m.quern >cut.quern
try quern inspect cut.quern
: >empty.quern
try quern inspect empty.quern
{ head -c 3000 m.quern; printf 'X'; tail -c +3002 m.quern; } >flipped.quern
try quern inspect flipped.quern
cut -d, -f 2- $t >narrow.csv
try quern predict m.quern narrow.csv
sed '3s/^[^,]*,[0-9]*,/<0,long,/' $t >words.csv
try quern predict m.quern words.csv
try quern predict m.quern $t -o predictions.parquet
try quern predict m.quern $t -o no/such/folder.csv
try quern predict m.quern $t --keep agee
try quern explain m.quern $t --row 100000
try quern explain m.quern $t --tree 1
try quern explain m.quern $t --row 1 --tree 100000
sed 's/,good$/,fine/' $t >labels.csv
try quern evaluate m.quern labels.csv
try quern evaluate m.quern narrow.csv
try quern evaluate m.quern $t --slice agee
