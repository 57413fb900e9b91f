# SPDX-License-Identifier: Apache-2.0
"""What the tests of the server as a program share: the program, servers, a list of tests."""
import contextlib
import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

QUERN, SOURCE = (os.path.abspath(path) for path in sys.argv[1:3])
TESTS = []
SANITIZED = any(name in pathlib.Path(QUERN).read_bytes() for name in (b"__asan_init", b"__tsan_init"))
FIT_S = 0.4  # of the fit below, by a plain build on a machine that is idle


def slowness():
    """How much longer things take: by sanitizers, by what else the machine does."""
    with tempfile.TemporaryDirectory() as work:
        begun = time.monotonic()
        subprocess.run([QUERN, "fit", f"{SOURCE}/examples/credit/train.csv", "--target", "class", "--trials", "1",
                        "--learners", "logistic", "--threads", "1", "--report", "", "--quiet", "-o",
                        f"{work}/m.quern"], check=True, capture_output=True)
        return max(10 if SANITIZED else 1, (time.monotonic() - begun) / FIT_S)


SLOWNESS = slowness()
LIMIT_S = 60 * SLOWNESS  # for anything that a test waits for
PATIENT_OPTIONS = ["--queue-time", f"{LIMIT_S}s"]  # what a busy machine must not turn into refusals
if SANITIZED:
    PATIENT_OPTIONS += ["--request-time", f"{LIMIT_S}s", "--drain-time", f"{LIMIT_S}s"]


def test(function):
    """Marks a function of the folder to work in as a test."""
    TESTS.append(function)
    return function


def run(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=200 * SLOWNESS,
                          check=False, **options)


def quern(*words, **options):
    return run(QUERN, *words, **options)


def make_authority(folder, name):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", "-days", "2", "-subj",
        f"/CN={name}").check_returncode()


def make_certificate(folder, name, authority, extension="subjectAltName=IP:127.0.0.1,DNS:localhost"):
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr", "-subj",
        f"/CN={name}").check_returncode()
    (folder / "extensions").write_text(extension)
    run("openssl", "x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / f"{authority}.pem",
        "-CAkey", folder / f"{authority}.key", "-CAcreateserial", "-days", "2", "-out",
        folder / f"{name}.pem", "-extfile", folder / "extensions").check_returncode()
    os.chmod(folder / f"{name}.key", 0o600)


@contextlib.contextmanager
def server(*words, prefix=(), listen="127.0.0.1:0"):
    """A running server; yields (process, port, lines of stderr so far)."""
    process = subprocess.Popen([*prefix, QUERN, "serve", "--listen", listen, *PATIENT_OPTIONS, *map(str, words)],
                               stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line.rstrip("\n"))
        if line.strip() == "quern serve: ready":
            break
    reader = threading.Thread(target=lambda: lines.extend(l.rstrip("\n") for l in process.stderr))
    reader.start()
    try:
        assert lines and lines[-1] == "quern serve: ready", lines
        port = re.search(r"https?://127\.0\.0\.1:(\d+)", "\n".join(lines))
        yield process, int(port.group(1)) if port else None, lines
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join()
        process.stderr.close()


def wait_for(condition):
    for _ in range(round(400 * SLOWNESS)):
        if condition():
            return
        time.sleep(0.025)
    raise AssertionError("waited in vain")


def post(port, path, body, content_type):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body.encode(),
                                     {"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=LIMIT_S) as reply:
        return reply.read().decode(), reply.headers


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def value_of(text):
    if text == "":
        return None
    return json.loads(text) if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", text) else text


def main(prepare=None):
    """Runs the tests in a folder with credit.quern, other.quern and holdout.csv."""
    failed = False
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        for name, seed in (("credit", 1), ("other", 2)):
            done = quern("fit", f"{SOURCE}/examples/credit/train.csv", "--target", "class",
                         "--trials", 2, "--seed", seed, "--report", "", "-o",
                         folder / f"{name}.quern")
            assert done.returncode == 0, done.stderr
        shutil.copy(f"{SOURCE}/examples/credit/holdout.csv", folder / "holdout.csv")
        if prepare:
            prepare(folder)
        for function in TESTS:
            try:
                function(folder)
                print(f"[       OK ] {function.__name__}", flush=True)
            except Exception as error:  # pylint: disable=broad-except
                failed = True
                print(f"[  FAILED  ] {function.__name__}\n{type(error).__name__}: {error}", flush=True)
    sys.exit(1 if failed else 0)
