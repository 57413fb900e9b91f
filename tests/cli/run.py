#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden tests of the command line. NAME.sh is run by bash in an empty folder with a copy of
examples/, the built quern first on PATH and standard error going to standard output. What it
prints must equal NAME.stdout.exact, or match NAME.stdout.glob line by line, where `*` stands for
anything within a line and a line `...` for any number of lines. A script prints the exit codes that
matter itself; its own must be 0.
usage: run.py QUERN SOURCE [--update] [NAME…]     --update writes the .exact files anew"""
import fnmatch
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

TIMEOUT_S = 120
# Before each script: `try quern …` shows the command, what it prints and its exit code.
PRELUDE = """
exec 2>&1
try() {
    printf '$ %s\\n' "$*"
    local code=0
    "$@" || code=$?
    printf 'exit %d\\n' "$code"
}
"""


def output_of(script, source, quern):
    with tempfile.TemporaryDirectory() as work:
        folder, bin_folder = pathlib.Path(work) / "here", pathlib.Path(work) / "bin"
        shutil.copytree(source / "examples", folder / "examples")
        bin_folder.mkdir()
        (bin_folder / "quern").symlink_to(quern)
        environment = dict(os.environ, PATH=f"{bin_folder}:{os.environ['PATH']}", LC_ALL="C.UTF-8",
                           QUERN_SOURCE=str(source))
        result = subprocess.run(["bash", "-c", PRELUDE + script.read_text(encoding="utf-8")],
                                cwd=folder, env=environment, stdout=subprocess.PIPE,
                                stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False)
        return result.returncode, result.stdout.decode("utf-8", "replace").splitlines()


def matches(have, want, is_pattern):
    pattern = want.replace("[", "[[]").replace("?", "[?]")
    return have == want or (is_pattern and fnmatch.fnmatchcase(have, pattern))


def first_difference(printed, expected, is_pattern):
    """A sentence about the first line that is not as expected, or None."""
    printed, expected = printed + ["(the end)"], expected + ["(the end)"]
    at = 0
    skipping = False
    for want in expected:
        if is_pattern and want == "...":
            skipping = True
            continue
        while skipping and at < len(printed) - 1 and not matches(printed[at], want, is_pattern):
            at += 1
        skipping = False
        have = printed[at] if at < len(printed) else "(the end)"
        if not matches(have, want, is_pattern):
            return f"line {at + 1} is\n    {have}\nand should be\n    {want}"
        at += 1
    return None


def main():
    words = sys.argv[1:]
    update = "--update" in words
    words = [word for word in words if word != "--update"]
    quern, source = pathlib.Path(words[0]).resolve(), pathlib.Path(words[1]).resolve()
    folder = source / "tests" / "cli"
    scripts = sorted(folder.glob("*.sh"))
    scripts = [s for s in scripts if not words[2:] or s.stem in words[2:]]
    n_failed = 0
    for script in scripts:
        code, printed = output_of(script, source, quern)
        exact, glob = script.with_suffix(".stdout.exact"), script.with_suffix(".stdout.glob")
        if update and not glob.exists():
            exact.write_text("".join(line + "\n" for line in printed), encoding="utf-8")
        golden = glob if glob.exists() else exact
        problem = f"exit {code}" if code else None
        if not problem and not golden.exists():
            problem = f"{golden.name} is missing"
        if not problem:
            expected = golden.read_text(encoding="utf-8").splitlines()
            problem = first_difference(printed, expected, golden == glob)
        if problem:
            n_failed += 1
            print(f"[  FAILED  ] {script.stem}\n{problem}")
            hint = "edit it" if golden == glob else f"tests/cli/run.py QUERN . --update {script.stem}"
            print(f"if {golden.name} should change: {hint}")
        else:
            print(f"[       OK ] {script.stem}")
    sys.exit(1 if n_failed or not scripts else 0)


main()
