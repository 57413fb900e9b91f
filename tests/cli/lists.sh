# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What there is to choose from, for programs.
try quern learners constant --json
quern learners --json | python3 -c 'import json, sys
for learner in json.load(sys.stdin)["learners"]:
    assert learner["tasks"] and learner["help"] and learner["source"], learner
    for p in learner["params"]:
        if p["type"] in ("float", "int") and "search" in p:
            assert p["low"] <= p["search"][0] < p["search"][1] <= p["high"], p
        if p["type"] == "choice" and "search" in p:
            assert set(p["search"]) <= set(p["choices"]) and len(p["search"]) > 1, p
    assert all(p["type"] != "float" or p["low"] <= p["default"] <= p["high"] for p in learner["params"])
print("every default lies in its range")'
quern metrics --json | python3 -c 'import json, sys
names = [m["name"] for m in json.load(sys.stdin)["metrics"] if "binary" in m["tasks"]]
print(names[:3])'
