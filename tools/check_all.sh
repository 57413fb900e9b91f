#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The long checks: the whole suite under ASan + UBSan, then under TSan.
set -eu
cd "$(dirname "$0")/.."
meson setup build-asan -Db_sanitize=address,undefined -Dbuildtype=debugoptimized \
    -Db_lundef=false --reconfigure >/dev/null 2>&1 ||
    meson setup build-asan -Db_sanitize=address,undefined -Dbuildtype=debugoptimized -Db_lundef=false
ninja -C build-asan --quiet
tools/run_tests.sh build-asan
meson setup build-tsan -Db_sanitize=thread -Dbuildtype=debugoptimized -Db_lundef=false \
    --reconfigure >/dev/null 2>&1 ||
    meson setup build-tsan -Db_sanitize=thread -Dbuildtype=debugoptimized -Db_lundef=false
ninja -C build-tsan --quiet
tools/run_tests.sh build-tsan
