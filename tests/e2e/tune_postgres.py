#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A study in PostgreSQL while the server is restarted: two coordinators with three workers each go on, no
trial is lost, none run twice without a note. Run by tests/support/with_postgres.sh.

usage: tune_postgres.py QUERN"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

QUERN = str(pathlib.Path(sys.argv[1]).resolve())
URL, RESTART = os.environ["QUERN_TEST_POSTGRES"], os.environ["QUERN_TEST_POSTGRES_RESTART"]
N_TRIALS, N_RESTARTS = 120, 3


def main():
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "space.yaml").write_text("parameters: {x: {type: float, low: -5, high: 5}}\n",
                                                         encoding="utf-8")
        command = [QUERN, "tune", "space.yaml", "--store", URL, "--study", "restarts", "--trials", str(N_TRIALS),
                   "--workers", "3", "--quiet", "--sampler", "tpe", "--",
                   "sh", "-c", "sleep 0.2; echo $QUERN_TRIAL >>ran; echo {x}"]
        coordinators = [subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                         text=True) for _ in range(2)]
        for _ in range(N_RESTARTS):
            time.sleep(0.8)
            assert all(process.poll() is None for process in coordinators), "a coordinator has given up"
            subprocess.run([RESTART], check=True, timeout=60)
        for process in coordinators:
            _, says = process.communicate(timeout=120)
            assert process.returncode == 0, says
        out = subprocess.run([QUERN, "study", "export", "--store", URL, "--study", "restarts"], check=True,
                             capture_output=True, text=True).stdout
        done = [json.loads(line) for line in out.splitlines()]
        assert [t["number"] for t in done] == list(range(N_TRIALS)), len(done)
        assert all(t["state"] == "complete" for t in done)
        ran = (pathlib.Path(folder) / "ran").read_text(encoding="utf-8").split()
        for trial in done:
            assert 1 <= ran.count(str(trial["number"])) <= 1 + trial.get("retries", 0), trial
        print(f"{N_TRIALS} trials, {N_RESTARTS} restarts of the server, {len(ran) - N_TRIALS} programs run again")


main()
