#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The programs of examples/predict predict what 'quern predict' does, bit for bit: a class, a
number, missing values, and refuse what it refuses. usage:
embedding.py QUERN SOURCE PREDICT_C LIBQUERN"""
import csv
import io
import os
import pathlib
import sys
import tempfile

from serving import run, server

quern, source, in_c, library = (pathlib.Path(p).absolute() for p in sys.argv[1:5])
examples = source / "examples" / "predict"
os.environ["LIBQUERN"] = str(library)
sanitized = b"__asan_init" in library.read_bytes()


def ways(model):
    yield "C", [in_c, model]
    if not sanitized:  # the interpreter would have to be sanitized too
        yield "Python", [examples / "predict.py", model]


def check_table(folder, name, target, line):
    model = folder / f"{name}.quern"
    done = run(quern, "fit", line, "--target", target, "--trials", "2", "--folds", "3", "--quiet",
               "--report", "", "-o", model)
    assert done.returncode == 0, done.stderr
    with open(line, encoding="utf-8") as table:
        rows = list(csv.DictReader(table))[:5]
    rows.append({key: "" for key in rows[0]})
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    table = folder / "rows.csv"
    table.write_text(text.getvalue())
    done = run(quern, "predict", model, table)
    assert done.returncode == 0, done.stderr
    for row, expected in zip(rows, csv.DictReader(io.StringIO(done.stdout)), strict=True):
        given = [f"{key}={value}" for key, value in row.items() if value != "" and key != target]
        numbers = [value for key, value in expected.items() if key.startswith("p_")]
        number = float(numbers[-1] if numbers else expected["prediction"])
        label = expected["prediction"] if numbers else "prediction"
        for way, command in ways(model):
            got = run(*command, *given)
            assert got.returncode == 0, (way, got.stderr)
            words = got.stdout.rsplit(" ", 1)
            assert words[0] == label and float(words[1]) == number, (way, got.stdout, expected)
    return model


def check_refusals(model):
    for way, command in ways(model):
        for words in (["duration=soon"], ["age=1e5x"]):
            got = run(*command, *words)
            assert got.returncode == 1 and words[0].split("=")[0] in got.stderr, (way, got)
            assert got.stderr.count("\n") == 1, (way, got.stderr)
        got = run(command[0], "absent.quern")
        assert got.returncode == 1 and "absent.quern" in got.stderr, (way, got)


def check_curl(model):
    with open(source / "examples" / "credit" / "train.csv", encoding="utf-8") as table:
        names = [name for name in next(csv.reader(table)) if name not in ("class", "duration")]
    with server(f"m={model}") as (_, port, _):
        url, rest = f"http://127.0.0.1:{port}/v1/models/m", [f"{name}=" for name in names]
        got = run(examples / "predict.sh", url, "duration=24", *rest)
        alone = run(in_c, model, "duration=24")
        assert got.returncode == 0, got.stderr
        assert f'"p_good":{float(alone.stdout.split()[1])!r}' in got.stdout, (got.stdout, alone.stdout)
        got = run(examples / "predict.sh", url, "duration=soon", *rest)
        assert got.returncode != 0 and "duration" in got.stdout, got


with tempfile.TemporaryDirectory() as temporary:
    place = pathlib.Path(temporary)
    credit = check_table(place, "credit", "class", source / "examples" / "credit" / "train.csv")
    check_table(place, "amount", "credit_amount", source / "examples" / "credit" / "train.csv")
    check_refusals(credit)
    check_curl(credit)
print("ok")
