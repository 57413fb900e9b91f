# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Wrong words on the command line: one line that says which, and exit code 2.
quern >overview.txt 2>&1 || echo "exit $?" # its text is in help.stdout.exact
try quern fti
try quern help fti
try quern fit
try quern fit a.csv b.csv
try quern fit a.csv --targte y
try quern fit a.csv --target
try quern fit a.csv -x
try quern fit a.csv --budget soon
try quern fit a.csv --budget 0
try quern fit a.csv --trials -1
try quern fit a.csv --folds -3
try quern fit a.csv --threads many
try quern fit a.csv --memory 999999999999999T
try quern fit a.csv --test-fraction a-fifth
try quern fit a.csv --seed 1.5
try quern fit a.csv --json=maybe
try quern predict
try quern predict m.quern
try quern evaluate m.quern t.csv more
try quern explain m.quern
try quern inspect
try quern serve m.quern --unseen maybe
try quern learners gbtd
echo 'targte: class' >fit.yaml
try quern fit a.csv --config fit.yaml
try quern learners gbtd --json
