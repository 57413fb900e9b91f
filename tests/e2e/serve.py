#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server as a program, met by clients that others wrote: curl and Python's own. What it answers
must be, byte for byte, what `quern predict` writes; signals must do what they should; limits of the
system must not end it.
usage: serve.py QUERN SOURCE"""
import csv
import gzip
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
import urllib.error
import urllib.request
import zlib

from serving import (LIMIT_S, QUERN, SANITIZED, SLOWNESS, SOURCE, main, post, quern, rows_of, server, test, value_of,
                     wait_for)


@test
def replies_are_what_predict_writes(folder):
    table = folder / "holdout.csv"
    csv_text = quern("predict", folder / "credit.quern", table).stdout
    lines_text = quern("predict", folder / "credit.quern", table, "--json").stdout
    expected = [json.loads(line) for line in lines_text.splitlines()]
    rows = [{k: value_of(v) for k, v in row.items() if k != "class"} for row in rows_of(table)]
    columns = list(rows[0])
    with server(folder / "credit.quern") as (_, port, _):
        path = "/v1/models/credit"
        assert post(port, path, table.read_text(), "text/csv")[0] == csv_text
        ndjson = "".join(json.dumps(row) + "\n" for row in rows)
        assert post(port, path, ndjson, "application/x-ndjson")[0] == lines_text
        by_column = {c: [row[c] for row in rows] for c in columns}
        for body in (rows, {"instances": rows}, [list(row.values()) for row in rows],
                     {"columns": by_column},
                     {"columns": columns, "data": [list(row.values()) for row in rows]}):
            reply, headers = post(port, path + ":predict", json.dumps(body), "application/json")
            assert json.loads(reply)["predictions"] == expected
            assert headers["quern-model"].startswith("credit@1 ")
        outputs = json.loads(post(port, path, json.dumps({"inputs": by_column}),
                                  "application/json")[0])["outputs"]
        assert outputs == {key: [row[key] for row in expected] for key in expected[0]}
        for row, one in zip(rows, expected):
            reply = json.loads(post(port, path, json.dumps(row), "application/json")[0])
            assert reply == {"model": "credit", "version": "1", **one}


@test
def requests_that_come_together_are_told_apart(folder):
    lines = quern("predict", folder / "credit.quern", folder / "holdout.csv", "--json").stdout
    expected = [json.loads(line) for line in lines.splitlines()]
    rows = [{k: value_of(v) for k, v in row.items() if k != "class"}
            for row in rows_of(folder / "holdout.csv")]
    wrong = []
    with server(folder / "credit.quern", folder / "other.quern", "--threads", 1) as (_, port, _):

        def ask(first):
            """In packets of three requests, so that the server has many at a time."""
            client = socket.create_connection(("127.0.0.1", port))
            stream = client.makefile("rb")
            for at in range(first, len(rows), 8):
                bodies = [json.dumps(rows[at]), json.dumps(rows[at:at + 20]), "{}"]
                client.sendall("".join(
                    f"POST /v1/models/credit HTTP/1.1\r\nHost: h\r\nContent-Type: application/json"
                    f"\r\nContent-Length: {len(b)}\r\n\r\n{b}" for b in bodies).encode())
                replies = []
                for _ in bodies:
                    length = 0
                    while (line := stream.readline().strip()) != b"":
                        if line.lower().startswith(b"content-length:"):
                            length = int(line.split(b":")[1])
                    replies.append(json.loads(stream.read(length)))
                if replies[0] != {"model": "credit", "version": "1", **expected[at]} or \
                        replies[1]["predictions"] != expected[at:at + 20] or \
                        "is missing" not in replies[2]["error"]:
                    wrong.append(replies)
            client.close()

        clients = [threading.Thread(target=ask, args=(first % 8,)) for first in range(24)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert not wrong, wrong[0]


@test
def what_has_waited_too_long_is_refused(folder):
    rows = [{k: value_of(v) for k, v in row.items() if k != "class"}
            for row in rows_of(folder / "holdout.csv")]
    body = json.dumps(rows)
    request = (f"POST /v1/models/credit HTTP/1.1\r\nHost: h\r\nContent-Type: "
               f"application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
               f"{body}").encode()

    def crowd(port):
        """Replies to many requests that come at once and take long."""
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
        for client in clients:
            client.sendall(request)
        replies = []
        for client in clients:
            with client.makefile("rb") as stream:
                replies.append(stream.read())
            client.close()
        return replies

    with server(folder / "credit.quern", "--threads", 1, "--queue-time", "0.01") as (_, port, _):
        replies = crowd(port)
        refused = [r for r in replies if r.startswith(b"HTTP/1.1 503 ")]
        assert refused
        assert all(b"the server is behind" in r and b"retry-after: 1\r\n" in r
                   for r in refused), refused[0]
        assert len(refused) + sum(r.startswith(b"HTTP/1.1 200 ") for r in replies) == len(replies)

        def answered():
            try:
                return post(port, "/v1/models/credit", body, "application/json")
            except urllib.error.HTTPError:
                return None

        wait_for(answered)
    with server(folder / "credit.quern", "--threads", 1, "--queue-time", "20s") as (_, port, _):
        assert all(r.startswith(b"HTTP/1.1 200 ") for r in crowd(port))


@test
def names_that_json_escapes_are_found(folder):
    names = ['a"b', "c\\d", "größe", "tab\tbed"]
    lines = [[i * 0.5, i % 3, 10 - i, i * i % 7] for i in range(40)]
    with open(folder / "odd.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "y"])
        writer.writerows([*line, line[0] - line[2]] for line in lines)
    quern("fit", folder / "odd.csv", "--target", "y", "--learners", "ridge", "--trials", 1,
          "--report", "", "-o", folder / "odd.quern")
    expected = quern("predict", folder / "odd.quern", folder / "odd.csv", "--json").stdout
    expected = [json.loads(line) for line in expected.splitlines()]
    rows = [dict(zip(names, line)) for line in lines]
    with server(folder / "odd.quern") as (_, port, _):
        for ascii_only in (False, True):
            body = json.dumps(rows, ensure_ascii=ascii_only)
            reply, _ = post(port, "/v1/models/odd", body, "application/json")
            assert json.loads(reply)["predictions"] == expected


@test
def intervals_are_those_of_predict(folder):
    lines = [[i % 17, i * 0.25, (i * i) % 11 + i % 17 * (1 + i % 5)] for i in range(400)]
    with open(folder / "numbers.csv", "w", newline="") as file:
        csv.writer(file).writerows([["a", "b", "y"], *lines])
    quern("fit", folder / "numbers.csv", "--target", "y", "--learners", "gbdt", "--trials", 1,
          "--report", "", "-o", folder / "numbers.quern")

    def told(*options):
        return quern("predict", folder / "numbers.quern", folder / "numbers.csv", *options).stdout

    expected = [json.loads(line) for line in told("--interval", "0.9", "--json").splitlines()]
    assert all(r["lower_bound"] <= r["prediction"] <= r["upper_bound"] for r in expected)
    held = sum(e["lower_bound"] <= y <= e["upper_bound"] for e, (_, _, y) in zip(expected, lines))
    assert held > 0.85 * len(lines), held
    rows = [dict(zip("ab", line)) for line in lines]
    by_column = {c: [row[c] for row in rows] for c in "ab"}
    with server(folder / "numbers.quern", folder / "credit.quern") as (_, port, _):
        path = "/v1/models/numbers?interval=0.9"
        assert post(port, path, "".join(f"{a},{b}\n" for a, b in [("a", "b")] +
                                        [line[:2] for line in lines]), "text/csv")[0] == \
            told("--interval", "90%")
        reply = json.loads(post(port, path, json.dumps(rows), "application/json")[0])
        assert reply["predictions"] == expected
        reply = json.loads(post(port, path, json.dumps({"inputs": by_column}),
                                "application/json")[0])
        assert reply["outputs"] == {k: [e[k] for e in expected] for k in expected[0]}
        tensors = {"inputs": [{"name": c, "shape": [400], "datatype": "FP64", "data": by_column[c]}
                              for c in "ab"],
                   "outputs": [{"name": "interval", "parameters": {"level": 0.9}}]}
        reply = json.loads(post(port, "/v2/models/numbers/infer", json.dumps(tensors),
                                "application/json")[0])
        (interval,) = reply["outputs"]
        assert interval["shape"] == [400, 2] and interval["datatype"] == "FP64"
        assert interval["data"] == [end for e in expected
                                    for end in (e["lower_bound"], e["upper_bound"])]
        del tensors["outputs"]
        reply = json.loads(post(port, "/v2/models/numbers/infer", json.dumps(tensors),
                                "application/json")[0])
        assert [o["name"] for o in reply["outputs"]] == ["prediction"]
        for bad in ("/v1/models/numbers?interval=0.7", "/v1/models/credit?interval=0.9"):
            try:
                post(port, bad, json.dumps(rows[:1]), "application/json")
                raise AssertionError(bad)
            except urllib.error.HTTPError as error:
                assert error.code == 400 and "interval: " in error.read().decode()


@test
def replies_are_explained_as_predict_explains(folder):
    quern("fit", f"{SOURCE}/examples/credit/train.csv", "--target", "class", "--learners", "gbdt",
          "--trials", 1, "--report", "", "-o", folder / "trees.quern")
    lines = quern("predict", folder / "trees.quern", folder / "holdout.csv", "--json",
                  "--explain").stdout.splitlines()
    expected = [json.loads(line) for line in lines]
    rows = [{k: value_of(v) for k, v in row.items() if k != "class"}
            for row in rows_of(folder / "holdout.csv")]
    if SANITIZED:  # three times as many are still more than a block
        rows, expected = rows[:50], expected[:50]
    with server(f"credit={folder / 'trees.quern'}") as (_, port, _):
        path = "/v1/models/credit"
        for query in ("?explain=true", "?x=1&explain", "?explain=1&y"):
            reply = json.loads(post(port, path + query, json.dumps(rows), "application/json")[0])
            assert reply["predictions"] == expected
        many = post(port, path + "?explain=true", "\n".join(map(json.dumps, rows * 3)),
                    "application/x-ndjson")[0]
        assert [json.loads(line) for line in many.splitlines()] == expected * 3
        one = json.loads(post(port, "/invocations?explain=true", json.dumps(rows[0]),
                              "application/json")[0])
        assert one == {"model": "credit", "version": "1", **expected[0]}
        for query in ("?explain=false", "?explained", "?explain=0", ""):
            reply = json.loads(post(port, path + query, json.dumps(rows[0]), "application/json")[0])
            assert "explain" not in reply
        try:
            post(port, path + "?explain=true", (folder / "holdout.csv").read_text(), "text/csv")
            raise AssertionError("CSV has no room for parts")
        except urllib.error.HTTPError as error:
            assert error.code == 400 and b"send rows as objects" in error.read()


def exchange(port, body, **headers):
    """(status, headers, body) of a prediction, the body as it came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    connection.request("POST", "/v1/models/credit", body,
                       {"Content-Type": "text/csv",
                        **{name.replace("_", "-"): value for name, value in headers.items()}})
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply.status, reply.headers, content


@test
def bodies_are_coded_both_ways(folder):
    text = (folder / "holdout.csv").read_bytes()
    lines = text.splitlines(keepends=True)
    many = lines[0] + b"".join(lines[1:]) * 200  # some hundred steps to decode, predict and encode
    def by_zstd(data, *options):
        return subprocess.run(["zstd", "-q", "-c", *options], input=data, capture_output=True,
                              timeout=LIMIT_S, check=True).stdout
    zstd = shutil.which("zstd")
    with server(folder / "credit.quern", "--body-max", "50M") as (_, port, _):
        for table in (text, many):
            plain = exchange(port, table)
            assert plain[0] == 200 and "content-encoding" not in plain[1]
            for coding, coded in (("gzip", gzip.compress(table)), ("deflate", zlib.compress(table)),
                                  ("zstd", by_zstd(table) if zstd else None)):
                if coded:
                    got = exchange(port, coded, Content_Encoding=coding)
                    assert got[0] == 200 and got[2] == plain[2], (coding, got[0], got[2][:200])
            got = exchange(port, gzip.compress(table), Content_Encoding="gzip", Accept_Encoding="gzip")
            assert got[1]["content-encoding"] == "gzip" and got[1]["vary"] == "accept-encoding"
            assert int(got[1]["content-length"]) == len(got[2]) < len(plain[2]) / 2
            assert gzip.decompress(got[2]) == plain[2]
            got = exchange(port, table, Accept_Encoding="gzip, zstd")
            assert got[1]["content-encoding"] == "zstd"
            assert not zstd or by_zstd(got[2], "-d") == plain[2]
        small = exchange(port, b"".join(lines[:3]), Accept_Encoding="gzip")
        assert small[0] == 200 and "content-encoding" not in small[1], "too small to gain"
        # Fifty megabytes and one byte, sent as fifty kilobytes.
        status, _, reply = exchange(port, gzip.compress(b"0" * (50 * 1024 * 1024 + 1)),
                                    Content_Encoding="gzip")
        assert status == 413 and b"once decoded" in reply, reply
        status, _, reply = exchange(port, gzip.compress(text)[:-9], Content_Encoding="gzip")
        assert status == 400 and b"is cut off" in reply, reply
        status, _, reply = exchange(port, text, Content_Encoding="gzip")
        assert status == 400 and b"gzip data is damaged" in reply, reply
        status, headers, reply = exchange(port, text, Content_Encoding="br")
        assert status == 415 and headers["accept-encoding"] == "zstd, gzip, deflate", reply
        assert exchange(port, text)[0] == 200
    with server(folder / "credit.quern", "--no-compression") as (_, port, _):
        assert "content-encoding" not in exchange(port, text, Accept_Encoding="gzip")[1]


@test
def curl_is_understood(folder):
    row = json.dumps({k: value_of(v) for k, v in rows_of(folder / "holdout.csv")[0].items()})
    (folder / "row.json").write_text(row)
    with server(folder / "credit.quern") as (_, port, _):
        url = f"http://127.0.0.1:{port}/v1/models/credit"
        for options in (["--json", row], ["--json", "@" + str(folder / "row.json"), "--http1.0"],
                        ["--json", row, "-H", "Expect: 100-continue"],
                        ["--json", row, "-H", "Transfer-Encoding: chunked"],
                        ["--json", row, "--http2"]):
            done = subprocess.run(["curl", "-sS", "--fail-with-body", *options, url],
                                  capture_output=True, text=True, timeout=LIMIT_S, check=False)
            assert json.loads(done.stdout)["prediction"] in ("good", "bad"), done
        done = subprocess.run(["curl", "-sS", "-I", f"http://127.0.0.1:{port}/livez"],
                              capture_output=True, text=True, timeout=LIMIT_S, check=True)
        assert done.stdout.startswith("HTTP/1.1 200 OK\r\n") or done.stdout.startswith("HTTP/1.1 200 OK\n")


def ask_unix(path, url="http://here/v1/models/credit"):
    return subprocess.run(["curl", "-sS", "--unix-socket", str(path), url], capture_output=True,
                          text=True, timeout=LIMIT_S, check=False)


@test
def a_socket_of_the_file_system_is_served(folder):
    path, log = folder / "quern.sock", folder / "access.jsonl"
    options = [folder / "credit.quern", "--threads", "2", "--access-log", log]
    with server(*options, listen=f"unix:{path}") as (process, _, lines):
        assert f"listening on unix:{path};" in lines[0], lines
        assert stat.filemode(path.stat().st_mode) == "srw-rw----"
        for _ in range(20):
            assert json.loads(ask_unix(path).stdout)["name"] == "credit"
        second = quern("serve", folder / "credit.quern", "--listen", f"unix:{path}")
        assert second.returncode == 1 and "another process listens" in second.stderr, second
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert path.exists() and ask_unix(path).returncode != 0
    with server(*options, listen=f"unix:{path}") as (process, _, _):  # what was left is replaced
        assert json.loads(ask_unix(path).stdout)["name"] == "credit"
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0
    assert all(json.loads(line)["address"] == "unix" for line in log.read_text().splitlines())
    path.unlink()
    path.write_text("precious")
    refused = quern("serve", folder / "credit.quern", "--listen", f"unix:{path}")
    assert refused.returncode == 1 and "is no socket" in refused.stderr, refused
    assert path.read_text() == "precious"
    for name, part in (("x" * 200, "a path has 1 to"), ("none/x.sock", "No such file")):
        refused = quern("serve", folder / "credit.quern", "--listen", f"unix:{folder}/{name}")
        assert refused.returncode in (1, 2) and part in refused.stderr, refused


@test
def a_socket_of_systemd_is_served(folder):
    path = folder / "activated.sock"
    with socket.socket(socket.AF_UNIX) as local, socket.socket() as loopback, \
            socket.socket() as public:
        local.bind(str(path))
        loopback.bind(("127.0.0.1", 0))
        public.bind(("0.0.0.0", 0))
        for given in (local, loopback, public):
            given.listen()
            given.set_inheritable(True)
        def start(given, n=1):
            script = f"exec 3<&{given.fileno()}; LISTEN_PID=$$ LISTEN_FDS={n}; " \
                     "export LISTEN_PID LISTEN_FDS; exec \"$@\""
            return subprocess.Popen(["sh", "-c", script, "sh", QUERN, "serve", "--listen", "systemd",
                                     "--threads", "2", str(folder / "credit.quern")],
                                    stderr=subprocess.PIPE, text=True, close_fds=False)
        for given in (local, loopback):
            process = start(given)
            wait_for(lambda: "ready" in process.stderr.readline())
            if given is local:
                assert json.loads(ask_unix(path).stdout)["name"] == "credit"
            else:
                port = loopback.getsockname()[1]
                assert post(port, "/v1/models/credit", (folder / "holdout.csv").read_text(),
                            "text/csv")[0]
            process.terminate()
            assert process.wait(LIMIT_S) == 0
            process.stderr.close()
        for given, n, part in ((public, 1, "--open-to-all"), (local, 2, "2 sockets"),
                               (local, 0, "0 sockets")):
            process = start(given, n)
            assert part in process.communicate(timeout=LIMIT_S)[1] and process.returncode == 2
    alone = quern("serve", folder / "credit.quern", "--listen", "systemd")
    assert alone.returncode == 2 and "no socket was passed on" in alone.stderr, alone


@test
def the_open_inference_protocol_gives_the_same(folder):
    table = folder / "holdout.csv"
    lines = quern("predict", folder / "credit.quern", table, "--json").stdout.splitlines()
    expected = [json.loads(line) for line in lines]
    rows = rows_of(table)
    tensors = [{"name": c, "shape": [len(rows)], "datatype": "BYTES", "data": [r[c] for r in rows]}
               for c in rows[0]]
    with server(folder / "credit.quern") as (_, port, _):
        reply = json.loads(post(port, "/v2/models/credit/infer",
                                json.dumps({"id": "7", "inputs": tensors}), "application/json")[0])
        assert reply["id"] == "7" and reply["model_name"] == "credit"
        labels, probabilities = (output["data"] for output in reply["outputs"])
        assert labels == [row["prediction"] for row in expected]
        assert probabilities == [row[p] for row in expected for p in ("p_bad", "p_good")]


@test
def hangup_loads_what_has_changed(folder):
    served = folder / "served.quern"
    shutil.copy(folder / "credit.quern", served)
    with server(f"m={served}") as (process, port, lines):
        first = post(port, "/v1/models/m", (folder / "holdout.csv").read_text(), "text/csv")[1]
        served.write_bytes(served.read_bytes()[:1000])  # a copy that is under way
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: any("goes on" in line for line in lines))
        again = post(port, "/v1/models/m", (folder / "holdout.csv").read_text(), "text/csv")[1]
        assert again["quern-model"] == first["quern-model"]
        shutil.copy(folder / "other.quern", folder / "new.quern")
        os.replace(folder / "new.quern", served)
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: sum("loaded," in line for line in lines) == 2)
        after = post(port, "/v1/models/m", (folder / "holdout.csv").read_text(), "text/csv")[1]
        assert after["quern-model"] != first["quern-model"]


@test
def a_watched_file_is_loaded_by_itself(folder):
    served = folder / "watched.quern"
    shutil.copy(folder / "credit.quern", served)
    with server(f"m={served}", "--watch", "0.1s") as (_, _, lines):
        shutil.copy(folder / "other.quern", folder / "new.quern")
        os.replace(folder / "new.quern", served)
        wait_for(lambda: sum("loaded," in line for line in lines) == 2)


@test
def no_delay_may_be_said(folder):
    with server(folder / "credit.quern", "--drain-delay", "0") as (process, _, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=LIMIT_S) == 0


@test
def a_signal_ends_it_without_a_failed_request(folder):
    body = (folder / "holdout.csv").read_text()
    failures, n_good = [], 0
    with server(folder / "credit.quern", "--drain-delay", f"{0.3 * SLOWNESS}s") as (process, port, _):
        ready_seen = threading.Event()

        def ask():
            nonlocal n_good
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
            while True:
                try:
                    connection.request("POST", "/v1/models/credit", body, {"Content-Type": "text/csv"})
                    reply = connection.getresponse()
                    reply.read()
                    if reply.status != 200:
                        failures.append(reply.status)
                    n_good += 1
                    if reply.headers.get("connection") == "close":
                        return  # told so: the next one goes to another server
                except OSError as error:
                    failures.append(error)
                    return

        clients = [threading.Thread(target=ask) for _ in range(8)]
        for client in clients:
            client.start()
        wait_for(lambda: n_good > 8)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=LIMIT_S)
        except urllib.error.HTTPError as error:
            assert error.code == 503
            ready_seen.set()
        for client in clients:
            client.join()
        assert process.wait(timeout=LIMIT_S) == 0
        assert ready_seen.is_set() and not failures and n_good > 8, (failures, n_good)


@test
def a_second_signal_ends_it_at_once(folder):
    with server(folder / "credit.quern", "--drain-time", f"{2 * LIMIT_S}s") as (process, port, _):
        half = socket.create_connection(("127.0.0.1", port))
        half.sendall(b"POST /v1/models/credit HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=LIMIT_S) == -signal.SIGTERM
        half.close()


@test
def a_lack_of_descriptors_is_survived(folder):
    limited = ["sh", "-c", "ulimit -n 40; exec \"$@\"", "sh"]
    with server(folder / "credit.quern", prefix=limited) as (process, port, _):
        sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
        time.sleep(0.3)
        ticks = float(pathlib.Path(f"/proc/{process.pid}/stat").read_text().split()[13])
        time.sleep(0.5)
        spent = float(pathlib.Path(f"/proc/{process.pid}/stat").read_text().split()[13]) - ticks
        assert spent < 20, f"{spent} ticks of CPU: it spins"
        for one in sockets:
            one.close()
        time.sleep(0.3)
        assert post(port, "/v1/models/credit", (folder / "holdout.csv").read_text(), "text/csv")[0]


@test
def what_cannot_be_served_is_said(folder):
    (folder / "damaged.quern").write_bytes(b"QUERN")
    for words, code, part in (
            (["serve"], 2, "--model-dir"),
            (["serve", folder / "none.quern", "--listen", "127.0.0.1:0"], 3, "No such file"),
            (["serve", folder / "damaged.quern", "--listen", "127.0.0.1:0"], 3, "damaged.quern"),
            (["serve", f"a b={folder / 'credit.quern'}"], 2, "no name to serve a model by"),
            (["serve", folder / "credit.quern", "--listen", "0.0.0.0:0"], 2, "--open-to-all"),
            (["serve", folder / "credit.quern", "--listen", "192.0.2.1:0", "--open-to-all"], 1,
             "--listen 192.0.2.1:0")):
        done = quern(*words)
        assert done.returncode == code and part in done.stderr, (words, done)


main()
