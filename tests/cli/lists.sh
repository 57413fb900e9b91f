# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What there is to choose from, for programs.
try quern learners constant --json
quern learners --json | python3 -c 'import json, sys
for learner in json.load(sys.stdin)["learners"]:
    assert learner["tasks"] and learner["help"], learner
    assert all(p["type"] != "float" or p["low"] <= p["default"] <= p["high"] for p in learner["params"])
print("every default lies in its range")'
quern metrics --json | python3 -c 'import json, sys
names = [m["name"] for m in json.load(sys.stdin)["metrics"] if "binary" in m["tasks"]]
print(names[:3])'
