#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does --budget hold? Fits every table of DIR with a 20 % test part and says how late it was.

    bench/budget/run.py [--quern build/src/cli/quern] [--data DIR] [--budget 10] [--rounds 1] [TABLE …]

Prints one JSON line per table, value = seconds beyond the budget (the whole process, reading,
refit, report and bundle included), and ends with 1 if one of them is over 5 % and over 0.5 s."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TABLES = {  # target
    "adult": "income", "bank_marketing": "y", "mammography": "class", "sms_spam": "label",
    "california_housing": "median_house_value", "diamonds": "price", "bike_sharing_hour": "cnt",
    "letter": "lettr", "kddcup99_10pct": "label", "telco_churn": "Churn", "titanic": "Survived",
    "german_credit": "credit_risk",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quern", default=str(HERE.parent.parent / "build/src/cli/quern"))
    parser.add_argument("--data", default=str(HERE.parent.parent.parent / "shared/data"))
    parser.add_argument("--budget", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("tables", nargs="*")
    args = parser.parse_args()
    failed = False
    for name in args.tables or TABLES:
        path = next(pathlib.Path(args.data).rglob(name + ".*"), None) or next(
            pathlib.Path(args.data).rglob(name + "_train.*"))
        worst, code = 0.0, 0
        for _ in range(args.rounds):
            with tempfile.TemporaryDirectory() as folder:
                begun = time.perf_counter()
                done = subprocess.run(
                    [args.quern, "fit", str(path), "--target", TABLES[name], "--budget",
                     f"{args.budget}s", "--test-fraction", "0.2", "--quiet",
                     "-o", os.path.join(folder, "m.qn")],
                    capture_output=True, text=True, check=False)
                worst = max(worst, time.perf_counter() - begun)
                code = code or done.returncode
                if done.returncode:
                    print(done.stderr, file=sys.stderr)
        late = worst - args.budget
        held = code == 0 and late <= max(0.5, 0.05 * args.budget)
        failed |= not held
        print(json.dumps({"figure": f"budget {args.budget:g} s {name}", "value": round(late, 2),
                          "unit": "s late", "held": held}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
