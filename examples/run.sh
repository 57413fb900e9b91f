#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs an example in an empty folder and compares what it prints.  usage: run.sh PROGRAM EXPECTED
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
program=$(realpath "$1") expected=$(realpath "$2")
cd "$folder"
"$program" >output.txt
diff "$expected" output.txt
