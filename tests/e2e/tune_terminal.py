#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of quern tune, seen through a small terminal of our own: what it shows while programs run,
that nothing of it stays, also after Ctrl-C, and that frames neither blank the screen nor wrap.

usage: tune_terminal.py QUERN"""
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import sys
import tempfile
import termios
import time

QUERN = str(pathlib.Path(sys.argv[1]).resolve())
SPACE = """parameters:
  x: {type: float, low: -5, high: 5}
  some_name_that_is_long: {type: int, low: 0, high: 9}
  another_name_that_is_long: {type: categorical, choices: [a choice of many letters, another one]}
"""
WIDTH, HEIGHT = 72, 24
ESCAPE = re.compile(rb"\x1b\[(\d*)([A-Za-z])")


class Terminal:
    """Lines of text and a cursor; knows what the table may use, and nothing else."""

    def __init__(self):
        self.lines, self.row, self.column, self.frames, self.rest = [""], 0, 0, [], b""

    def put(self, c):
        assert self.column < WIDTH, "a line wraps: " + self.lines[self.row]
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[:self.column] + c + line[self.column + 1:]
        self.column += 1

    def escape(self, count, what):
        if what == "A":
            self.row -= int(count)
            assert self.row >= 0
        elif what == "K":
            self.lines[self.row] = self.lines[self.row][:self.column]
        elif what == "J" and count == "":
            self.lines[self.row] = self.lines[self.row][:self.column]
            del self.lines[self.row + 1:]
            self.frames.append(list(self.lines))
        else:
            raise AssertionError(f"the table uses {count}{what}")

    def feed(self, data):
        data, self.rest, at = self.rest + data, b"", 0
        while at < len(data):
            match = ESCAPE.match(data, at)
            if match:
                self.escape(match.group(1).decode(), match.group(2).decode())
                at = match.end()
            elif data[at:at + 1] == b"\x1b":
                self.rest = data[at:]
                return
            elif data[at:at + 1] == b"\r":
                self.column, at = 0, at + 1
            elif data[at:at + 1] == b"\n":
                self.row, at = self.row + 1, at + 1
                if self.row == len(self.lines):
                    self.lines.append("")
            else:
                self.put(chr(data[at]))
                at += 1


def tune(folder, *words, interrupt_s=None):
    """Returns the terminal, what came on standard output, and the exit code."""
    read_end, write_end = os.pipe()
    pid, master = pty.fork()
    if pid == 0:
        os.dup2(write_end, 1)
        os.environ["TERM"] = "xterm"
        os.chdir(folder)
        os.execv(QUERN, [QUERN, "tune", "space.yaml", *words])
    os.close(write_end)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    before = termios.tcgetattr(master)
    terminal, begun = Terminal(), time.monotonic()
    while True:
        if interrupt_s and time.monotonic() - begun > interrupt_s:
            os.kill(pid, signal.SIGINT)
            interrupt_s = None
        if not select.select([master], [], [], 0.05)[0]:
            continue
        try:
            data = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        terminal.feed(data)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        assert termios.tcgetattr(master) == before, "the terminal's modes have changed"
    except termios.error:
        pass
    with os.fdopen(read_end) as out:
        return terminal, out.read(), status


def rows(frame, word):
    """Those of a frame under a heading: its line and the ones that begin with blanks."""
    begins = [i for i, line in enumerate(frame) if line.startswith(word)]
    if not begins:
        return []
    end = begins[0] + 1
    while end < len(frame) and frame[end].startswith("        "):
        end += 1
    return frame[begins[0]:end]


def check_table(folder):
    terminal, out, status = tune(folder, "--trials", "12", "--workers", "3", "--sampler", "random", "--", "sh", "-c",
                                 "for i in 1 2 3; do echo '{\"step\": '$i', \"value\": '$i.5'}'; sleep 0.1; done;"
                                 "test $QUERN_TRIAL != 5 || { echo told on its error >&2; exit 3; }; echo $QUERN_TRIAL")
    assert status == 0 and "best    trial 0, 0" in out, out
    frames = terminal.frames
    assert len(frames) > 5, len(frames)
    full = [f for f in frames if len(rows(f, "running")) == 3 and len(rows(f, "best")) == 5]
    assert full, frames[-3]
    assert any(re.search(r"running +\d+  0:0\d  step [123]: [123]\.5  x=", "\n".join(f)) for f in frames), full[0]
    best = [int(line[8:15]) for line in rows(full[-1], "best")]
    assert best == sorted(best) and best[0] == 0, best
    head = [line for line in full[-1] if " of 12 trials: " in line]
    assert len(head) == 1 and re.search(r"\d complete, 0 pruned, \d failed +0:0\d  [\d.]+/(s|min)  left 0:\d\d", head[0]), head
    assert terminal.lines[-1] == "" and terminal.column == 0
    kept = terminal.lines[:-1]  # all that is left of the table: what failed, and said why
    assert [line for line in kept if line != "told on its error"] == ["trial 5  failed: it ended with exit code 3"], kept
    assert "told on its error" in kept, kept
    print(f"table: {len(frames)} frames")


def check_interrupt(folder):
    terminal, out, status = tune(folder, "--trials", "500", "--workers", "2", "--sampler", "random", "--", "sh", "-c",
                                 "sleep 0.2; echo $QUERN_TRIAL", interrupt_s=1.2)
    assert status == 130, status
    assert "best    trial 0, 0" in out, out
    assert terminal.lines == [""] and terminal.frames[:-1], terminal.lines
    print("interrupt: nothing left")


def main():
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
        check_table(folder)
        check_interrupt(folder)


main()
