#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Layers, format, shell. What is not installed is named and passed over.
set -u
cd "$(dirname "$0")/.." || exit
status=0
tools/check_layers.py || status=1
if command -v clang-format-14 >/dev/null; then
    git ls-files '*.c' '*.h' | xargs clang-format-14 --dry-run -Werror || status=1
else
    echo "skipped: clang-format-14 is not installed" >&2
fi
if command -v shellcheck >/dev/null; then
    git ls-files '*.sh' .ci/run | xargs shellcheck || status=1
else
    echo "skipped: shellcheck is not installed" >&2
fi
exit $status
