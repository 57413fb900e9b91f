# shellcheck shell=bash disable=SC2016,SC1083
# SPDX-License-Identifier: Apache-2.0
# quern tune, ask, tell, study: what is printed, and the exit codes.
cat >s.yaml <<'END'
parameters:
  k: {type: int, low: 1, high: 4}
  c: {type: categorical, choices: [a, b]}
END
try quern tune s.yaml --sampler grid -- echo {k}
try quern tune s.yaml --sampler grid --quiet --json --objectives maximize -- sh -c 'echo $QUERN_TRIAL'
try quern tune s.yaml --trials 3 --enqueue '{"k": 3, "c": "b"}' --sampler random -- sh -c 'test {c} = b && echo {k}'
try quern tune s.yaml --trials 3 -- echo none
try quern tune s.yaml --trials 20 --sampler random -- false
try quern tune s.yaml --trials 2 --quiet -- nosuch {k}
try quern tune s.yaml --trials 2 --quiet -- echo {kk}
try quern tune s.yaml
try quern tune s.yaml --sampler tpr -- echo 1
try quern tune s.yaml --pruner medain -- echo 1
try quern tune s.yaml --stop-gain -1 -- echo 1
try quern tune s.yaml --stop-gain 1 --objectives minimize,maximize -- echo 1
try quern tune none.yaml -- echo 1
try quern tune s.yaml --enqueue '{"k": 9}' -- echo 1
printf 'parameters:\n  k: {type: int, low: 4, high: 1}\n' >bad.yaml
try quern tune bad.yaml -- echo {k}
try quern tune s.yaml --quiet --trials 1 --trial-timeout 1s -- sleep 60
# Checkpoints: the second try goes on from the first, and nothing is left.
try quern tune s.yaml --sampler grid --trials 2 --retries 1 --checkpoints c --quiet -- \
    sh -c 'test -e {checkpoint}/half && echo {k} && exit; test "$QUERN_CHECKPOINT" = {checkpoint} && >{checkpoint}/half; exit 1'
ls c
try quern tune s.yaml --trials 2 -- echo {checkpoint}
try quern tune s.yaml --trials 2 --checkpoints none/c -- echo {k}
# A pruner stops what goes on too badly.
try quern tune s.yaml --sampler grid --trials 8 --pruner asha:factor=2 -- \
    sh -c 'echo "{\"step\": 1, \"value\": {k}}"; test {k} -gt 1 && sleep 60; echo "{\"step\": 2, \"value\": {k}}"'
# What cannot go on from a short run goes straight to the first look.
try quern tune s.yaml --sampler grid --trials 2 --pruner asha:min_step=4 --quiet -- \
    sh -c 'echo "{\"step\": $QUERN_FIRST_LOOK, \"value\": {k}}"; echo "$QUERN_FIRST_LOOK"'
# Also by its very last line.
try quern tune s.yaml --sampler grid --trials 3 --pruner asha:factor=2 -- \
    sh -c 'test {k} -gt 1 || echo {k}; printf "{\"step\": 1, \"value\": {k}}"'
# A store: the same command goes on.
try quern tune s.yaml --store sqlite:s.db --sampler grid --trials 2 --quiet -- echo {k}
try quern tune s.yaml --store sqlite:s.db --trials 3 -- echo {k}
try quern study list --store sqlite:s.db
try quern study best --store sqlite:s.db
try quern study export --store sqlite:s.db
try quern study show --store sqlite:s.db
try quern study importance --store sqlite:s.db --method ped_anova
try quern study importance --store sqlite:s.db --objective value --json
try quern study importance --store sqlite:s.db --method anova
try quern study report --store sqlite:s.db
grep -o '<svg' study.html | wc -l
try quern study report --store sqlite:s.db -o none/study.html
try quern study show --store sqlite:s.db --study other
try quern study look --store sqlite:s.db
try quern study show
try quern tune bad.yaml --store sqlite:s.db -- echo 1
# What another study has found is known before the first trial.
printf 'parameters:\n  k: {type: int, low: 2, high: 9}\n' >wide.yaml
try quern tune wide.yaml --store sqlite:w.db --from sqlite:s.db --sampler tpe:startup=1 --trials 2 -- echo 5
try quern tune wide.yaml --store sqlite:w.db --from sqlite:s.db --trials 3 -- echo 5
try quern study export --store sqlite:w.db
try quern tune wide.yaml --from sqlite:w.db#other -- echo 5
printf 'parameters:\n  z: {type: bool}\n' >other.yaml
try quern tune other.yaml --from sqlite:s.db -- echo 5
try quern ask s.yaml --store sqlite:a.db --sampler grid
try quern tell 0 0.5 --store sqlite:a.db
try quern tell 0 0.5 --store sqlite:a.db
try quern tell 1 0.5 --store sqlite:a.db
try quern ask s.yaml --store sqlite:a.db
try quern tell 1 --fail --store sqlite:a.db
try quern tell 1 half --store sqlite:a.db
try quern study export --store sqlite:a.db
