#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What protects the server as a program: TLS, keys from the command line, their rotation, slow and
hostile clients of TLS, the sandbox, and that no log has a secret.
usage: serve_security.py QUERN SOURCE"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import time

from serving import (LIMIT_S, QUERN, SLOWNESS, main, make_authority, make_certificate, quern, run, server, test,
                     wait_for)


def context_of(folder, client=None, **settings):
    context = ssl.create_default_context(cafile=folder / "authority.pem")
    if client:
        context.load_cert_chain(folder / f"{client}.pem", folder / f"{client}.key")
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def tls_options(folder, name="server"):
    return ["--tls-cert", folder / f"{name}.pem", "--tls-key", folder / f"{name}.key"]


def predict(connection, body, **headers):
    connection.request("POST", "/v1/models/credit", body, {"Content-Type": "text/csv", **headers})
    reply = connection.getresponse()
    return reply, reply.read().decode()


def connect(folder, port, **settings):
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=LIMIT_S,
                                       context=context_of(folder, **settings))


@test
def replies_are_the_same_by_tls(folder):
    body = (folder / "holdout.csv").read_text()
    expected = run(QUERN, "predict", folder / "credit.quern", folder / "holdout.csv").stdout
    with server(folder / "credit.quern", *tls_options(folder)) as (_, port, lines):
        assert any("https://127.0.0.1" in line for line in lines)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            connection = connect(folder, port, minimum_version=version, maximum_version=version)
            for _ in range(3):  # keep-alive
                reply, text = predict(connection, body)
                assert reply.status == 200 and text == expected
                assert "max-age" in reply.headers["strict-transport-security"]
            large = body + "".join(body.split("\n", 1)[1] for _ in range(200))
            reply, text = predict(connection, large)  # many records both ways
            assert reply.status == 200 and text.count("\n") == large.count("\n")
        done = run("curl", "-sS", "--cacert", folder / "authority.pem", "-H",
                   "Content-Type: text/csv", "--data-binary", f"@{folder / 'holdout.csv'}",
                   f"https://127.0.0.1:{port}/v1/models/credit")
        assert done.stdout == expected, done


@test
def old_protocols_and_weak_ciphers_are_refused(folder):
    with server(folder / "credit.quern", *tls_options(folder)) as (_, port, _):
        for options in (["-tls1"], ["-tls1_1"], ["-tls1_2", "-cipher", "AES128-SHA:AES256-GCM-SHA384"],
                        ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]):
            done = run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options,
                       "-cipher", *(options[2:] or ["DEFAULT@SECLEVEL=0"]), input="")
            assert "Cipher is (NONE)" in done.stdout, (options, done.stdout)
        done = run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-alpn", "h2,http/1.1",
                   "-tls1_3", input="")
        assert "ALPN protocol: http/1.1" in done.stdout
        assert http.client.HTTPSConnection("127.0.0.1", port, context=context_of(folder))


@test
def what_is_no_tls_ends(folder):
    with server(folder / "credit.quern", *tls_options(folder)) as (_, port, _):
        for data in (b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"A" * 70000,
                     b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x00" * 100, b"\x80\x2e\x01\x00\x02"):
            with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as one:
                with contextlib.suppress(OSError):
                    one.sendall(data)
                    one.shutdown(socket.SHUT_WR)
                    while one.recv(4096):
                        pass
        reply, _ = predict(connect(folder, port), (folder / "holdout.csv").read_text())
        assert reply.status == 200


@test
def slow_clients_of_tls_are_closed_in_time(folder):
    words = [folder / "credit.quern", *tls_options(folder), "--read-time", f"{0.5 * SLOWNESS}s",
             "--idle-time", f"{SLOWNESS}s"]
    with server(*words) as (_, port, _):
        def raw(text):
            one = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
            one.sendall(text)
            return one

        def shaken(text):
            one = context_of(folder).wrap_socket(raw(b""), server_hostname="127.0.0.1")
            one.sendall(text)
            return one

        slow = [raw(b""), raw(b"\x16"), raw(b"\x16\x03\x01\x02\x00\x01\x00"), shaken(b""),
                shaken(b"GET /li"),
                shaken(b"POST /v1/models/credit HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1")]
        begun = time.monotonic()
        for one in slow:
            with contextlib.suppress(OSError):
                while one.recv(4096):
                    pass
        assert time.monotonic() - begun < 10 * SLOWNESS
        # a record a moment does not buy more time than a request has
        one = shaken(b"POST /v1/models/credit HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n")
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - begun < 8 * SLOWNESS:
                one.sendall(b" ")
                time.sleep(0.1)
        assert time.monotonic() - begun < 5 * SLOWNESS


@test
def certificates_are_replaced_without_a_dropped_connection(folder):
    body = (folder / "holdout.csv").read_text()
    served = folder / "served"
    served.mkdir()
    for end in ("pem", "key"):
        shutil.copy(folder / f"server.{end}", served / f"server.{end}")

    def serial(port):
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as one:
            with context_of(folder).wrap_socket(one, server_hostname="127.0.0.1") as tls:
                return tls.getpeercert()["serialNumber"]

    with server(folder / "credit.quern", *tls_options(served)) as (process, port, lines):
        old, before = connect(folder, port), serial(port)
        assert predict(old, body)[0].status == 200
        first_socket = old.sock
        (served / "server.key").write_text("half a key")  # a copy that is under way
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: any("go on" in line for line in lines))
        assert serial(port) == before
        for end in ("key", "pem"):
            shutil.copy(folder / f"second.{end}", served / f"new.{end}")
            os.replace(served / f"new.{end}", served / f"server.{end}")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: any("read anew" in line for line in lines))
        wait_for(lambda: serial(port) != before)
        assert predict(old, body)[0].status == 200 and old.sock is first_socket


@test
def only_clients_of_the_authority_may_connect(folder):
    body = (folder / "holdout.csv").read_text()
    with server(folder / "credit.quern", *tls_options(folder), "--tls-client-ca",
                folder / "authority.pem", "--audit", folder / "client.jsonl") as (_, port, _):
        connection = connect(folder, port, client="alice")
        assert predict(connection, body)[0].status == 200
        for client in (None, "mallory"):
            try:
                predict(connect(folder, port, client=client), body)
                raise AssertionError(f"{client} was let in")
            except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected):
                pass
    with server(folder / "credit.quern", *tls_options(folder), "--tls-client-ca",
                folder / "authority.pem", "--keys", folder / "keys.json") as (_, port, _):
        connection = connect(folder, port, client="alice")
        assert predict(connection, body)[0].status == 401  # both are asked for
        key = (folder / "key.txt").read_text().strip()
        assert predict(connection, body, Authorization=f"Bearer {key}")[0].status == 200


@test
def a_lack_of_descriptors_is_survived_by_tls(folder):
    limited = ["sh", "-c", "ulimit -n 40; exec \"$@\"", "sh"]
    with server(folder / "credit.quern", *tls_options(folder), prefix=limited) as (process, port, _):
        sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
        time.sleep(0.3)
        ticks = float(pathlib.Path(f"/proc/{process.pid}/stat").read_text().split()[13])
        time.sleep(0.5)
        spent = float(pathlib.Path(f"/proc/{process.pid}/stat").read_text().split()[13]) - ticks
        assert spent < 20, f"{spent} ticks of CPU: it spins"
        for one in sockets:
            one.close()
        time.sleep(0.3)
        reply, _ = predict(connect(folder, port), (folder / "holdout.csv").read_text())
        assert reply.status == 200


@test
def keys_come_and_go_by_the_command_line(folder):
    keys, body = folder / "rotated.json", (folder / "holdout.csv").read_text()
    done = run(QUERN, "keys", "create", keys, "--name", "one", "--roles", "predict", "--model", "credit")
    first = done.stdout.strip()
    assert done.returncode == 0 and re.fullmatch(r"quern_[0-9a-f]{16}_[\w-]{43}", first), done
    assert keys.stat().st_mode & 0o777 == 0o600 and first[23:] not in keys.read_text()
    with server(folder / "credit.quern", "--keys", keys) as (process, port, lines):
        def status(key):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
            return predict(connection, body, Authorization=f"Bearer {key}")[0].status

        assert status(first) == 200 and status(first[:-1]) == 401
        second = run(QUERN, "keys", "create", keys, "--expires", "2s").stdout.strip()
        made = time.monotonic()
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: any("read anew" in line for line in lines))
        assert run(QUERN, "keys", "revoke", keys, first[6:22]).returncode == 0
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: sum("read anew" in line for line in lines) == 2)
        assert status(first) == 401
        assert status(second) == 200 or time.monotonic() - made > 2
        time.sleep(max(0, 2.1 - (time.monotonic() - made)))
        assert status(second) == 401
        listed = run(QUERN, "keys", "list", keys).stdout
        assert "(expired)" in listed and first[6:22] not in listed
    os.chmod(keys, 0o644)
    done = run(QUERN, "serve", folder / "credit.quern", "--keys", keys, "--listen", "127.0.0.1:0")
    assert done.returncode == 3 and "chmod 600" in done.stderr, done


@test
def no_log_has_a_secret(folder):
    key = (folder / "key.txt").read_text().strip()
    audit, body = folder / "audit.jsonl", (folder / "holdout.csv").read_text()
    secrets = [key, key[23:], "CANARYtoken", "CANARYcell", "CANARYquery", "CANARYbasic"]
    with server(folder / "credit.quern", *tls_options(folder), "--keys", folder / "keys.json",
                "--audit", audit) as (process, port, lines):
        connection = connect(folder, port)
        for value in (f"Bearer {key}", f"Bearer {key}x", "Bearer a.CANARYtoken.b", "Basic CANARYbasic",
                      f"Bearer {key[:-2]}"):
            replies = [predict(connection, body, Authorization=value)[1],
                       predict(connection, body + "CANARYcell,x\n", Authorization=value)[1]]
            connection.request("GET", f"/v1/models?key={key}&x=CANARYquery", headers={"Authorization": value})
            reply = connection.getresponse()
            replies += [reply.read().decode(), str(reply.headers)]
            assert not any(key in text or "CANARYtoken" in text for text in replies)
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {key}"})
        metrics = connection.getresponse().read().decode()
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=LIMIT_S)
    text = audit.read_text() + "\n".join(lines) + metrics
    assert '"status":401' in text
    for secret in secrets:
        assert secret not in text, secret
    for line in audit.read_text().splitlines():
        json.loads(line)


@test
def the_audit_log_goes_on_after_a_rotation(folder):
    audit = folder / "rotated.jsonl"
    with server(folder / "credit.quern", "--keys", folder / "keys.json", "--audit",
                audit) as (process, port, _):
        def refused():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
            assert predict(connection, "")[0].status == 401

        refused()
        os.rename(audit, folder / "rotated.1")
        process.send_signal(signal.SIGHUP)
        wait_for(audit.exists)
        refused()
        wait_for(lambda: '"refused"' in audit.read_text())
        assert (folder / "rotated.1").read_text().count('"refused"') == 1


@test
def files_that_cannot_be_are_said(folder):
    (folder / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    shutil.copy(folder / "server.key", folder / "open.key")
    os.chmod(folder / "open.key", 0o644)
    pem, key = folder / "server.pem", folder / "server.key"
    for words, code, part in (
            (["--tls-cert", pem], 2, "given together"),
            (["--tls-cert", pem, "--tls-key", folder / "second.key"], 3, "second.key"),
            (["--tls-cert", folder / "broken.pem", "--tls-key", key], 3, "broken.pem"),
            (["--tls-cert", folder / "none.pem", "--tls-key", key], 3, "none.pem"),
            (["--tls-cert", pem, "--tls-key", folder / "open.key"], 3, "chmod 600"),
            (["--tls-cert", pem, "--tls-key", key, "--tls-client-ca", folder / "broken.pem"], 3,
             "broken.pem"),
            (["--jwks", pem], 2, "--jwt-audience"),
            (["--keys", pem], 3, "server.pem"),
            (["--audit", "/nowhere/audit"], 1, "--audit /nowhere/audit"),
            (["--rate", "-1"], 2, "--rate"),
            (["--listen", "0.0.0.0:0", "--keys", folder / "keys.json"], 2, "--insecure-http")):
        done = run(QUERN, "serve", folder / "credit.quern", "--listen", "127.0.0.1:0", *words)
        assert done.returncode == code and part in done.stderr, (words, done)


@test
def the_sandbox_lets_the_server_do_its_work(folder):
    served, elsewhere = folder / "served_models", folder / "elsewhere"
    served.mkdir()
    elsewhere.mkdir()
    shutil.copy(folder / "credit.quern", served / "credit.quern")
    shutil.copy(folder / "other.quern", elsewhere / "other.quern")
    body = (folder / "holdout.csv").read_text()
    for words in ([], ["--read-folder", elsewhere]):
        with server(served / "credit.quern", "--audit", folder / "sandbox.jsonl",
                    *words) as (process, port, lines):
            if not any("sandbox: landlock and seccomp" in line for line in lines):
                print("  (this kernel, or this build, has no whole sandbox)")
                return
            for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
                status = (task / "status").read_text()
                assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)

            def model():
                reply, _ = predict(connection, body)
                assert reply.status == 200
                return reply.headers["quern-model"]

            first = model()
            shutil.copy(folder / "other.quern", served / "new")
            os.replace(served / "new", served / "credit.quern")
            process.send_signal(signal.SIGHUP)
            wait_for(lambda: model() != first)
            second = model()
            shutil.copy(folder / "credit.quern", elsewhere / "credit.quern")
            (served / "link").symlink_to(elsewhere / "credit.quern")
            os.replace(served / "link", served / "credit.quern")
            process.send_signal(signal.SIGHUP)
            if words:
                wait_for(lambda: model() == first)
            else:
                wait_for(lambda: any("Permission denied" in line for line in lines))
                assert model() == second
            connection.request("GET", "/metrics")
            metrics = connection.getresponse().read().decode()
            assert re.search(r"^process_open_fds [1-9]", metrics, re.M)
            assert re.search(r"^process_resident_memory_bytes [1-9]", metrics, re.M)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=LIMIT_S) == 0
        (served / "credit.quern").unlink()
        shutil.copy(folder / "credit.quern", served / "credit.quern")


@test
def the_sandbox_is_as_it_is_asked_for(folder):
    with server(folder / "credit.quern", "--sandbox", "off") as (process, _, lines):
        assert any("sandbox: none" in line for line in lines), lines
        texts = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in (process.pid, "self")]
        # A container may have a filter of its own around everything.
        assert len({re.search(r"Seccomp:\t(\d)", text).group(1) for text in texts}) == 1
    done = run(QUERN, "serve", folder / "credit.quern", "--sandbox", "perhaps")
    assert done.returncode == 2 and "auto, on or off" in done.stderr


def prepare(folder):
    make_authority(folder, "authority")
    make_authority(folder, "stranger")
    for name, authority in (("server", "authority"), ("second", "authority"), ("alice", "authority"),
                            ("mallory", "stranger")):
        make_certificate(folder, name, authority)
    (folder / "key.txt").write_text(quern("keys", "create", folder / "keys.json").stdout)


main(prepare)
