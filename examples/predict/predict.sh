#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Predicts one row through a server, with curl: predict.sh URL NAME=VALUE …, URL being for example
# http://127.0.0.1:8080/v1/models/credit. The server wants every column; NAME= is a missing value.
set -eu
url=$1
shift
row=$(python3 -c 'import json, sys
words = [a.split("=", 1) for a in sys.argv[1:]]
print(json.dumps({name: value or None for name, value in words}))' "$@")
curl -sS --fail-with-body -H 'Content-Type: application/json' --data "$row" "$url:predict"
