#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job from the command line: fit, predict, evaluate, inspect, and what must hold of them.
# usage: main_job.sh QUERN SOURCE_FOLDER
# shellcheck disable=SC2317 # functions are called by name, as arguments of check
set -u
quern=$(realpath "$1")
data=$2/examples/credit
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

check() { # check NAME COMMAND…
    local name=$1
    shift
    if "$@" >"$work/out" 2>"$work/err"; then
        echo "[       OK ] $name"
    else
        echo "[  FAILED  ] $name"
        head -n 20 "$work/out" "$work/err"
        failed=1
    fi
}
exits() { # exits CODE COMMAND…
    local wanted=$1
    shift
    "$@"
    local code=$?
    [ "$code" = "$wanted" ] || { echo "exit $code, not $wanted"; return 1; }
}
says() { # says CODE TEXT COMMAND…: exit code, and one line on standard error with the text
    local wanted=$1 text=$2
    shift 2
    exits "$wanted" "$@" 2>"$work/said" || return 1
    grep -qF -- "$text" "$work/said" || { cat "$work/said"; return 1; }
    ! grep -qiE 'sanitizer|segmentation' "$work/said"
}
# Time on the processor, not on the clock: on one thread it cannot exceed the budget by more than
# the program overruns it, however busy the machine is.
spends() { # spends SECONDS COMMAND…: at most so many seconds of the processor
    python3 - "$@" <<'PYTHON'
import resource, subprocess, sys
code = subprocess.run(sys.argv[2:], timeout=120).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
spent = used.ru_utime + used.ru_stime
print(f"exit {code}, {spent:.2f} s of the processor")
sys.exit(code or spent > float(sys.argv[1]))
PYTHON
}
# Interrupts a search later and later until a model was ready: never when the best is not kept.
keeps_the_best() {
    local seconds code
    for seconds in 1 2 4 8 16 32; do
        timeout --preserve-status -s INT "$seconds" "$quern" fit "$data/train.csv" --target class \
            --budget 300s --preset best --quiet -o i.quern --report "" 2>interrupted
        code=$?
        cat interrupted
        if [ "$code" = 130 ] && [ -s i.quern ]; then
            grep -q 'the best so far was kept' interrupted && "$quern" inspect i.quern
            return
        fi
        grep -q 'interrupted before any model was ready' interrupted || return 1
    done
    return 1
}
# A parent may pass on what the terminal sent too.
two_signals_at_once() {
    python3 - "$quern" "$data/train.csv" <<'PYTHON'
import os, signal, subprocess, sys, time
command = [sys.argv[1], "fit", sys.argv[2], "--target", "class", "--budget", "300s", "--preset",
           "best", "-o", "j.quern", "--report", ""]
for turn in range(5):
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while "folds prepared" not in run.stderr.readline():
        pass
    time.sleep(0.3)
    run.send_signal(signal.SIGINT)
    time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    told = run.stderr.read()
    if run.wait() != 130 or "interrupted" not in told:
        sys.exit(f"turn {turn}: {run.returncode} {told}")
PYTHON
}
fit() {
    "$quern" fit "$data/train.csv" --target class --trials 3 --folds 3 --quiet "$@"
}
json() { # json FILE EXPRESSION over the parsed object d
    python3 -c "import json,sys; d=json.load(open('$1')); sys.exit(0 if ($2) else 1)"
}

cd "$work" || exit 1
check fit_writes_model_and_report fit -o a.quern --threads 1
check the_report_is_there test -s a.html
fit -o b.quern --threads 2 --report "" >/dev/null
fit -o c.quern --threads 3 --report "" >/dev/null
check one_and_two_threads_give_the_same_bytes cmp a.quern b.quern
check one_and_three_threads_give_the_same_bytes cmp a.quern c.quern
fit -o j.quern --json >fit.json
check json_has_the_promised_members json fit.json \
    "all(k in d for k in ('model','task','metric','cv','test','leaderboard','trials','seconds','seed','warnings')) and d['cv']['score']>0.7 and any(e['name']=='baseline' for e in d['leaderboard'])"
check json_tells_where_the_time_went json fit.json \
    "list(d['timing'])==['reading','understanding','folds','trials','ensemble','evaluation','importance','writing'] and all(v>=0 for v in d['timing'].values()) and 0.5*d['seconds']<=sum(d['timing'].values())<=d['seconds']"
check the_report_tells_where_the_time_went grep -q 'Where the time went.*understanding.*gbdt_1' j.html
check predict_writes_every_row "$quern" predict a.quern "$data/holdout.csv" -o p.csv
check predictions_have_a_header_and_all_rows test "$(wc -l <p.csv)" = "$(wc -l <"$data/holdout.csv")"
check predictions_name_the_classes grep -q '^prediction,p_bad,p_good$' p.csv
"$quern" predict a.quern - <"$data/holdout.csv" >p2.csv
check standard_input_predicts_the_same cmp p.csv p2.csv
gzip -k -c "$data/holdout.csv" >h.csv.gz
"$quern" predict a.quern h.csv.gz >p3.csv
check gzip_predicts_the_same cmp p.csv p3.csv
"$quern" evaluate a.quern "$data/holdout.csv" --json >e.json
check evaluate_gives_the_metrics json e.json "d['rows']==200 and 0.7<d['metrics']['roc_auc']<0.9"
"$quern" evaluate a.quern "$data/holdout.csv" --fairness housing --json >fair.json
check fairness_measures_each_group json fair.json \
    "[g['group'] for g in d['fairness']['groups']]==['for free','own','rent'] and sum(g['rows'] for g in d['fairness']['groups'])==200 and 0<d['fairness']['demographic_parity_ratio']<=1"
check fairness_is_printed sh -c "'$quern' evaluate a.quern '$data/holdout.csv' --fairness housing | grep -q equalized_odds_ratio"
check fairness_of_a_column_not_there_is_refused says 2 "no column 'sexe'" \
    "$quern" evaluate a.quern "$data/holdout.csv" --fairness sexe
check inspect_reads_the_model "$quern" inspect a.quern
check inspect_prints_json sh -c "'$quern' inspect a.quern --json | python3 -m json.tool"
check a_budget_is_kept spends 3.5 "$quern" fit "$data/train.csv" --target class --budget 3s --threads 1 --quiet -o t.quern
check a_wrong_column_suggests_the_right_one says 2 "did you mean 'class'" \
    "$quern" fit "$data/train.csv" --target clas --quiet -o x.quern
check a_wrong_option_suggests_the_right_one says 2 "did you mean --target" \
    "$quern" fit "$data/train.csv" --targer class
check a_long_name_for_an_option_of_one_letter_suggests_it says 2 "did you mean -o?" \
    "$quern" fit "$data/train.csv" --target class --out x.quern
check the_letter_is_suggested_for_its_word_too says 2 "did you mean -o?" \
    "$quern" predict a.quern "$data/holdout.csv" --output x.csv
cat >fit.yaml <<'YAML'
# the same as on the command line
target: class
trials: 3
folds: 3
drop: [purpose, "foreign_worker"]
kind:
  - age=numeric
YAML
"$quern" fit "$data/train.csv" --config fit.yaml --quiet -o y1.quern --report "" >/dev/null
fit -o y2.quern --report "" --drop purpose,foreign_worker --kind age=numeric >/dev/null
"$quern" inspect y1.quern --json | sed -n '/"predictor"/,/"record"/p' >y1.txt
"$quern" inspect y2.quern --json | sed -n '/"predictor"/,/"record"/p' >y2.txt
check a_config_file_says_what_options_say sh -c "test -s y1.txt && cmp y1.txt y2.txt"
printf 'target: class\ntarial: 3\n' >wrong.yaml
fit -o all.quern --report "" --test-fraction 0 --json >all.json
check a_test_fraction_of_nothing_keeps_no_test_rows json all.json "d['test'] is None and d['rows']['train']==800"
check a_wrong_name_in_it_is_told_with_its_place says 2 "wrong.yaml:2:1: there is no option 'tarial'; did you mean 'trials'?" \
    "$quern" fit "$data/train.csv" --config wrong.yaml
printf 'target: class\nbudget: soon\n' >wrong.yaml
check a_wrong_value_in_it_is_told_with_its_place says 2 "wrong.yaml:2:9: budget: expected a time" \
    "$quern" fit "$data/train.csv" --config wrong.yaml
printf 'target: class\nbudget:\n  time: 60s\n' >wrong.yaml
check nested_names_are_refused says 2 "wrong.yaml:3:3: expected a value" \
    "$quern" fit "$data/train.csv" --config wrong.yaml
check a_wrong_command_suggests_the_right_one says 2 "did you mean 'fit'" "$quern" fti
check a_missing_file_is_named says 1 "nowhere.csv" "$quern" fit nowhere.csv --target class
check a_folder_that_is_not_there_is_told_at_once says 1 "no/such" \
    "$quern" fit "$data/train.csv" --target class -o no/such/model.quern
check a_full_disk_is_told says 1 "/dev/full" "$quern" predict a.quern "$data/holdout.csv" -o /dev/full
check a_full_standard_output_is_told says 1 "standard output" \
    sh -c "'$quern' inspect a.quern >/dev/full"
cut -d, -f2- "$data/holdout.csv" >narrow.csv
check a_missing_column_is_named says 3 "checking_status" "$quern" predict a.quern narrow.csv
sed 's/,good$/,fine/' "$data/holdout.csv" >labels.csv
check an_unknown_label_is_named says 3 "'fine'" "$quern" evaluate a.quern labels.csv
check a_label_map_solves_it "$quern" evaluate a.quern labels.csv --label-map fine=good
head -c 20000 a.quern >short.quern
check a_cut_model_is_refused says 3 "cut off" "$quern" inspect short.quern
check an_interrupt_keeps_the_best_so_far keeps_the_best
check two_signals_at_once_are_one_interrupt two_signals_at_once
exit $failed
