#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Predicts one row inside a Python program, without a server: predict.py MODEL.quern NAME=VALUE …
What is not given is missing. LIBQUERN names the library where it is not installed."""
import ctypes as c
import os
import sys


class Cell(c.Structure):
    _fields_ = [("number", c.c_double), ("text", c.c_char_p), ("text_bytes", c.c_size_t)]


class Error(c.Structure):
    _fields_ = [("status", c.c_int), ("message", c.c_char * 1024)]


lib = c.CDLL(os.environ.get("LIBQUERN", "libquern.so"))
for name, kind in {"n_inputs": c.c_int64, "input_name": c.c_char_p, "n_classes": c.c_int32,
                   "class": c.c_char_p, "scratch_bytes": c.c_size_t}.items():
    getattr(lib, f"qn_model_{name}").restype = kind
model, error = c.c_void_p(), Error()


def check(status):
    if status:
        sys.exit(error.message.decode())


check(lib.qn_model_open(sys.argv[1].encode(), c.byref(model), c.byref(error)))
given = dict(word.encode().split(b"=", 1) for word in sys.argv[2:])
names = [lib.qn_model_input_name(model, c.c_int64(i)) for i in range(lib.qn_model_n_inputs(model))]
cells = (Cell * len(names))(*(Cell(float("nan"), given.get(n), len(given.get(n, b""))) for n in names))
outputs = (c.c_double * lib.qn_model_n_outputs(model))()
scratch = c.create_string_buffer(lib.qn_model_scratch_bytes(model) + 64)
start = c.c_void_p((c.addressof(scratch) + 63) // 64 * 64)
check(lib.qn_model_predict_row(model, cells, outputs, start, c.byref(error)))
label = "prediction"
if lib.qn_model_n_classes(model):
    label = lib.qn_model_class(model, lib.qn_model_decide(model, outputs)).decode()
print(label, repr(outputs[0]))
