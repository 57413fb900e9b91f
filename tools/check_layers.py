#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds every #include in src/ against the order of the layers, and every third-party header
against the one folder that may include it. Prints one line per breach; exit 1 if there is any."""
import pathlib
import re
import sys

LAYERS = ["base", "crypto", "linalg", "database", "frame", "source", "stats", "validate", "metric", "recipe", "model",
          "explain", "bundle", "store", "report", "monitor", "serve", "learn", "evaluate", "search",
          "analysis", "automl", "pipeline", "cli"]
OWNERS = {"jansson.h": "base", "xxhash.h": "base", "yaml.h": "base", "cblas.h": "linalg", "lapacke.h": "linalg",
          "zlib.h": "source", "zstd.h": "source", "sqlite3.h": "database", "libpq-fe.h": "database", "llhttp.h": "serve", "sodium.h": "crypto", "openssl": "crypto"}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)

root = pathlib.Path(__file__).resolve().parent.parent
breaches = []
for path in sorted(root.glob("src/**/*.[ch]")):
    folder = path.relative_to(root / "src").parts[0]
    for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
        top = name.split("/")[0]
        shown = path.relative_to(root)
        if top in LAYERS and "/" in name and LAYERS.index(top) > LAYERS.index(folder):
            breaches.append(f"{shown}: includes {name}, which stands above {folder}")
        owner = OWNERS.get(name, OWNERS.get(top, folder))
        if owner != folder:
            breaches.append(f"{shown}: only src/{owner} includes {name}")
names = {}
for path in sorted(root.glob("src/**/*.[ch]")):
    if names.setdefault(path.name, path) != path:
        breaches.append(f"{path.relative_to(root)}: the name stands at {names[path.name].relative_to(root)} too")
print("\n".join(breaches))
sys.exit(1 if breaches else 0)
