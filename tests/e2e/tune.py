#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""quern tune, killed at moments of all kinds, alone and with others at work on the same study: no
finished trial is lost, none run twice without a note, and the study ends as an undisturbed one would.
Then programs that behave badly, damaged space files, a full disk.

usage: tune.py QUERN [KILLS]      KILLS of coordinators that share a study (default 20)"""
import json
import os
import pathlib
import random
import resource
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
    n_kills, n_in_vain, told_before = 0, 0, {}
    while n_kills < 200:
        process = subprocess.Popen(tune(parts, "--workers", str(workers)), cwd=parts,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Later when nothing came of the last, for a trial that is lost twenty times counts as failed.
        time.sleep((0.02 + 0.017 * (n_kills % 11)) * (1 + n_in_vain) * (1 + n_kills // 12 / 4))
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
        n_in_vain = 0 if len(now) > len(told_before) else n_in_vain + 1
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


def check_shared(root, n_kills):
    """Three coordinators with two workers each, one of which is killed again and again."""
    folder = root / "shared"
    folder.mkdir()
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    chance, n_trials, told_before = random.Random(1), 60 + 6 * n_kills, {}

    def start():
        return subprocess.Popen(tune(folder, "--workers", "2", "--trials", str(n_trials)), cwd=folder,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    coordinators = [start() for _ in range(3)]
    for _ in range(n_kills):
        time.sleep(chance.uniform(0.02, 0.4))
        victim = chance.randrange(3)
        coordinators[victim].kill()
        coordinators[victim].communicate()
        now = {t["number"]: t for t in trials(folder) if t["state"] == "complete"} if told_before or \
            (folder / "ran").exists() else {}
        for number, trial in told_before.items():
            assert now.get(number) == trial, f"trial {number} was lost"
        told_before = now
        coordinators[victim] = start()
    for process in coordinators:
        _, says = process.communicate(timeout=300)
        assert process.returncode == 0, says
    done = trials(folder)
    assert [t["number"] for t in done] == list(range(n_trials)), len(done)
    assert all(t["state"] == "complete" for t in done)
    ran = (folder / "ran").read_text(encoding="utf-8").split()
    for trial in done:
        assert 1 <= ran.count(str(trial["number"])) <= 1 + trial.get("retries", 0), trial
    print(f"3 coordinators: {n_kills} kills, {n_trials} trials, "
          f"{sum('retries' in t for t in done)} run again and marked")


def check_checkpoints(root):
    """Programs that count to ten, killed with their coordinators: each goes on where it was, so no step
    is done twice, and the folders of trials that have ended are gone."""
    folder = root / "checkpoints"
    folder.mkdir()
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    (folder / "count.sh").write_text("""
        n=$(cat $QUERN_CHECKPOINT/n 2>/dev/null || echo 0)
        while [ $n -lt 10 ]; do
            sleep 0.02; n=$((n + 1))
            echo $n >$QUERN_CHECKPOINT/new; mv $QUERN_CHECKPOINT/new $QUERN_CHECKPOINT/n
            echo $QUERN_TRIAL $n >>steps
        done
        echo $1
    """, encoding="utf-8")
    command = [QUERN, "tune", "space.yaml", "--store", "sqlite:s.db", "--trials", "12", "--workers", "2",
               "--checkpoints", "c", "--quiet", "--", "sh", "count.sh", "{k}"]
    other = folder / "c" / "mine"
    n_kills, n_kept = 0, 0
    while True:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3 + 0.07 * (n_kills % 5))
        if n_kills == 30 or process.poll() is not None:
            assert process.wait() == 0
            break
        process.kill()
        process.wait()
        n_kills += 1
        other.mkdir(parents=True, exist_ok=True)
        n_kept += sum(1 for f in (folder / "c").iterdir() if (f / "n").exists())
    done = trials(folder)
    assert len(done) == 12 and all(t["state"] == "complete" for t in done)
    # A kill between a step and its line costs the line; no step is done twice.
    steps = (folder / "steps").read_text(encoding="utf-8").split("\n")[:-1]
    assert n_kills >= 3 and n_kept >= 3, (n_kills, n_kept)
    assert len(steps) == len(set(steps)) and len(steps) >= 120 - 2 * n_kills, len(steps)
    assert list((folder / "c").iterdir()) == [other], list((folder / "c").iterdir())
    print(f"checkpoints: {n_kills} kills, {n_kept} gone on from, {len(steps)} steps")


BATCH_COMMAND = ["--", "sh", "-c", """
    sleep 0.0$((($QUERN_TRIAL * 7 + {k}) % 10))
    for i in 1 2 3; do echo '{"step": '$i', "value": '$(awk "BEGIN { print ({x}) ^ 2 + {k} / $i }")'}'; done
    test {k} != 7 || test $((QUERN_TRIAL % 2)) = 0"""]


def check_batches(root):
    """Trials of batches are the same with any number of workers, and after kills: a pruner that looks at
    all reports, programs that fail and end in any order."""
    exports = []
    for name, options in [("one", []), ("four", ["--workers", "4"]), ("six", ["--workers", "6"]),
                          ("killed", ["--workers", "4"])]:
        folder = root / f"batch_{name}"
        folder.mkdir()
        (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
        command = [QUERN, "tune", "space.yaml", "--store", "sqlite:s.db", "--trials", "42", "--quiet",
                   "--sampler", "tpe:startup=6", "--pruner", "asha:factor=2", "--batch", "6", *options,
                   *BATCH_COMMAND]
        n_kills = 0
        while True:
            process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            if name == "killed":
                time.sleep(0.05 + 0.03 * (n_kills % 9))
                if n_kills < 19 and process.poll() is None:  # a trial lost twenty times counts as failed
                    process.kill()
                    process.wait()
                    n_kills += 1
                    continue
            assert process.wait() == 0
            break
        done = trials(folder)
        n_retries = sum(t.pop("retries", 0) for t in done)
        assert name != "killed" or n_kills >= 3 and n_retries >= 3, (n_kills, n_retries)
        exports.append(done)
    first = exports[0]
    states = [t["state"] for t in first]
    assert len(first) == 42 and states.count("pruned") > 5 and states.count("complete") > 5, states
    assert "failed" in states, states
    assert all(other == first for other in exports[1:]), "batches differ"
    print(f"batches: 42 trials, {states.count('pruned')} pruned, the same four times")


def run(folder, *words, timeout=60):
    return subprocess.run([QUERN, "tune", "space.yaml", "--trials", "2", *words], cwd=folder, check=False,
                          capture_output=True, text=True, timeout=timeout)


LONG_S = "61.37"  # how long what must not be left behind would sleep


def is_left_behind():
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes().split(b"\0")[:2] == [b"sleep", LONG_S.encode()]:
                return True
        except OSError:
            continue
    return False


# Programs, what is said of them, and whether their trials count.
BAD_PROGRAMS = [
    # NaN, nothing, garbage
    ("echo nan", "its result is not a finite number", False),
    ("echo '{\"value\": 1e999}'", "it printed no result", False),  # no number in JSON
    (":", "it printed no result", False),
    ("printf '\\n\\n  \\n'", "it printed no result", False),
    ("head -c 1000 /dev/urandom | tr -d 0-9; echo", "it printed no result", False),
    ("head -c 100000 /dev/urandom; echo; echo 7", "", True),
    ("echo '{\"value\": \"x\"}'", "it printed no result", False),
    ("echo '{\"step\": 1e300, \"value\": 1}'; echo '{\"step\": null}'; echo 7", "", True),
    ("printf '%060000d' 0 | tr 0 '['; echo; echo 7", "", True),
    ("printf '7'", "", True),
    ("read line; echo 7$line", "", True),  # nothing to read
    # hanging
    (f"sleep {LONG_S}", "it took too long", False),
    (f"exec >&- 2>&-; sleep {LONG_S}", "it took too long", False),
    (f"trap '' TERM; sleep {LONG_S}; sleep {LONG_S}", "it took too long", False),
    (f"echo 7; kill -STOP $$; sleep {LONG_S}", "it took too long", False),
    # forking
    (f"sleep {LONG_S} & sleep {LONG_S} & exit 3", "exit code 3", False),
    (f"for i in $(seq 100); do sleep {LONG_S} & done; echo 7", "", True),
    (f"(trap '' TERM; sleep {LONG_S}) & echo 7", "", True),
    # leaving their session, their parent and their group
    (f"setsid sleep {LONG_S} & echo 7", "", True),
    (f"setsid -f sh -c 'setsid -f sleep {LONG_S}; sleep {LONG_S}; sleep {LONG_S}'; exit 3", "exit code 3", False),
    (f"setsid -f sh -c 'trap \"\" TERM HUP; sleep {LONG_S}' >&- 2>&-; sleep {LONG_S}", "it took too long", False),
    (f"for i in $(seq 20); do setsid -f sh -c 'sleep {LONG_S} & sleep {LONG_S}'; done; kill -KILL $$", "signal 9",
     False),
    # dying
    ("kill -SEGV $$", "signal 11 (Segmentation fault)", False),
    ("echo 7; kill -KILL $$", "signal 9", False),
    ("echo 7; exit 255", "exit code 255", False),
]


def check_bad_programs(root):
    (root / "space.yaml").write_text(SPACE, encoding="utf-8")
    for program, says, counts in BAD_PROGRAMS:
        limit = "1s" if says == "it took too long" else "30s"
        result = run(root, "--trial-timeout", limit, "--workers", "2", "--", "bash", "-c", program)
        assert says in result.stderr and "quern tune: " not in result.stderr.replace(
            "quern tune: no trial is complete", ""), (program, result.stderr)
        assert result.returncode == (0 if counts else 1), (program, result)
        assert not counts or "best    trial 0, 7" in result.stdout, (program, result)
        assert not is_left_behind(), program
    result = run(root, "--trial-memory", "300M", "--", sys.executable, "-c", "x = bytearray(10**9); print(7)")
    assert "failed" in result.stderr and result.returncode == 1, result
    print(f"{len(BAD_PROGRAMS) + 1} bad programs")
    begun = time.monotonic()
    result = run(root, "--trials", "1", "--logs", "logs", "--", "sh", "-c",
                 "head -c 500000000 /dev/zero >&2; head -c 500000000 /dev/zero; yes 3 | head -c 500000000; echo; echo 4")
    assert result.returncode == 0 and "best    trial 0, 4" in result.stdout, result
    for name in ("0.out", "0.err"):
        assert (root / "logs" / name).stat().st_size == 10_000_000, name
    print(f"1 GB of output: {time.monotonic() - begun:.1f} s")


DAMAGED = [
    "", " ", "[]", "3", "x", "parameters", "parameters:", "parameters: 3", "parameters: []", "parameters: {}",
    "parameters: {x}", "parameters: {x: 3}", "parameters: {x: {}}", "parameters: {x: {type: flaot, low: 0, high: 1}}",
    "parameters: {x: {type: float}}", "parameters: {x: {type: float, low: 0}}",
    "parameters: {x: {type: float, low: 1, high: 0}}", "parameters: {x: {type: float, low: a, high: 1}}",
    "parameters: {x: {type: float, low: 0, high: .inf}}", "parameters: {x: {type: float, low: .nan, high: 1}}",
    "parameters: {x: {type: float, low: 0, high: 1, log: true}}",
    "parameters: {x: {type: float, low: 0, high: 1, step: -1}}",
    "parameters: {x: {type: float, low: 0, high: 1, lgo: true}}", "parameters: {x: {type: int, low: 0.5, high: 2}}",
    "parameters: {x: {type: categorical}}", "parameters: {x: {type: categorical, choices: []}}",
    "parameters: {x: {type: categorical, choices: [a, a]}}", "parameters: {x: {type: bool, when: {y: 1}}}",
    "parameters: {x: {type: bool, when: {x: true}}}",
    "parameters: {x: {type: bool}, x: {type: bool}}", "parameters: {x: {type: bool}}\nconstraints: [x +]",
    "parameters: {x: {type: bool}}\nconstraints: [z > 1]", "parameters: {x: {type: bool}}\nobjectives: {a: most}",
    "parameters: {x: {type: bool}", "parameters: {x: {type: bool}}\n\tx: 1", "\x00\x01\x02", "\ufeff\u2028: {",
    "parameters: {x: {type: [bool]}}", "parameters: {x: {type: bool}, y: {type: bool, when: {x: [[true]]}}}",
    "&a [*a]", "parameters: &p {x: *p}", "[" * 5000,
]


def check_damaged_spaces(root):
    for text in DAMAGED:
        (root / "space.yaml").write_text(text, encoding="utf-8")
        result = run(root, "--quiet", "--", "echo", "1")
        assert result.returncode == 3, (text, result)
        assert result.stderr.startswith("quern tune: space.yaml") and result.stderr.count("\n") == 1, result.stderr
    print(f"{len(DAMAGED)} damaged spaces")


def check_full_disk(root):
    """Files may not grow beyond some size, then a disk that is full: what was told before is kept, and
    the study goes on."""
    folder = root / "full"
    folder.mkdir()
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    subprocess.run(tune(folder, "--trials", "3"), cwd=folder, check=True, capture_output=True)
    size = 65536
    result = subprocess.run(tune(folder), cwd=folder, check=False, capture_output=True, text=True,
                            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    assert result.returncode == 1 and result.stderr.count("\n") == 1, result
    assert "s.db" in result.stderr, result.stderr
    before = [t for t in trials(folder) if t["state"] == "complete"]
    assert 3 <= len(before) < N_TRIALS, len(before)
    subprocess.run(tune(folder), cwd=folder, check=True, capture_output=True)
    after = trials(folder)
    assert all(t in after for t in before) and len(after) == N_TRIALS
    print(f"full disk after {len(before)} trials: {result.stderr.strip()}")


def check_full_file_system(root):
    """The same on a file system of its own, where the kernel lets us have one."""
    folder = root / "small"
    folder.mkdir()
    script = f"""mount -t tmpfs -o size=400k none small && cd small && cp ../space.yaml . || exit 77
        "$0" tune space.yaml --store sqlite:s.db --trials 400 --quiet --sampler random -- echo 7 2>../says
        code=$?
        "$0" study export --store sqlite:s.db >../exported 2>../says_later
        cat ../says; exit $code"""
    (root / "space.yaml").write_text(SPACE, encoding="utf-8")
    result = subprocess.run(["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", script, QUERN], cwd=root, check=False,
                            capture_output=True, text=True)
    if result.returncode in (1, 77) and "s.db" not in result.stdout:
        print("full file system: skipped, none can be made here")
        return
    assert result.returncode == 1 and result.stdout.count("\n") == 1, result
    done = [json.loads(line) for line in (root / "exported").read_text(encoding="utf-8").splitlines()]
    n = sum(t["state"] == "complete" for t in done)
    assert 10 < n < 400, (n, (root / "says_later").read_text(encoding="utf-8"))
    print(f"full file system after {n} trials: {result.stdout.strip()}")


def check_damaged_stores(root):
    """Bits turned and ends cut off: one line says so, or nothing is wrong with what is read."""
    folder, chance = root / "damaged", random.Random(5)
    folder.mkdir()
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    subprocess.run(tune(folder, "--trials", "30"), cwd=folder, check=True, capture_output=True)
    whole, n_told = (folder / "s.db").read_bytes(), 0
    for i in range(80):
        data = bytearray(whole)
        if i % 8 == 7:
            del data[chance.randrange(len(data)):]
        for _ in range(1 << i % 6):
            data[chance.randrange(len(data))] = chance.randrange(256)
        for path in folder.glob("s.db*"):
            path.unlink()
        (folder / "s.db").write_bytes(data)
        for words in (["study", "export", "--store", "sqlite:s.db"],
                      ["tune", "space.yaml", "--store", "sqlite:s.db", "--quiet", "--trials", "31", "--", "echo", "1"]):
            result = subprocess.run([QUERN, *words], cwd=folder, check=False, capture_output=True, timeout=60)
            assert result.returncode in (0, 1, 2, 3), (i, result)
            assert result.stderr.count(b"\n") == (result.returncode != 0), (i, result)
            n_told += result.returncode != 0
    assert n_told > 20, n_told
    print(f"80 damaged stores: {n_told} of 160 commands refused")


def main():
    with tempfile.TemporaryDirectory() as work:
        root = pathlib.Path(work)
        check_kills(root, 1)
        check_kills(root, 3)
        check_batches(root)
        check_shared(root, int(sys.argv[2]) if len(sys.argv) > 2 else 20)
        check_checkpoints(root)
        check_bad_programs(root)
        check_damaged_spaces(root)
        check_full_disk(root)
        check_full_file_system(root)
        check_damaged_stores(root)


main()
