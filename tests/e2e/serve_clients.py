#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server met by clients that others wrote: Triton's, MLflow's, KServe's, Prometheus' parser, a
validator and a fuzzer of OpenAPI, a browser; where they are installed (pip install tritonclient[http]
mlflow-skinny kserve pandas prometheus_client openapi-spec-validator schemathesis playwright; apt-get
install chromium). What is missing is told and passed over.
usage: serve_clients.py QUERN SOURCE"""
import asyncio
import importlib
import json
import re
import shutil
import urllib.error
import urllib.request

from serving import LIMIT_S, main, quern, rows_of, run, server, test


def needs(*modules):
    """The modules, or None where one is not installed, which is told."""
    try:
        found = [importlib.import_module(module) for module in modules]
    except ImportError as error:
        print(f"[  SKIPPED ] {error}", flush=True)
        return None
    return found[0] if len(found) == 1 else found


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=LIMIT_S) as reply:
        return reply.read().decode()


def expected_of(folder):
    lines = quern("predict", folder / "credit.quern", folder / "holdout.csv", "--json").stdout
    return [json.loads(line) for line in lines.splitlines()]


def triton_inputs(triton, numpy, metadata, rows, binary):
    for column in metadata["inputs"]:
        texts = [row[column["name"]] for row in rows]
        if column["datatype"] == "FP64":
            values = numpy.array([float(text) for text in texts])
        else:
            values = numpy.array(texts, dtype=numpy.object_)
        tensor = triton.InferInput(column["name"], [len(rows)], column["datatype"])
        tensor.set_data_from_numpy(values, binary_data=binary)
        yield tensor


@test
def tritons_client_gets_what_predict_writes(folder):
    modules = needs("tritonclient.http", "numpy")
    if not modules:
        return
    triton, numpy = modules
    rows, expected = rows_of(folder / "holdout.csv"), expected_of(folder)
    labels = [row["prediction"] for row in expected]
    matrix = numpy.array([[row["p_bad"], row["p_good"]] for row in expected])
    with server(folder / "credit.quern") as (_, port, _):
        client = triton.InferenceServerClient(f"127.0.0.1:{port}")
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready("credit") and client.is_model_ready("credit", "1")
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        metadata = client.get_model_metadata("credit")
        for binary_in in (False, True):
            inputs = list(triton_inputs(triton, numpy, metadata, rows, binary_in))
            for outputs in (None,
                            [triton.InferRequestedOutput("prediction", binary_data=False),
                             triton.InferRequestedOutput("probabilities", binary_data=True)],
                            [triton.InferRequestedOutput("probabilities", binary_data=False),
                             triton.InferRequestedOutput("prediction", binary_data=True)]):
                result = client.infer("credit", inputs, outputs=outputs, request_id="7")
                got = [label.decode() if isinstance(label, bytes) else label
                       for label in result.as_numpy("prediction")]
                assert got == labels and result.get_response()["id"] == "7"
                assert (result.as_numpy("probabilities") == matrix).all()
        for coding in ("gzip", "deflate"):
            result = client.infer("credit", inputs, request_compression_algorithm=coding,
                                  response_compression_algorithm=coding)
            assert (result.as_numpy("probabilities") == matrix).all()
        only = [triton.InferRequestedOutput("probabilities")]
        result = client.infer("credit", inputs, outputs=only, model_version="1")
        assert result.as_numpy("prediction") is None
        assert (result.as_numpy("probabilities") == matrix).all()
        try:
            client.infer("credit", inputs[1:])
            raise AssertionError("a column was missing")
        except triton.InferenceServerException as error:
            assert "is missing" in str(error), error
        statistics = client.get_inference_statistics("credit")["model_stats"][0]
        assert statistics["inference_count"] == 9 * len(rows), statistics
        assert statistics["inference_stats"]["success"]["count"] == 9, statistics
        assert statistics["inference_stats"]["fail"]["count"] == 1, statistics


def table_of(pandas, folder):
    """The rows to ask for, as numbers and texts."""
    return pandas.read_csv(folder / "holdout.csv").drop(columns="class")


@test
def mlflows_client_gets_what_predict_writes(folder):
    modules = needs("mlflow.pyfunc.scoring_server.client", "pandas")
    if not modules:
        return
    mlflow, pandas = modules
    expected, table = expected_of(folder), table_of(pandas, folder)
    with server(folder / "credit.quern") as (process, port, _):
        client = mlflow.ScoringServerClient("127.0.0.1", port)
        client.wait_server_ready(timeout=LIMIT_S, scoring_server_proc=process)
        client.ping()
        assert re.search(r"\d+\.\d+", client.get_version())
        for n in (len(table), 1):
            got = client.invoke(table.head(n)).get_predictions().to_dict("records")
            assert got == expected[:n], (got[0], expected[0])
        try:
            client.invoke(table.drop(columns="age"))
            raise AssertionError("a column was missing")
        except Exception as error:  # pylint: disable=broad-except
            assert "400" in str(error) and "'age' is missing" in str(error), error


@test
def kserves_client_gets_what_predict_writes(folder):
    modules = needs("kserve", "pandas")
    if not modules:
        return
    kserve, pandas = modules
    expected, table = expected_of(folder), table_of(pandas, folder)

    def tensors(binary):
        for name in table:
            is_text = table[name].dtype == object or str(table[name].dtype).startswith("str")
            tensor = kserve.InferInput(name, [len(table)], "BYTES" if is_text else "FP64")
            values = table[name].to_numpy(dtype=object if is_text else float)
            tensor.set_data_from_numpy(values, binary_data=binary)
            yield tensor

    async def ask(url):
        # Tensors are of the second version of the protocol, the first has rows.
        for protocol in ("v2", "v1"):
            client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol=protocol))
            assert await client.is_server_live(url) and await client.is_model_ready(url, "credit")
            if protocol == "v1":
                rows = json.loads(table.to_json(orient="records", double_precision=15))
                reply = await client.infer(url, {"instances": rows}, model_name="credit")
                yield [row["p_good"] for row in reply["predictions"]]
                continue
            assert await client.is_server_ready(url)
            for binary in (False, True):
                request = kserve.InferRequest(model_name="credit", infer_inputs=list(tensors(binary)))
                reply = await client.infer(url, request, model_name="credit")
                outputs = {output.name: output for output in reply.outputs}
                labels = [label.decode() if isinstance(label, bytes) else label
                          for label in outputs["prediction"].as_numpy()]
                assert labels == [row["prediction"] for row in expected]
                yield outputs["probabilities"].as_numpy()[:, 1].tolist()

    async def ask_all(url):
        return [probabilities async for probabilities in ask(url)]

    with server(folder / "credit.quern") as (_, port, _):
        answers = asyncio.run(ask_all(f"http://127.0.0.1:{port}"))
    assert answers == [[row["p_good"] for row in expected]] * 3


@test
def metrics_are_what_prometheus_reads(folder):
    parser = needs("prometheus_client.parser")
    if not parser:
        return
    with server(folder / "credit.quern") as (_, port, _):
        row = json.dumps(rows_of(folder / "holdout.csv")[0]).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models/credit", row,
                                         {"Content-Type": "application/json"})
        for _ in range(3):
            urllib.request.urlopen(request, timeout=LIMIT_S).close()
        for bad in (b"{}", b"[", b"[1]"):
            request.data = bad
            try:
                urllib.request.urlopen(request, timeout=LIMIT_S)
            except urllib.error.HTTPError as error:
                assert error.code in (400, 422)
        families = {family.name: family
                    for family in parser.text_string_to_metric_families(get(port, "/metrics"))}
    seconds = families["quern_predict_seconds"]
    assert seconds.type == "histogram"
    counts = {s.labels["outcome"]: s.value for s in seconds.samples if s.name.endswith("_count")}
    assert counts == {"ok": 3, "invalid": 3, "failed": 0}, counts
    for outcome, n in counts.items():
        buckets = [s.value for s in seconds.samples
                   if s.name.endswith("_bucket") and s.labels["outcome"] == outcome]
        assert buckets == sorted(buckets) and buckets[-1] == n, buckets
    assert all(s.labels["model"] == "credit" and s.labels["version"] == "1" for s in seconds.samples)
    assert all(family.documentation for family in families.values())


@test
def the_description_is_openapi(folder):
    validator = needs("openapi_spec_validator")
    with server(folder / "credit.quern") as (_, port, _):
        document = json.loads(get(port, "/openapi.json"))
        routes = {(route["method"].lower(), route["path"].count("/"))
                  for route in json.loads(get(port, "/"))["routes"]}
    if validator:
        validator.validate(document)
    described = {(method, path.count("/")) for path, methods in document["paths"].items()
                 for method in methods}
    assert routes <= described, routes - described
    row = document["components"]["schemas"]["credit.Row"]
    assert row["required"] == [c for c in rows_of(folder / "holdout.csv")[0] if c != "class"]
    assert "radio/tv" in row["properties"]["purpose"]["examples"]
    assert "/v1/models/credit:predict" in document["paths"]


@test
def what_schemathesis_makes_up_is_answered_as_described(folder):
    if not shutil.which("schemathesis"):
        print("[  SKIPPED ] schemathesis is not installed", flush=True)
        return
    with server(folder / "credit.quern", "--request-time", "10s") as (process, port, _):
        # Left out: a method that HTTP's parser does not know is a bad request, not a wrong method;
        # no schema tells which texts are tables; and the text of a number is taken for one.
        done = run("schemathesis", "run", f"http://127.0.0.1:{port}/openapi.json", "--max-examples",
                   "10", "--phases", "examples,coverage,fuzzing", "--seed", "1", "--exclude-checks",
                   "unsupported_method,positive_data_acceptance,negative_data_rejection",
                   "--no-color")
        assert process.poll() is None
        assert done.returncode == 0, done.stdout[-3000:]


@test
def the_page_predicts_in_a_browser(folder):
    browsers = needs("playwright.sync_api")
    chromium = shutil.which("chromium")
    if not browsers or not chromium:
        return
    first = rows_of(folder / "holdout.csv")[0]
    expected = expected_of(folder)[0]
    keys = quern("keys", "create", folder / "keys.json", "--roles", "predict,read").stdout.strip()
    with server(folder / "credit.quern", "--keys", folder / "keys.json") as (_, port, _), \
            browsers.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        broken = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("console", lambda message: "Content Security" in message.text
                and broken.append(message.text))
        page.goto(f"http://127.0.0.1:{port}/docs")
        page.fill("#key", keys)
        page.click("#access button")
        page.wait_for_selector("#field-0")
        columns = [column for column in first if column != "class"]
        for i, column in enumerate(columns):
            field = page.locator(f"#field-{i}")
            if field.evaluate("field => field.tagName") == "SELECT":
                field.select_option(first[column])
            else:
                field.fill(first[column])
        page.click("button.main")
        page.wait_for_selector("#label b")
        assert page.inner_text("#label b") == expected["prediction"]
        reply = json.loads(page.text_content("#reply"))
        assert reply == {"model": "credit", "version": "1", **expected}
        page.fill(f"#field-{columns.index('duration')}", "soon")
        page.click("button.main")
        page.wait_for_selector("[aria-invalid]")
        assert "expected a number" in page.inner_text("#problem")
        browser.close()
        assert not broken, broken


main()
