#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the fenced blocks of README.md and docs/*.md as a reader would. The blocks of one page share
a folder that has a copy of examples/, and find the built quern first on PATH.

    ```sh       is run as one script, with bash -e
    ```console  each line that begins with `$ ` is run, in one shell; what follows it is what it
                must print on standard output
    ```c        must compile: its #include lines, then the rest as the body of a function

A comment before a block changes this:

    <!-- docs-test: skip (why) -->      not run: it installs, needs a network, never ends …
    <!-- docs-test: output varies -->   run, but its output is not compared

usage: run_blocks.py QUERN SOURCE [PAGE…]"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

FENCE = re.compile(r"^```(\w*)\s*$")
MARKER = re.compile(r"<!--\s*docs-test:\s*(skip|output varies)[^>]*-->")
TIMEOUT_S = 200


def blocks_of(text):
    """(line number, language, marker or None, lines) of every fenced block."""
    found, lines, marker = [], text.splitlines(), None
    i = 0
    while i < len(lines):
        fence = FENCE.match(lines[i])
        if fence:
            start = i + 1
            i = start
            while i < len(lines) and not lines[i].startswith("```"):
                i += 1
            found.append((start, fence.group(1), marker, lines[start:i]))
            marker = None
        elif MARKER.search(lines[i]):
            marker = MARKER.search(lines[i]).group(1)
        elif lines[i].strip():
            marker = None
        i += 1
    return found


def run(script, folder, environment):
    return subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script], cwd=folder,
                          env=environment, capture_output=True, text=True, timeout=TIMEOUT_S,
                          stdin=subprocess.DEVNULL, check=False)


def run_sh(lines, folder, environment, marker):
    del marker
    result = run("\n".join(lines), folder, environment)
    return "" if result.returncode == 0 else f"exit {result.returncode}: {result.stderr.strip()}"


def run_console(lines, folder, environment, marker):
    steps = []  # [command, expected lines]
    for line in lines:
        if line.startswith("$ "):
            steps.append([line[2:], []])
        elif steps and steps[-1][0].endswith("\\"):
            steps[-1][0] += "\n" + line
        elif steps:
            steps[-1][1].append(line)
    if not steps:
        return "a console block without a line that begins with '$ '"
    for command, expected in steps:
        result = run(command, folder, environment)
        if result.returncode != 0:
            return f"{command!r}: exit {result.returncode}: {result.stderr.strip()}"
        printed = result.stdout.rstrip("\n").split("\n") if result.stdout.strip() else []
        while expected and not expected[-1].strip():
            expected.pop()
        if marker != "output varies" and expected and printed != expected:
            return f"{command!r} prints {printed[:8]}, not {expected[:8]}"
    return ""


def run_c(lines, folder, environment, marker):
    del marker
    includes = [line for line in lines if line.startswith("#")]
    body = [line for line in lines if not line.startswith("#")]
    source = pathlib.Path(folder) / "block.c"
    source.write_text("\n".join(["#include <stdio.h>", "#include <stdlib.h>", *includes,
                                 "int main(void)", "{", *body, "return 0;", "}", ""]),
                      encoding="utf-8")
    command = [*shlex.split(environment.get("CC", "cc")), "-std=c17", "-fsyntax-only", "-Wall",
               "-Werror", "-I", environment["QUERN_INCLUDE"], str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if result.returncode == 0 else result.stderr


RUNNERS = {"sh": run_sh, "console": run_console, "c": run_c}


def run_page(page, source, quern):
    n_failed = 0
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work) / "page"
        shutil.copytree(source / "examples", folder / "examples")
        bin_folder = pathlib.Path(work) / "bin"
        bin_folder.mkdir()
        (bin_folder / "quern").symlink_to(quern)
        environment = dict(os.environ, HOME=work, QUERN_INCLUDE=str(source / "include"),
                           PATH=f"{bin_folder}:{os.environ['PATH']}", LC_ALL="C.UTF-8")
        for line, language, marker, lines in blocks_of(page.read_text(encoding="utf-8")):
            name = f"{page.relative_to(source)}:{line}"
            if language not in RUNNERS:
                continue
            if marker == "skip":
                print(f"[  SKIPPED ] {name}")
                continue
            try:
                problem = RUNNERS[language](lines, folder, environment, marker)
            except subprocess.TimeoutExpired:
                problem = f"not done after {TIMEOUT_S} s"
            print(f"[  FAILED  ] {name}\n{problem}" if problem else f"[       OK ] {name}", flush=True)
            n_failed += bool(problem)
    return n_failed


def main():
    quern, source = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    pages = [pathlib.Path(p).resolve() for p in sys.argv[3:]]
    pages = pages or [source / "README.md", *sorted((source / "docs").glob("*.md"))]
    sys.exit(1 if sum(run_page(page, source, quern) for page in pages) else 0)


main()
