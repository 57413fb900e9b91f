#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""quern tune, killed at moments of all kinds: no finished trial is lost, none run twice without a
note, and the study ends as an undisturbed one would. Then programs that behave badly.

usage: tune.py QUERN"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

QUERN = str(pathlib.Path(sys.argv[1]).resolve())
SPACE = """parameters:
  x: {type: float, low: -5, high: 5}
  k: {type: int, low: 0, high: 9}
  c: {type: categorical, choices: [a, b]}
  y: {type: float, low: 1.0e-3, high: 1, log: true, when: {c: b}}
"""
COMMAND = ["--", "sh", "-c", "sleep 0.01; echo $QUERN_TRIAL >>ran; awk 'BEGIN { print ({x}) ^ 2 + {k} }'"]
N_TRIALS = 40


def trials(folder):
    result = subprocess.run([QUERN, "study", "export", "--store", "sqlite:s.db"], cwd=folder, check=True,
                            capture_output=True, text=True)
    return [json.loads(line) for line in result.stdout.splitlines()]


def tune(folder, *options):
    return [QUERN, "tune", "space.yaml", "--store", "sqlite:s.db", "--trials", str(N_TRIALS), "--quiet",
            *options, *COMMAND]


def check_kills(root, workers):
    whole, parts = root / f"whole{workers}", root / f"parts{workers}"
    for folder in (whole, parts):
        folder.mkdir()
        (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    subprocess.run(tune(whole), cwd=whole, check=True, capture_output=True)
    n_kills, told_before = 0, {}
    while n_kills < 200:
        process = subprocess.Popen(tune(parts, "--workers", str(workers)), cwd=parts,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.02 + 0.017 * (n_kills % 11))
        if process.poll() is not None:
            assert process.returncode == 0, process.returncode
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        n_kills += 1
        if not (parts / "s.db").exists():
            continue
        try:
            now = {t["number"]: t for t in trials(parts) if t["state"] == "complete"}
        except subprocess.CalledProcessError:
            assert not told_before  # killed before the study was made
            continue
        for number, trial in told_before.items():
            assert now.get(number) == trial, f"trial {number} was lost"
        told_before = now
    assert n_kills >= 3, n_kills
    done = trials(parts)
    assert len(done) == N_TRIALS and all(t["state"] == "complete" for t in done)
    ran = (parts / "ran").read_text(encoding="utf-8").split()
    for trial in done:  # what began again says so
        assert 1 <= ran.count(str(trial["number"])) <= 1 + trial.pop("retries", 0), trial
    if workers == 1:
        assert done == trials(whole), "another study than without kills"
    print(f"{workers} worker(s): {n_kills} kills")


def run(folder, *words, timeout=60):
    return subprocess.run([QUERN, "tune", "space.yaml", "--trials", "2", *words], cwd=folder, check=False,
                          capture_output=True, text=True, timeout=timeout)


def check_bad_programs(root):
    (root / "space.yaml").write_text(SPACE, encoding="utf-8")
    for program, says in [
        ("echo nan", "its result is not a finite number"),
        (":", "it printed no result"),
        ("head -c 1000 /dev/urandom", ""),
        ("kill -SEGV $$", "signal 11"),
        ("sleep 60 & sleep 60 & exit 3", "exit code 3"),
        ("trap '' TERM; sleep 60", "it took too long"),
    ]:
        result = run(root, "--trial-timeout", "1s", "--", "bash", "-c", program)
        assert says in result.stderr, (program, result.stderr)
        assert result.returncode in (0, 1), (program, result.returncode)
    begun = time.monotonic()
    result = run(root, "--logs", "logs", "--", "sh", "-c", "head -c 500000000 /dev/zero; echo; echo 4")
    assert result.returncode == 0 and "best    trial 0, 4" in result.stdout, result
    assert (root / "logs" / "0.out").stat().st_size <= 10_000_000
    print(f"1 GB of output: {time.monotonic() - begun:.1f} s")


def main():
    with tempfile.TemporaryDirectory() as work:
        root = pathlib.Path(work)
        check_kills(root, 1)
        check_kills(root, 3)
        check_bad_programs(root)


main()
