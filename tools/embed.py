#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes files part of the program: a C source with an array of bytes for each, terminated by a zero,
named after the file (page.css: qn_page_css).
usage: embed.py OUT.c FILE..."""
import pathlib
import re
import sys

lines = ["/* Made by tools/embed.py from the files it names. */", '#include "serve/http/embedded_files.h"', ""]
for path in map(pathlib.Path, sys.argv[2:]):
    name = re.sub(r"\W", "_", path.name)
    data = path.read_bytes() + b"\0"
    lines.append(f"const char qn_{name}[{len(data)}] = {{ /* {path.name} */")
    for i in range(0, len(data), 16):
        lines.append("    " + ", ".join(str(b if b < 128 else b - 256) for b in data[i:i + 16]) + ",")
    lines.append("};")
pathlib.Path(sys.argv[1]).write_text("\n".join(lines) + "\n", encoding="utf-8")
