#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What credentials and TLS cost the server for each request: `GET /version` over 64 connections kept
alive, plain, with an API key, with a token of RS256 that comes again and tokens of HS256 that
are new each time, by TLS, and with all limits on.

    bench/serve/security.py [--program build/quern] [--seconds 3] [--rounds 5]

Needs wrk and openssl. Server and client have one core each. The ways take turns; figures are medians
of the server's own CPU time for each request. Prints a JSON line for each figure."""
import argparse
import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

from run import cpu_seconds

N_TOKENS = 4096

LUA = """
local tokens, n, i = {{}}, 0, 0
init = function()
    for line in io.lines("{path}") do n = n + 1; tokens[n] = wrk.format("GET", "/version",
        {{["Authorization"] = "Bearer " .. line, ["Host"] = "a"}}) end
end
request = function() i = i % n + 1; return tokens[i] end
"""


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token_of(kid, algorithm, sign, number):
    header = {"alg": algorithm, "kid": kid}
    claims = {"iss": "us", "aud": "quern", "exp": 4e9, "sub": f"client{number}", "scope": "read predict"}
    text = ".".join(encode(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{encode(sign(text.encode()))}"


def make_files(folder, program, train):
    def run(*words, **options):
        return subprocess.run([str(word) for word in words], check=True, capture_output=True, **options).stdout

    run(program, "fit", train, "--target", "class", "--trials", 1, "--report", "", "-o", folder / "m.quern")
    (folder / "key").write_bytes(run(program, "keys", "create", folder / "keys.json"))
    secret = os.urandom(32)
    run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", folder / "rsa.key")
    modulus = bytes.fromhex(run("openssl", "rsa", "-in", folder / "rsa.key", "-noout", "-modulus")
                            .decode().strip().split("=")[1])

    def sign_rsa(text):
        return run("openssl", "dgst", "-sha256", "-sign", folder / "rsa.key", input=text)

    def sign_hmac(text):
        return hmac.new(secret, text, hashlib.sha256).digest()

    jwks = {"keys": [{"kty": "oct", "kid": "h", "k": encode(secret)},
                     {"kty": "RSA", "kid": "r", "n": encode(modulus), "e": "AQAB"}]}
    (folder / "jwks.json").write_text(json.dumps(jwks))
    os.chmod(folder / "jwks.json", 0o600)
    (folder / "same").write_text(token_of("r", "RS256", sign_rsa, 0) + "\n")
    (folder / "new_hs256").write_text("".join(token_of("h", "HS256", sign_hmac, i) + "\n"
                                              for i in range(N_TOKENS)))
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", "/CN=a", "-keyout", folder / "tls.key", "-out", folder / "tls.pem")
    os.chmod(folder / "tls.key", 0o600)


def measure(folder, server, seconds):
    process, url, tokens = server
    words = ["taskset", "-c", "1", "wrk", "-t1", "-c64", f"-d{seconds}s"]
    if tokens:
        (folder / "wrk.lua").write_text(LUA.format(path=folder / tokens))
        words += ["-s", folder / "wrk.lua"]
    before = cpu_seconds(process.pid)
    done = subprocess.run([*words, f"{url}/version"], capture_output=True, text=True, check=True)
    if "Non-2xx" in done.stdout:
        raise RuntimeError(done.stdout)
    n = int(re.search(r"(\d+) requests in", done.stdout).group(1))
    return (cpu_seconds(process.pid) - before) / n * 1e6


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="build/quern")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    source = pathlib.Path(__file__).resolve().parent.parent.parent
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        make_files(folder, args.program, source / "examples/credit/train.csv")
        keys = ["--keys", folder / "keys.json"]
        jwks = ["--jwks", folder / "jwks.json", "--jwt-issuer", "us", "--jwt-audience", "quern"]
        tls = ["--tls-cert", folder / "tls.pem", "--tls-key", folder / "tls.key"]
        rate = ["--rate", "100000", "--rate-burst", "1000000"]
        ways = {"plain": ([], None), "no sandbox": (["--sandbox", "off"], None), "key": (keys, "key"),
                "token again": (jwks, "same"), "token new HS256": (jwks, "new_hs256"),
                "TLS": (tls, None),
                "TLS key rate": ([*tls, *keys, *rate], "key")}
        servers = {}
        try:
            for port, (name, (words, tokens)) in enumerate(ways.items(), 18441):
                process = subprocess.Popen([str(word) for word in (
                    "taskset", "-c", "0", args.program, "serve", folder / "m.quern", "--quiet", "--threads", 1,
                    "--listen", f"127.0.0.1:{port}", *words)])
                servers[name] = (process, f"http{'s' if '--tls-cert' in words else ''}://127.0.0.1:{port}", tokens)
            time.sleep(1)
            rounds = {name: [] for name in servers}
            for _ in range(args.rounds):
                for name, server in servers.items():
                    rounds[name].append(measure(folder, server, args.seconds))
            plain = statistics.median(rounds["plain"])
            for name, values in rounds.items():
                value = statistics.median(values)
                print(json.dumps({"figure": f"cpu_us {name}", "value": round(value, 2), "unit": "us", "peer": "plain",
                                  "peer_value": round(plain, 2), "ratio": round(value / plain, 3)}), flush=True)
        finally:
            for process, _, _ in servers.values():
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
