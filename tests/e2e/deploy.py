#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The files of deploy/ say what the program takes: a server started with the arguments of
kubernetes.yaml, and one with the options of README.md, become ready and want a key; systemd and
Kubernetes accept the files where their checkers are installed. usage: deploy.py QUERN SOURCE"""
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

quern, source = (pathlib.Path(p).absolute() for p in sys.argv[1:3])
deploy = source / "deploy"


def run(*command, **others):
    return subprocess.run([str(c) for c in command], check=True, timeout=120, **others)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def prepare(folder):
    table = source / "examples" / "credit" / "train.csv"
    run(quern, "fit", table, "--target", "class", "--trials", "1", "--folds", "2", "--quiet",
        "--report", "", "-o", folder / "credit.quern", stdout=subprocess.DEVNULL)
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
        folder / "tls.key", "-out", folder / "tls.crt", stderr=subprocess.DEVNULL)
    run(quern, "keys", "create", folder / "keys.json", "--name", "batch", "--roles", "read",
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for name in ("tls.key", "keys.json"):  # as secrets of a group are mounted
        os.chmod(folder / name, 0o440)


def serves(folder, port, arguments):
    context = ssl.create_default_context(cafile=folder / "tls.crt")
    server = subprocess.Popen([str(quern), *arguments], stderr=subprocess.PIPE, text=True)
    url = f"https://127.0.0.1:{port}"
    try:
        for _ in range(400):
            try:
                with urllib.request.urlopen(f"{url}/readyz", timeout=2, context=context) as reply:
                    assert reply.status == 200
                break
            except OSError:
                assert server.poll() is None, server.stderr.read()
                time.sleep(0.05)
        else:
            raise AssertionError("the server did not become ready")
        try:
            urllib.request.urlopen(f"{url}/v1/models", timeout=5, context=context)
            raise AssertionError("no key was asked for")
        except urllib.error.HTTPError as error:
            assert error.code == 401, error.code
    finally:
        server.terminate()
        assert server.wait(30) == 0


def as_in_kubernetes(folder):
    text = (deploy / "kubernetes.yaml").read_text()
    block = re.search(r"args:\n((?: +- .*\n)+)", text).group(1)
    arguments = re.findall(r"- (.+)", block)
    port = free_port()
    for place in ("/models/", "/tls/", "/keys/"):
        arguments = [a.replace(place, f"{folder}/") for a in arguments]
    arguments = [a.replace("0.0.0.0:8080", f"127.0.0.1:{port}") for a in arguments]
    # A pod ends slowly for the sake of its balancer; a test need not.
    arguments = [a.replace("--drain-delay=5s", "--drain-delay=1s") for a in arguments]
    serves(folder, port, arguments)


def as_in_readme(folder):
    text = (deploy / "README.md").read_text()
    options = re.search(r"for example\n\n((?:    [a-z-]+: .*\n)+)", text).group(1)
    port = free_port()
    options = options.replace("/etc/quern/", f"{folder}/").replace("/var/log/quern/", f"{folder}/")
    options = options.replace("0.0.0.0:8443", f"127.0.0.1:{port}").replace("    ", "")
    (folder / "serve.yaml").write_text(options)
    unit = (deploy / "quern-serve.service").read_text()
    words = re.search(r"quern (serve --config \S+) (\S+)'", unit)
    assert words and words.group(1) == "serve --config /etc/quern/serve.yaml", unit
    serves(folder, port, ["serve", "--config", f"{folder}/serve.yaml", f"{folder}/credit.quern"])


def as_in_sagemaker(folder):
    text = (deploy / "README.md").read_text()
    options = re.search(r"has the options:\n\n((?:    [a-z-]+: .*\n)+)", text).group(1)
    assert 'ENTRYPOINT ["/quern", "serve", "--config"]' in text
    port = free_port()
    (folder / "models" / "credit").mkdir(parents=True)
    shutil.copy(folder / "credit.quern", folder / "models" / "credit" / "1.quern")
    options = options.replace("/opt/ml/model", f"{folder}/models").replace("    ", "")
    (folder / "serve").write_text(options.replace("0.0.0.0:8080", f"127.0.0.1:{port}"))
    with open(source / "examples" / "credit" / "holdout.csv", encoding="utf-8") as table:
        names, values = (table.readline().strip().split(",") for _ in range(2))
    body = json.dumps({"instances": [dict(zip(names, values))]}).encode()
    server = subprocess.Popen([str(quern), "serve", "--config", "serve"], cwd=folder)
    try:
        for _ in range(400):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2)
                break
            except OSError:
                assert server.poll() is None
                time.sleep(0.05)
        request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body,
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert len(json.load(reply)["predictions"]) == 1
    finally:
        server.terminate()
        assert server.wait(30) == 0


def checked_by_their_owners(folder):
    if shutil.which("systemd-analyze"):
        unit = (deploy / "quern-serve.service").read_text()
        unit = re.sub(r"ExecStart=.*", "ExecStart=/bin/true", re.sub("Documentation.*", "", unit))
        (folder / "quern-serve.service").write_text(unit)
        shutil.copy(deploy / "quern-serve.socket", folder)
        done = subprocess.run(["systemd-analyze", "verify", folder / "quern-serve.service",
                               folder / "quern-serve.socket"],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "quern-serve" not in done.stderr, done.stderr
    if shutil.which("kubernetes-validate"):
        run("kubernetes-validate", "--strict", deploy / "kubernetes.yaml",
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


with tempfile.TemporaryDirectory() as temporary:
    place = pathlib.Path(temporary)
    prepare(place)
    as_in_kubernetes(place)
    as_in_readme(place)
    as_in_sagemaker(place)
    checked_by_their_owners(place)
print("ok")
