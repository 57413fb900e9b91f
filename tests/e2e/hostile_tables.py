#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tables that are wrong in every way we could think of: the program must answer each with the exit
code named here and at most one line that names the place – never a crash, a hang or a finding of
the sanitizers.

    hostile_tables.py QUERN"""
import gzip
import os
import random
import re
import subprocess
import sys
import tempfile

QUERN = os.path.abspath(sys.argv[1])
random.seed(1)
ROWS = [f"{random.random():.4f},{random.choice('abc')},{random.choice('01')}" for _ in range(200)]
GOOD = "x,c,y\n" + "\n".join(ROWS) + "\n"


def table(cell, n=100, target=lambda i: i % 2):
    return "x,c,y\n" + "\n".join(f"{cell(i)},{'abc'[i * i % 3]},{target(i)}" for i in range(n)) + "\n"


packed = gzip.compress(GOOD.encode(), mtime=0)
flipped = bytearray(packed)
flipped[len(flipped) // 2] ^= 255

# name, content, exit codes, what standard error must say
CASES = [
    ("good.csv", GOOD, {0}, ""),
    ("bom.csv", b"\xef\xbb\xbf" + GOOD.encode(), {0}, ""),
    ("cr.csv", GOOD.replace("\n", "\r"), {0}, ""),
    ("crlf.csv", GOOD.replace("\n", "\r\n"), {0}, ""),
    ("semicolon.csv", GOOD.replace(",", ";"), {0}, ""),
    ("pipe.csv", GOOD.replace(",", "|"), {0}, ""),
    ("tab.tsv", GOOD.replace(",", "\t"), {0}, ""),
    ("spaces.csv", GOOD.replace(",", " , "), {0}, ""),
    ("blank_lines_at_the_end.csv", GOOD + "\n\n\n", {0}, ""),
    ("no_newline_at_the_end.csv", GOOD.rstrip("\n"), {0}, ""),
    ("same_name_twice.csv", GOOD.replace("x,c,y", "x,x,y"), {0}, "a second 'x'"),
    ("no_names.csv", GOOD.replace("x,c,y", ",,y"), {0}, ""),
    ("hostile_names.csv", GOOD.replace("x,c,y", '"<script>alert(1)</script>","a""b\nc",y'), {0}, ""),
    ("latin1.csv", GOOD.encode() + b"1,caf\xe9,1\n" * 3, {0}, "latin1.csv:202:3:"),
    ("two_gzip_members.csv.gz", gzip.compress(b"x,c,y\n") + gzip.compress("\n".join(ROWS).encode()), {0}, ""),
    ("gzip_by_name_alone.csv.gz", GOOD, {0}, ""),
    ("quoted_newlines.csv", 'x,c,y\n' + "\n".join(f'{i % 7},"a ""q"" {i % 3},b\nline",{i % 2}' for i in range(200)) + "\n", {0}, ""),
    ("stray_quotes.csv", 'x,c,y\n' + "\n".join(f'{i % 7},{i % 5}" pipe,{i % 2}' for i in range(2000)) + "\n", {0}, ""),
    ("text_late_in_a_column_of_numbers.csv", table(lambda i: i % 9 if i < 150 else "abc", 200), {0}, ""),
    ("numbers_near_the_limit.csv", table(lambda i: f"{i % 17 + 1}e307"), {0}, ""),
    ("denormals.csv", table(lambda i: f"{i}e-320"), {0}, ""),
    ("not_a_number.csv", table(lambda i: "nan" if i % 3 else "inf"), {0}, ""),
    ("beyond_the_limit.csv", table(lambda i: f"{i % 5}e999"), {0}, ""),
    ("whole_numbers_of_30_digits.csv", table(lambda i: 10**30 + i % 4), {0}, ""),
    ("numbers_of_500_digits.csv", table(lambda i: "0." + "1234567890" * 50 + str(i % 7)), {0}, ""),
    ("negative_zero.csv", table(lambda i: "-0.0" if i % 2 else "0"), {0}, ""),
    ("dates_of_two_forms.csv", table(lambda i: f"{i % 28 + 1:02d}/{i % 12 + 1:02d}/2020", 200), {0}, ""),
    ("impossible_dates.csv", table(lambda i: f"2020-13-{i % 40:02d}", 200), {0}, ""),
    ("10000_columns.csv", ",".join(f"c{i}" for i in range(10000)) + ",y\n" + "\n".join(",".join(str((i * j) % 97) for i in range(10000)) + f",{j % 2}" for j in range(40)) + "\n", {0}, ""),
    ("20_mb_in_one_field.csv", "x,c,y\n1," + "a" * 20_000_000 + ",1\n" + "\n".join(ROWS) + "\n", {0}, ""),
    ("a_million_lines_in_one_field.csv", 'x,c,y\n1,"' + "a\n" * 1_000_000 + '",1\n' + "\n".join(ROWS) + "\n", {0}, ""),
    ("json_lines.jsonl", "\n".join(f'{{"x":{i % 9},"n":{{"d":{i % 4}}},"l":[1,2],"y":{i % 2}}}' for i in range(100)) + "\n", {0}, ""),
    ("json_numbers_beyond_the_limit.jsonl", "\n".join(f'{{"x":{i % 4}e99999,"y":{i % 2}}}' for i in range(50)) + "\n", {0}, ""),
    ("all_missing.csv", "x,c,y\n" + "\n".join(f",NA,{i % 2}" for i in range(100)) + "\n", {3}, "no column is left"),
    ("only_the_target.csv", "y\n" + "\n".join(str(i % 2) for i in range(50)) + "\n", {3}, "no column is left"),
    ("empty.csv", "", {3}, "empty.csv: the file is empty"),
    ("blank.csv", "\n\n\n", {3}, "the file is empty"),
    ("header_only.csv", "x,c,y\n", {3}, "there is a header and no row"),
    ("one_row.csv", "x,c,y\n1,a,0\n", {3}, "one value"),
    ("two_rows.csv", "x,c,y\n1,a,0\n2,b,1\n", {3}, "too many to learn"),
    ("three_rows.csv", "x,c,y\n1,a,0\n2,b,1\n3,a,0\n", {3}, "too many to learn"),
    ("too_few_fields.csv", GOOD + "1,2\n", {3}, "too_few_fields.csv:202:1: found 2 fields"),
    ("too_many_fields.csv", GOOD + "1,2,3,4\n", {3}, "too_many_fields.csv:202:7: found more"),
    ("unclosed_quote.csv", GOOD + '1,"abc,0\n2,b,1\n', {3}, "unclosed_quote.csv:202:3: a quote opens"),
    ("text_after_a_quote.csv", GOOD + '1,"abc"d,0\n', {3}, "text_after_a_quote.csv:202:8:"),
    ("zero_byte.csv", GOOD + "1,a\0b,1\n", {3}, "zero_byte.csv:202:4: found a zero byte"),
    ("zeros.csv", b"\0" * 1000, {3}, "zero byte"),
    ("random.bin", bytes(random.randrange(256) for _ in range(50000)), {3}, "random.bin"),
    ("utf16.csv", GOOD.encode("utf-16"), {3}, "UTF-16"),
    ("no_target.csv", GOOD.replace("x,c,y", "x,c,z"), {2}, "there is no column 'y'"),
    ("missing_target.csv", GOOD + "1,a,\n", {3}, "missing in 1 of 201 rows, first in row 201"),
    ("one_class.csv", table(lambda i: i % 7, 50, lambda i: 1), {3}, "nothing to learn"),
    ("a_class_for_each_row.csv", table(lambda i: i % 7, 300, lambda i: f"k{i}"), {3}, "too many to learn"),
    ("infinite_target.csv", table(lambda i: i % 7, 100, lambda i: "inf" if i == 5 else i * 1.5), {3}, "infinite_target.csv"),
    ("cut_gzip.csv.gz", packed[:len(packed) // 2], {3}, "the gzip data is cut off"),
    ("damaged_gzip.csv.gz", bytes(flipped), {3}, "the gzip data is damaged"),
    ("damaged_zstd.csv.zst", b"\x28\xb5\x2f\xfd" + bytes(range(100)), {3}, "zstd data is damaged"),
    ("only_delimiters.csv", ",,,\n,,,\n,,,\n", {2}, "no column 'y'"),
    ("json_cut.jsonl", '{"x":1,"y":0}\n{"x":1,"y":\n', {3}, "json_cut.jsonl:2:12:"),
    ("json_key_twice.jsonl", '{"x":1,"x":2,"y":1}\n', {3}, "a key comes twice"),
    ("json_deep_array.jsonl", '{"x":' + "[" * 100000 + "\n", {3}, "nested deeper"),
    ("json_deep_object.jsonl", '{"a":' * 2000 + "\n", {3}, "nested deeper"),
    ("json_half_a_pair.jsonl", '{"x":"\\ud800","y":1}\n', {3}, "surrogate"),
    ("json_wrong_word.jsonl", '{"x":tru}\n', {3}, "expected a value"),
    ("json_open_string.jsonl", '{"x":"abc\n', {3}, "not closed"),
    ("json_two_objects_a_line.jsonl", '{"x":1} {"x":2}\n', {3}, "one JSON object a line"),
    ("json_array.jsonl", "[1,2,3]\n", {3}, "json_array.jsonl"),
]


def run(folder, name, content, codes, says):
    path = os.path.join(folder, name)
    with open(path, "wb") as out:
        out.write(content if isinstance(content, bytes) else content.encode())
    try:
        done = subprocess.run([QUERN, "fit", name, "--target", "y", "--trials", "1", "--folds", "2",
                               "--report=", "-o", "model.quern"], cwd=folder,
                              capture_output=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return "it hangs"
    finally:
        os.remove(path)
    text = done.stderr.decode(errors="replace")
    # Notes and lines of progress ("[0s] …") are not errors.
    errors = [line for line in text.splitlines() if not re.match(r"note: |\[", line)]
    if done.returncode not in codes:
        return f"exit {done.returncode}, not {codes}: {text[:300]}"
    if says not in text:
        return f"'{says}' is not in: {text[:300]}"
    if re.search("sanitizer|runtime error", text, re.I):
        return text[:2000]
    if done.returncode != 0 and len(errors) != 1:
        return f"{len(errors)} lines rather than one: {text[:300]}"
    return None


def main():
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            problem = run(folder, *case)
            print(f"[  FAILED  ] {re.sub('[^a-z0-9_]', '_', case[0])}\n{problem}" if problem
                  else f"[       OK ] {re.sub('[^a-z0-9_]', '_', case[0])}")
            failed |= problem is not None
    sys.exit(failed)


if __name__ == "__main__":
    main()
