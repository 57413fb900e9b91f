#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the tests of a build folder and closes with a line that counts them:
#     N passed, N failed, N skipped
# usage: tools/run_tests.sh BUILD [SUITE]
set -u
build=$1
suite=${2:-}
log=$build/meson-logs/testlog.json
rm -f "$log"
meson test -C "$build" --no-rebuild --print-errorlogs --num-processes 2 ${suite:+--suite "$suite"}
python3 - "$log" <<'PYTHON'
import json
import re
import sys

passed = failed = skipped = 0
try:
    lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
except OSError:
    lines = []
for line in lines:
    test = json.loads(line)
    text = test.get("stdout", "") + test.get("stderr", "")
    ok = len(re.findall(r"^\[ +OK +\]", text, re.M))
    bad = len(set(re.findall(r"^\[ +(?:FAILED|ERROR) +\] (\w+)", text, re.M)))
    skip = len(set(re.findall(r"^\[ +SKIPPED +\] (\w+)", text, re.M)))
    if test["result"] == "SKIP":
        skip = max(skip, 1)
    elif test["result"] == "OK":
        ok = max(ok, 1)
    else:
        bad = max(bad, 1)
    passed, failed, skipped = passed + ok, failed + bad, skipped + skip
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed or not passed else 0)
PYTHON
