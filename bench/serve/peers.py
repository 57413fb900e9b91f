# SPDX-License-Identifier: Apache-2.0
"""The servers that run.py holds `quern serve` against: how each is made to serve the same LightGBM model, one
process on one core, the way its own manual shows, and how it wants a row asked.

Each has an interpreter of its own, whose packages are installed with its pip:

    fastapi      fastapi uvicorn lightgbm
    onnxruntime  fastapi uvicorn onnxruntime onnxmltools skl2onnx lightgbm
    mlflow       mlflow lightgbm
    mlserver     mlserver mlserver-lightgbm
    bentoml      bentoml lightgbm
"""
import dataclasses
import json
import os
import pathlib
import subprocess

FASTAPI = """
import json, sys
import {imports}
from fastapi import FastAPI, Request
import numpy
{load}
app = FastAPI()

@app.get("/ready")
def ready():
    return "ok"

@app.post("/predict")
async def predict(request: Request):
    row = await request.json()
    values = numpy.array([[row[name] for name in names]], dtype=numpy.{dtype})
    p = float({predict})
    return {{"prediction": int(p >= 0.5), "p_0": 1 - p, "p_1": p}}
"""

LIGHTGBM = FASTAPI.format(
    imports="lightgbm", dtype="float64", predict="booster.predict(values, num_threads=1)[0]",
    load='booster = lightgbm.Booster(model_file="model.txt")\nnames = booster.feature_name()')

ONNX = FASTAPI.format(
    imports="onnxruntime", dtype="float32", predict='session.run(["probabilities"], {"x": values})[0][0, 1]',
    load="""options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession("model.onnx", options, providers=["CPUExecutionProvider"])
names = json.load(open("names.json"))""")

TO_ONNX = """
import json, lightgbm, onnxmltools
from onnxmltools.convert.common.data_types import FloatTensorType
booster = lightgbm.Booster(model_file="../model.txt")
names = booster.feature_name()
json.dump(names, open("names.json", "w"))
model = onnxmltools.convert_lightgbm(booster, initial_types=[("x", FloatTensorType([None, len(names)]))],
                                     zipmap=False)
onnxmltools.utils.save_model(model, "model.onnx")
"""

TO_MLFLOW = """
import lightgbm, mlflow.lightgbm
mlflow.lightgbm.save_model(lightgbm.Booster(model_file="../model.txt"), "model")
"""

BENTO = """
import bentoml, lightgbm, numpy

@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Model:
    def __init__(self):
        self.booster = lightgbm.Booster(model_file="model.txt")
        self.names = self.booster.feature_name()

    @bentoml.api
    def predict(self, row: dict) -> dict:
        values = numpy.array([[row[name] for name in self.names]])
        p = float(self.booster.predict(values, num_threads=1)[0])
        return {"prediction": int(p >= 0.5), "p_0": 1 - p, "p_1": p}
"""


@dataclasses.dataclass
class Peer:
    """`prepare` is a program of its interpreter, `files` are written to its folder; `words` follow the
    interpreter's name or, where `script` is given, that program's in the same folder."""
    port: int
    words: list
    ready: str
    path: str
    body: object  # of a row as an object
    probability: object  # out of a reply
    script: str = None
    prepare: str = None
    files: dict = dataclasses.field(default_factory=dict)


PEERS = {
    "fastapi": Peer(
        18432, ["-m", "uvicorn", "app:app", "--port", "18432", "--log-level", "error"], "/ready", "/predict",
        lambda row: row, lambda reply: reply["p_1"], files={"app.py": LIGHTGBM}),
    "onnxruntime": Peer(
        18433, ["-m", "uvicorn", "app:app", "--port", "18433", "--log-level", "error"], "/ready", "/predict",
        lambda row: row, lambda reply: reply["p_1"], prepare=TO_ONNX, files={"app.py": ONNX}),
    "mlflow": Peer(
        18434, ["models", "serve", "-m", "model", "--env-manager", "local", "--workers", "1", "--port", "18434"],
        "/ping", "/invocations", lambda row: {"dataframe_records": [row]}, lambda reply: reply["predictions"][0],
        script="mlflow", prepare=TO_MLFLOW),
    "mlserver": Peer(
        18435, ["start", "."], "/v2/health/ready", "/v2/models/m/infer",
        lambda row: {"inputs": [{"name": "x", "shape": [1, len(row)], "datatype": "FP64", "data": list(row.values())}]},
        lambda reply: reply["outputs"][0]["data"][0], script="mlserver",
        files={"settings.json": json.dumps({"http_port": 18435, "grpc_port": 18445, "metrics_port": 18455,
                                            "parallel_workers": 0, "debug": False}),
               "model-settings.json": json.dumps({"name": "m", "parameters": {"uri": "model.txt"},
                                                  "implementation": "mlserver_lightgbm.LightGBMModel"})}),
    "bentoml": Peer(
        18436, ["serve", "service:Model", "--port", "18436"], "/readyz", "/predict", lambda row: {"row": row},
        lambda reply: reply["p_1"], script="bentoml", files={"service.py": BENTO}),
}

# One thread each, and nothing told to anybody.
VARIABLES = {"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "BENTOML_DO_NOT_TRACK": "True",
             "DO_NOT_TRACK": "1"}


def start(name, python, folder):
    """Starts the peer on the first core, in a folder of its own below the one that has model.txt and
    rows.jsonl; the process, in a group of its own."""
    peer, python = PEERS[name], pathlib.Path(python).absolute()
    place = folder / name
    place.mkdir()
    (place / "model.txt").write_text((folder / "model.txt").read_text())
    for file, text in peer.files.items():
        (place / file).write_text(text)
    with open(folder / "rows.jsonl", encoding="ascii") as rows, open(place / "bodies.jsonl", "w",
                                                                     encoding="ascii") as bodies:
        for line in rows:
            bodies.write(json.dumps(peer.body(json.loads(line))) + "\n")
    environment = {**os.environ, **VARIABLES, "PATH": f"{python.parent}:{os.environ['PATH']}"}
    if peer.prepare:
        subprocess.run([python, "-c", peer.prepare], cwd=place, env=environment, check=True, capture_output=True)
    program = [python.parent / peer.script] if peer.script else [python]
    with open(place / "log", "w", encoding="utf-8") as log:
        return subprocess.Popen(["taskset", "-c", "0", *program, *peer.words], cwd=place, env=environment, stdout=log,
                                stderr=log, start_new_session=True)
