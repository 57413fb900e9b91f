#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Branch coverage, by the unit tests, of the code that reads bytes from outside: tables, bundles,
# JSON, YAML, models of other programs, expressions, numbers, dates. Prints a line per file and
# fails below the percentage.
# usage: tools/coverage.sh [BUILD [PERCENT]]
set -eu
cd "$(dirname "$0")/.."
build=${1:-build-coverage}
least=${2:-90}
# Counters of several threads go wrong unless they are atomic.
[ -f "$build/build.ninja" ] ||
    meson setup "$build" -Db_coverage=true -Dbuildtype=debug -Dc_args=-fprofile-update=atomic >/dev/null
ninja -C "$build" --quiet
find "$build" -name '*.gcda' -delete
meson test -C "$build" --no-rebuild --timeout-multiplier 10 --suite check --num-processes 2 --quiet \
    --print-errorlogs
gcovr --root . --branches --txt --exclude-unreachable-branches --exclude-throw-branches \
    --fail-under-branch "$least" \
    --filter 'src/source/' --filter 'src/bundle/' --filter 'src/frame/(civil|interner)\.c' \
    --filter 'src/base/(bytes|json|number|utf8|yaml)\.c' \
    --filter 'src/model/(import_.*|ubjson)\.c' --filter 'src/search/space/expression\.c' "$build"
