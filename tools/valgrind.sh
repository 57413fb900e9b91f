#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every test program under valgrind, then the program itself as the golden tests of the command
# line drive it. Any error or leak fails. Takes many minutes.
# usage: tools/valgrind.sh [BUILD]
set -eu
cd "$(dirname "$0")/.."
build=${1:-build-valgrind}
[ -f "$build/build.ninja" ] || meson setup "$build" -Dbuildtype=debugoptimized >/dev/null
ninja -C "$build" --quiet
meson test -C "$build" --no-rebuild --setup valgrind --num-processes 2 --print-errorlogs

wrapper=$(mktemp)
trap 'rm -f "$wrapper"' EXIT
cat >"$wrapper" <<SCRIPT
#!/bin/sh
exec valgrind --quiet --error-exitcode=99 --leak-check=full \\
    --errors-for-leak-kinds=definite,indirect "$(realpath "$build/src/cli/quern")" "\$@"
SCRIPT
chmod +x "$wrapper"
tests/cli/run.py "$wrapper" .
