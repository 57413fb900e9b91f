#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models that come and go while the server runs, as an operator sees it: a folder of versions, a
routes file that administrators' requests change, in the sandbox; Triton's own client; memory.
usage: serve_models.py QUERN SOURCE"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import threading
import urllib.error
import urllib.request

from serving import LIMIT_S, SANITIZED, SOURCE, main, post, quern, rows_of, run, server, test, value_of, wait_for


@contextlib.contextmanager
def asked(*words):
    """A running server that must end well; yields (process, function to ask it, lines of stderr)."""
    with server(*words) as (process, port, lines):
        assert port, lines

        def ask(method, path, body=None, key=None):
            headers = {"Content-Type": "application/json"}
            if key:
                headers["Authorization"] = f"Bearer {key}"
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers,
                                             method=method)
            try:
                with urllib.request.urlopen(request, timeout=LIMIT_S) as reply:
                    return reply.status, reply.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        ask.address = f"127.0.0.1:{port}"
        yield process, ask, lines
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=LIMIT_S) == 0, lines


def put(source, target):
    """As a deployment does: copied under a name that is not looked at, then renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target.parent / ("." + target.name))
    os.replace(target.parent / ("." + target.name), target)


def make_key(folder, *roles):
    name = folder / "keys.json"
    words = [word for role in roles for word in ("--roles", role)]
    done = quern("keys", "create", name, "--name", "k", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def version_of(reply):
    assert reply[0] == 200, reply
    return json.loads(reply[1])["version"]


@test
def a_folder_and_its_aliases_are_kept_in_the_sandbox(folder):
    models, row = folder / "models", json.loads((folder / "row.json").read_text())
    put(folder / "credit.quern", models / "credit" / "1.quern")
    put(folder / "other.quern", models / "credit" / "2" / "model.quern")
    key = make_key(folder, "admin,predict,read")
    (folder / "conf").mkdir()
    routes = folder / "conf" / "routes.yaml"
    routes.write_text("models:\n  credit:\n    aliases:\n      champion: 1\n")
    words = ["--model-dir", models, "--routes", routes, "--keys", folder / "keys.json"]
    with asked(*words) as (process, ask, lines):
        assert version_of(ask("POST", "/v1/models/credit", row, key)) == "2"
        assert version_of(ask("POST", "/v1/models/credit@champion", row, key)) == "1"
        status, text = ask("PUT", "/v1/models/credit/aliases/champion", {"version": "2"}, key)
        assert status == 200, text
        assert version_of(ask("POST", "/v1/models/credit@champion", row, key)) == "2"
        assert json.loads(routes.read_text())["models"]["credit"]["aliases"]["champion"] == "2"
        put(folder / "credit.quern", models / "credit" / "3.quern")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: any("credit@3" in line for line in lines))
        assert version_of(ask("POST", "/v1/models/credit", row, key)) == "3"
        routes.write_text("models: {credit: {aliases: {champion: 3}}}")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: version_of(ask("POST", "/v1/models/credit@champion", row, key)) == "3")
        routes.write_text("models: {credit: {aliases: {champion: 4}}}")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: any("routes stay as they are" in line for line in lines))
        assert version_of(ask("POST", "/v1/models/credit@champion", row, key)) == "3"
    done = quern("serve", "--listen", "127.0.0.1:0", *words)
    assert done.returncode == 3 and "version '4', which is not loaded" in done.stderr, done


@test
def a_prediction_cache_changes_no_reply(folder):
    rows = [{name: value_of(text) for name, text in row.items()}
            for row in rows_of(folder / "holdout.csv")[:60]]
    bodies = [*rows[:40], *rows[:40], rows, rows[::-1] * 4, {"instances": rows[:1]}, {**rows[0], "age": None},
              {"columns": {name: [row[name] for row in rows] + [None] for name in rows[0]}}, {"age": 1}]
    path = folder / "cached" / "credit.quern"

    def replies(ask):
        return [ask("POST", "/v1/models/credit", body) for body in bodies]

    def replies_of(model, *words):
        put(folder / f"{model}.quern", path)
        with asked(path, "--threads", 1, *words) as (_, ask, _lines):
            return replies(ask)

    other, expected = replies_of("other"), replies_of("credit")
    assert other != expected
    with asked(path, "--threads", 1, "--prediction-cache", "1M") as (process, ask, _):
        assert replies(ask) == expected
        figures = dict(re.findall(r"^quern_prediction_cache_(\w+)_total.* (\d+)$",
                                  ask("GET", "/metrics")[1], re.M))
        # hits: 40 again, 40 of 60, 240, 1, 60; misses: 40, 20 of 60, the one without age, the one without all
        assert figures == {"hits": "381", "misses": "62"}, figures
        put(folder / "other.quern", path)  # what was known is of the old model
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: ask("POST", "/v1/models/credit", rows[0]) == other[0])
        assert replies(ask) == other
    done = quern("serve", path, "--listen", "127.0.0.1:0", "--threads", 2, "--prediction-cache", "300k")
    assert done.returncode != 0 and "--prediction-cache" in done.stderr, done


@test
def what_routes_learn_outlives_the_process(folder):
    """A canary is rolled back and a bandit rewarded; the server is killed; the next one knows."""
    place = folder / "learned"
    place.mkdir()
    state, routes = place / "state.json", place / "routes.yaml"
    row = json.loads((folder / "row.json").read_text())
    routes.write_text("models:\n  c: {canary: {from: 1, to: 2, percent: 100}, rollback: {window: 10, "
                      "errors: 0.1}}\n  b: {bandit: {arms: [1, 2]}}\n")
    words = [f"{name}@{version}={folder / 'credit.quern'}" for name in "cb" for version in "12"]
    words += ["--routes", routes, "--routes-state", state, "--sandbox", "auto"]

    def figures(ask):
        text = ask("GET", "/metrics")[1]
        assert "quern_routes_state_behind 0" in text
        return {name: float(value) for name, value in re.findall(
            r"^(quern_route_(?:re|ro)\S+) (\S+)$", text, re.M)}

    with server(*words) as (process, port, _):
        def ask(method, path, body=None):
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data,
                                             {"Content-Type": "application/json"}, method=method)
            try:
                with urllib.request.urlopen(request, timeout=LIMIT_S) as reply:
                    return reply.status, reply.read().decode(), reply.headers["x-request-id"]
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode(), None

        assert json.loads(ask("POST", "/v1/models/c", row)[1])["version"] == "2"
        for _ in range(2):
            assert ask("POST", "/v1/models/c", {})[0] == 422
        assert json.loads(ask("POST", "/v1/models/c", row)[1])["version"] == "1"
        late = ask("POST", "/v1/models/b", row)[2]
        for i in range(20):
            sent = ask("POST", "/v1/models/b", row)[2]
            assert '"known":1' in ask("POST", "/feedback", {"id": sent, "reward": i % 2})[1]
        expected = figures(ask)
        wait_for(lambda: state.exists() and '"rewards": 20' in re.sub(
            r'"rewards": (\d+)(?s:.*)"rewards": (\d+)(?s:.*)$',
            lambda m: f'"rewards": {int(m[1]) + int(m[2])}', state.read_text().split('"c"')[0]))
        wait_for(lambda: '"rolled_back": true' in state.read_text())
        process.kill()
    for _ in range(2):  # and again after an end in order
        with asked(*words) as (_, ask, _lines):
            assert figures(ask) == expected, (figures(ask), expected)
            assert expected['quern_route_rolled_back{model="c"}'] == 1
    for known in (1, 0):  # a choice that had no reward yet gets it, once, whoever serves by then
        with asked(*words) as (_, ask, _lines):
            assert f'"known":{known}' in ask("POST", "/feedback", {"id": late, "reward": 1})[1]
    assert sum(v for k, v in expected.items() if k.startswith("quern_route_rewards_total")) == 20
    text = state.read_text()
    state.write_text(text[:len(text) // 2])
    done = quern("serve", "--listen", "127.0.0.1:0", *words)
    assert done.returncode != 0 and done.stderr.count("\n") == 1, done
    assert "state.json" in done.stderr and "remove it" in done.stderr, done
    assert state.read_text() == text[:len(text) // 2]  # left for whoever wants to see
    state.unlink()
    with asked(*words) as (_, ask, _lines):
        assert figures(ask)['quern_route_rolled_back{model="c"}'] == 0


@test
def states_are_whole_whenever_the_server_is_killed(folder):
    """Killed at a dozen moments while a bandit learns: the next server starts, and never knows less than the
    one before did when it began."""
    place = folder / "killed"
    place.mkdir()
    state, routes = place / "state.json", place / "routes.yaml"
    row = (folder / "row.json").read_text()
    routes.write_text("models: {b: {bandit: {arms: [1, 2]}}}")
    words = [f"b@{version}={folder / 'credit.quern'}" for version in "12"]
    words += ["--routes", routes, "--routes-state", state]
    known = 0
    for i in range(12):
        with server(*words) as (process, port, _):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
            total = sum(int(n) for n in re.findall(r"^quern_route_requests_total.* (\d+)$", text, re.M))
            assert total >= known, (total, known)
            known = total
            for _ in range(20 + 17 * i):
                connection.request("POST", "/v1/models/b", row, {"Content-Type": "application/json"})
                connection.getresponse().read()
            process.kill()
    assert json.loads(state.read_text())["format"] == 1 if state.exists() else known == 0


@test
def a_full_disk_stops_no_prediction(folder):
    """Logs, audit and what routes learn are on a disk of 256 KB, which fills: all are answered, what is lost is
    told, and the last state of the routes stays whole; when there is room again they go on."""
    full, size = folder / "full", 256 * 1024
    full.mkdir()
    words = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    words += ["sh", "-c", f"mount -t tmpfs -o size={size} tmpfs {full} && exec \"$@\"", "sh"]
    if run(*words, "true").returncode != 0:
        print("             skipped: no mounts may be made here")
        return
    rows = [{name: value_of(text) for name, text in row.items()} for row in rows_of(folder / "holdout.csv")]
    (folder / "two.yaml").write_text("models: {b: {bandit: {arms: [1, 2]}}}")
    options = [f"b@{version}={folder / 'credit.quern'}" for version in "12"] + ["--routes", folder / "two.yaml"]
    for name, file in (("--access-log", "access"), ("--prediction-log", "predictions"), ("--audit", "audit"),
                       ("--routes-state", "state.json")):
        options += [name, full / file]
    with server(*options, prefix=words) as (process, port, _):
        inside = pathlib.Path(f"/proc/{process.pid}/root{full}")

        def send():
            text, _ = post(port, "/v1/models/b", json.dumps(rows), "application/json")
            assert len(json.loads(text)["predictions"]) == len(rows)

        def figure(name):
            text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=LIMIT_S).read().decode()
            return float(re.search(rf"^{name} (\S+)$", text, re.M)[1])

        def is_behind():
            send()
            return figure("quern_routes_state_behind") == 1

        send()
        wait_for(lambda: (inside / "state.json").exists())
        (inside / "ballast").write_bytes(b"x" * (size // 4))
        wait_for(is_behind)
        assert figure('quern_log_dropped_lines_total{log="predictions"}') > 0
        json.loads((inside / "state.json").read_text())  # an older one, whole
        (inside / "ballast").unlink()
        (inside / "predictions").write_text("")
        wait_for(lambda: figure("quern_routes_state_behind") == 0)
        dropped = figure('quern_log_dropped_lines_total{log="predictions"}')
        send()
        wait_for(lambda: (inside / "predictions").stat().st_size > 0)
        assert figure('quern_log_dropped_lines_total{log="predictions"}') == dropped


@test
def shadows_are_held_against_the_answers(folder):
    """As the replies of both versions have it: rows of one request, and one by one."""
    rows = [{name: value_of(text) for name, text in row.items()}
            for row in rows_of(folder / "holdout.csv")]
    routes = folder / "shadowed.yaml"
    routes.write_text("models: {c: {to: 1, shadow: {to: 2}}, same: {to: 1, shadow: {to: 1}}}")
    words = [f"c@1={folder / 'credit.quern'}", f"c@2={folder / 'other.quern'}",
             f"same@1={folder / 'credit.quern'}", "--routes", routes, "--threads", 1]
    with asked(*words) as (_, ask, _lines):
        first, second = (json.loads(ask("POST", f"/v1/models/c@{version}", rows)[1])["predictions"]
                         for version in "12")
        for model in ("c", "same"):
            assert ask("POST", f"/v1/models/{model}", rows)[0] == 200
            for row in rows[:5]:
                assert ask("POST", f"/v1/models/{model}", row)[0] == 200
            assert ask("POST", f"/v1/models/{model}", {"age": 1})[0] == 422

        def figures(model, version):
            text = ask("GET", "/metrics")[1]
            return [float(re.search(r'^quern_shadow_%s_total\{model="%s",version="%s"\} (\S+)$'
                                    % (name, model, version), text + f'quern_shadow_{name}_total'
                                    f'{{model="{model}",version="{version}"}} 0\n', re.M)[1])
                    for name in ("compared_rows", "equal_rows", "difference_sum")]

        n = len(rows) + 5
        wait_for(lambda: figures("c", 2)[0] == n and figures("same", 1)[0] == n)
        pairs = list(zip(first, second)) + list(zip(first[:5], second[:5]))
        _, equal, difference = figures("c", 2)
        assert equal == sum(a["prediction"] == b["prediction"] for a, b in pairs) < n
        expected = sum(abs(a["p_good"] - b["p_good"]) for a, b in pairs)
        assert abs(difference - expected) < 1e-9 < expected, (difference, expected)
        assert figures("same", 1)[1:] == [n, 0]


@test
def one_customer_gets_one_version_however_rows_are_sent(folder):
    """The routing key is a column that the model does not have."""
    row = {name: value_of(text) for name, text in rows_of(folder / "holdout.csv")[0].items()}
    routes = folder / "keyed.yaml"
    routes.write_text("models: {c: {split: {1: 1, 2: 1}, key: column customer}}")
    words = [f"c@{version}={folder / 'credit.quern'}" for version in "12"] + ["--routes", routes]
    seen = set()
    with asked(*words) as (_, ask, _lines):
        for i in range(40):
            customer = f"c{i}"
            names, values = list(row) + ["customer"], list(row.values()) + [customer]
            tensors = [{"name": name, "shape": [1], "datatype": "BYTES" if isinstance(value, str) else "FP64",
                        "data": [value]} for name, value in zip(names, values)]
            bodies = [("/v1/models/c", {**row, "customer": customer}),
                      ("/v1/models/c", {"columns": names, "data": [values]}),
                      ("/v1/models/c", {"dataframe_split": {"columns": names, "data": [values]}}),
                      ("/v1/models/c", {"columns": {name: [value] for name, value in zip(names, values)}})]
            versions = {version_of(ask("POST", *body)) for body in bodies}
            status, text = ask("POST", "/v2/models/c/infer", {"inputs": tensors})
            assert status == 200, text
            versions.add(json.loads(text)["model_version"])
            assert len(versions) == 1, (customer, versions)
            seen |= versions
    assert seen == {"1", "2"}


@test
def a_key_is_found_in_one_tensor_of_all_columns(folder):
    """By its place among the model's inputs, in the order that the server tells."""
    routes = folder / "placed.yaml"
    routes.write_text("models: {c: {split: {1: 1, 2: 1}, key: column age}}")
    words = [f"c@{version}={folder / 'credit.quern'}" for version in "12"] + ["--routes", routes]
    seen = set()
    with asked(*words) as (_, ask, _lines):
        names = [column["name"] for column in json.loads(ask("GET", "/v1/models/c")[1])["inputs"]]
        for texts in {row["age"]: row for row in rows_of(folder / "holdout.csv")}.values():
            row = {name: value_of(text) for name, text in texts.items()}
            matrix = {"inputs": [{"name": "all", "shape": [1, len(names)], "datatype": "BYTES",
                                  "data": [[texts[name] for name in names]]}]}
            status, text = ask("POST", "/v2/models/c/infer", matrix)
            assert status == 200, text
            version = json.loads(text)["model_version"]
            assert version == version_of(ask("POST", "/v1/models/c", row)), (row, text)
            seen.add(version)
    assert seen == {"1", "2"}


@test
def triton_s_client_loads_and_unloads(folder):
    try:
        import tritonclient.http as triton
    except ImportError:
        return
    models = folder / "triton"
    put(folder / "credit.quern", models / "credit" / "1.quern")
    key = make_key(folder, "admin,predict,read")
    headers = {"Authorization": f"Bearer {key}"}
    with asked("--model-dir", models, "--keys", folder / "keys.json") as (_, ask, _):
        client = triton.InferenceServerClient(ask.address)
        index = client.get_model_repository_index(headers=headers)
        assert index == [{"name": "credit", "version": "1", "state": "READY", "reason": ""}], index
        client.unload_model("credit", headers=headers)
        assert not client.is_model_ready("credit", headers=headers)
        put(folder / "other.quern", models / "credit" / "2.quern")
        client.load_model("credit", headers=headers)
        assert client.is_model_ready("credit", "2", headers=headers)


def resident_kb(process):
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


@contextlib.contextmanager
def freed_memory_given_back():
    """AddressSanitizer keeps what is freed, to find who still uses it; here it is to give it back."""
    before = os.environ.get("ASAN_OPTIONS")
    os.environ["ASAN_OPTIONS"] = ":".join([before or "", "quarantine_size_mb=0:thread_local_quarantine_size_kb=0:"
                                           "allocator_release_to_os_interval_ms=100"]).lstrip(":")
    try:
        yield
    finally:
        if before is None:
            del os.environ["ASAN_OPTIONS"]
        else:
            os.environ["ASAN_OPTIONS"] = before


@test
def memory_comes_back(folder):
    """Six versions of some MB each are unloaded; then one is loaded and unloaded again and
    again: what is left does not grow. A sanitizer's shadow of the memory is left, too."""
    with freed_memory_given_back():
        load_and_unload(folder, 0.5 if SANITIZED else 0.1)


def load_and_unload(folder, share_left):
    models = folder / "many"
    key = make_key(folder, "admin,predict,read")
    put(folder / "credit.quern", models / "small" / "1.quern")
    with asked("--model-dir", models, "--keys", folder / "keys.json") as (process, ask, _):
        before = resident_kb(process)
        for version in range(6):
            put(folder / "large.quern", models / "large" / f"{version}.quern")
        for action in ("load", "unload", "load", "unload"):
            status, text = ask("POST", f"/v1/models/large:{action}", {}, key)
            assert status == 200, text
            if action == "load":
                loaded = resident_kb(process)
        size_kb = 6 * (folder / "large.quern").stat().st_size // 1024
        assert loaded > before + size_kb // 2, (before, loaded, size_kb)
        wait_for(lambda: resident_kb(process) < before + (loaded - before) * share_left)
        after_one = resident_kb(process)
        for _ in range(8):
            for action in ("load", "unload"):
                status, text = ask("POST", f"/v1/models/large/versions/5:{action}", {}, key)
                assert status == 200, text
        wait_for(lambda: resident_kb(process) < after_one * 1.1)
        print(f"             RSS in KB: {before} before, {loaded} with {size_kb} KB of models, "
              f"{after_one} without, {resident_kb(process)} after 8 more")


@test
def swaps_under_load_fail_nothing_and_leave_no_memory_behind(folder):
    """Files are renamed over the served one and loaded, while 64 clients ask: no failed request, no
    reply that mixes models, memory as before. The two differ in their probabilities."""
    models = folder / "swapped"
    key = make_key(folder, "admin,predict,read")
    row = (folder / "row.json").read_text()
    put(folder / "one.quern", models / "m" / "1.quern")
    stop, wrong, n_replies, seen = threading.Event(), [], [], {}

    def keep_asking(address):
        connection = http.client.HTTPConnection(address, timeout=LIMIT_S)
        n = 0
        try:
            while not stop.wait(0.2):
                connection.request("POST", "/v1/models/m", row,
                                   {"Content-Type": "application/json", "Authorization": f"Bearer {key}"})
                reply = connection.getresponse()
                text, header = reply.read(), reply.headers.get("quern-model")
                if reply.status != 200 or seen.setdefault(header, text) != text:
                    wrong.append((reply.status, header, text))
                n += 1
        except OSError as error:
            wrong.append(error)
        n_replies.append(n)

    with asked("--model-dir", models, "--keys", folder / "keys.json") as (process, ask, _):
        clients = [threading.Thread(target=keep_asking, args=(ask.address,)) for _ in range(64)]
        for client in clients:
            client.start()
        for swap in range(1100):
            os.link(folder / ("one.quern" if swap % 2 else "two.quern"), models / "m" / ".next")
            os.replace(models / "m" / ".next", models / "m" / "1.quern")
            status, text = ask("POST", "/v1/models/m:load", {}, key)
            assert status == 200, text
            if swap == 100:
                before = resident_kb(process)
        stop.set()
        for client in clients:
            client.join()
        assert not wrong, wrong[:3]
        assert len(seen) == 2 and min(n_replies) > 0
        wait_for(lambda: resident_kb(process) < before * 1.02 or SANITIZED)  # which keep what is freed
        print(f"             {sum(n_replies)} replies; RSS in KB: {before} after 100 swaps, "
              f"{resident_kb(process)} after 1100")


def prepare(folder):
    for name, learner, seed in (("large", "random_forest", 1), ("one", "logistic", 1),
                                ("two", "logistic", 2)):
        done = quern("fit", f"{SOURCE}/examples/credit/train.csv", "--target", "class", "--trials", 1,
                     "--learners", learner, "--seed", seed, "--report", "", "-o",
                     folder / f"{name}.quern")
        assert done.returncode == 0, done.stderr
    row = {k: value_of(v) for k, v in rows_of(folder / "holdout.csv")[0].items()}
    (folder / "row.json").write_text(json.dumps(row))


main(prepare)
