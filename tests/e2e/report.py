#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reports of hostile and of wide tables: well-formed HTML that needs no script and nothing from
elsewhere, at most 1 MB, with every name and label of the table as text.
usage: report.py QUERN"""
import csv
import html.parser
import pathlib
import random
import re
import subprocess
import sys
import tempfile

VOID = {"meta", "br", "hr", "img", "input", "link"}
SELF_CLOSED = {"rect", "line", "circle", "polyline", "path"}
TAGS = VOID | SELF_CLOSED | set(
    "html head title style body main header section h1 h2 h3 p b i small span div table thead tbody"
    " tr th td figure figcaption svg text g ul li pre dl dt dd code".split())
ATTRIBUTES = set(
    "lang charset name content http-equiv class style scope title viewbox role x y x1 x2 y1 y2 cx cy"
    " r width height points d text-anchor transform id colspan rowspan".split())
# An end tag that HTML allows to leave out is not left out here, so that nesting can be checked.


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.problems, self.ids, self.text = [], [], [], []

    def check(self, tag, attributes):
        if tag not in TAGS:
            self.problems.append(f"<{tag}> at {self.getpos()}")
        for name, value in attributes:
            if name not in ATTRIBUTES:
                self.problems.append(f"{name}= of <{tag}> at {self.getpos()}")
            if value and re.search(r"url\(|https?:|javascript:|@import", value) and name != "title":
                self.problems.append(f"{name}={value} reaches out")
            if name == "d" and not re.fullmatch(r"[MLHVZmlhvz0-9.e -]+", value):
                self.problems.append(f"d={value[:60]} draws no line")
            if name == "id":
                self.ids.append(value)

    def handle_starttag(self, tag, attributes):
        self.check(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.check(tag, attributes)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()} closes nothing")

    def handle_data(self, data):
        self.text.append(data)

    def handle_comment(self, data):
        self.problems.append(f"a comment at {self.getpos()}")


def problems_of(path, names):
    raw = path.read_bytes()
    text = raw.decode("utf-8")  # fails on bytes that are no UTF-8
    page = Page()
    page.feed(text)
    page.close()
    found = page.problems
    if page.open:
        found.append(f"never closed: {page.open}")
    if len(raw) > 1_000_000:
        found.append(f"{len(raw)} bytes")
    if len(set(page.ids)) != len(page.ids):
        found.append("an id occurs twice")
    if "script-src" in text or "default-src 'none'" not in text:
        found.append("the policy allows scripts")
    if re.search(r"@import|url\(", text):
        found.append("the style reaches out")
    if re.search(r"=\"[^\"]*\b(nan|inf)\b", text):
        found.append("a number of a drawing is not finite")
    shown = " ".join(" ".join(page.text).split())
    for name in names:
        if " ".join(name.split()) not in shown:
            found.append(f"{name!r} is not shown as it is")
    return found


NASTY = ['</script><b>', '"><img src=x onerror=alert(1)>', "it's & <!-- so", "</style><style>*{}",
         "<![CDATA[", "&lt;kept&gt;", "é–日本 ≤"]


def write(path, header, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def hostile(folder, task):
    draw = random.Random(3)
    rows = []
    for i in range(240):
        x = draw.random()
        label = {"binary": NASTY[x > 0.5], "multiclass": NASTY[int(x * 5)],
                 "regression": repr(1e17 + 16 * round(x))}[task]
        rows.append([x, NASTY[int(draw.random() * 7)], draw.random(), f"{NASTY[i % 7]} word{i} said",
                     f"2024-01-{i % 28 + 1:02d}", "", label])
    header = ["x" + NASTY[0], NASTY[1], NASTY[2], NASTY[3], NASTY[4], NASTY[5], "y" + NASTY[0]]
    write(folder / "hostile.csv", header, rows)
    return "hostile.csv", header[-1], header + (NASTY[:2] if task == "binary" else [])


def wide(folder, task):
    del task
    draw = random.Random(4)
    header = [f"column_{i}_with_a_long_name_{'n' * 60}" for i in range(900)] + ["y"]
    write(folder / "wide.csv", header,
          [[f"{draw.random():.4f}" for _ in header[:-1]] + [i % 30] for i in range(150)])
    return "wide.csv", "y", header[:5]


def main():
    quern = pathlib.Path(sys.argv[1]).resolve()
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        for make, task in ((hostile, "binary"), (hostile, "multiclass"), (hostile, "regression"),
                           (wide, "multiclass")):
            name = f"{make.__name__}_{task}"
            table, target, shown = make(folder, task)
            fit = [quern, "fit", table, "--target", target, "--task", task, "--trials", "2",
                   "--folds", "2", "--quiet", "-o", "m.quern", "--report", "fit.html"]
            evaluate = [quern, "evaluate", "m.quern", table, "--report", "evaluate.html"]
            found = []
            for command, page in ((fit, "fit.html"), (evaluate, "evaluate.html")):
                run = subprocess.run(command, cwd=folder, capture_output=True, text=True,
                                     timeout=120, check=False)
                if run.returncode != 0:
                    found.append(f"{command[1]}: exit {run.returncode}: {run.stderr.strip()}")
                    break
                found += [f"{page}: {p}" for p in problems_of(folder / page, shown)]
            print(f"[  FAILED  ] {name}" if found else f"[       OK ] {name}")
            for problem in found[:20]:
                print("   ", problem)
            failed += bool(found)
    sys.exit(1 if failed else 0)


main()
