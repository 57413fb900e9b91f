# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Requests that the table or the program cannot meet.
t=examples/credit/train.csv
try quern fit $t --target clas --quiet
try quern fit $t --target class --task regression --quiet
try quern fit $t --target class --metric rmse --quiet
try quern fit $t --target class --metric roc-auc --quiet
try quern fit $t --target class --positive fine --quiet
try quern fit $t --target class --learners gbtd --quiet
try quern fit $t --target class --learners ridge --quiet
try quern fit $t --target class --preset slow --quiet
try quern fit $t --target class --split sideways --quiet
try quern fit $t --target class --split group:jib --quiet
try quern fit $t --target class --kind agee=numeric --quiet
try quern fit $t --target class --kind age=number --quiet
try quern fit $t --target class --drop agee --quiet
try quern fit $t --target class --weight purpose --quiet
try quern fit $t --target class --task ranking --quiet
try quern fit $t --target class --folds 99 --quiet
try quern fit $t --target class --test-fraction 1 --quiet
try quern fit $t --target class --memory 10k --quiet
try quern fit $t --target class --split column:purpose --quiet
