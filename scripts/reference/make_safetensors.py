# Writes test/fixtures/reference/safetensors.json: files made by the safetensors package itself, with what is in them.
# Names are chosen for the order of the writer (UTF-8, not UTF-16) and for the escapes of JSON.
"""python3 make_safetensors.py OUT.json"""
import base64
import json
import sys

import numpy as np
from safetensors.numpy import save

from write_json import write_json

DTYPES = {"float32": "f4", "float16": "f2", "int64": "i8", "int32": "i4", "int8": "i1", "uint8": "u1", "bool": "?"}

EVERY_TYPE = {
    "features.10.weight": ("float32", [2, 3], [0, -1.5, 0.25, 1e-38, 3.4e38, -0.0]),
    "features.9.weight": ("float32", [1, 1, 1, 2], [7, 8]),
    "10": ("float32", [1], [10]),
    "9": ("float32", [1], [9]),
    "nothing": ("float32", [0, 3], []),
    "half": ("float16", [3], [0.5, -2, 65504]),
    "bn.num_batches_tracked": ("int64", [], [9007199254740993]),
    "counts": ("int32", [2], [-2147483648, 2147483647]),
    "signed": ("int8", [3], [-128, 0, 127]),
    "bytes": ("uint8", [1, 5], [0, 1, 2, 254, 255]),
    "flags": ("bool", [3], [True, False, True]),
}
ODD_NAMES = ["\u00e9", "\uffee", "\U0001f343", "quote\"", "back\\slash", "line\nfeed", "\x01\x7f\u2028", "", "__proto__", "a/b"]

CASES = {
    "every type": (EVERY_TYPE, {"format": "pt"}),
    "odd names": ({name: ("int8", [1], [i]) for i, name in enumerate(ODD_NAMES)}, None),
    "metadata of several keys": ({"w": ("float32", [1], [1])}, {"z": "1", "a": "", "2": "\u00e9\"\n"}),
    "no tensors": ({}, None),
}


def save_sorted(arrays, metadata):
    """The package writes metadata in a random order, each time another: saved again until the keys are in order."""
    while True:
        file = save(arrays, metadata)
        header = json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])
        if list(header.get("__metadata__", {})) == sorted(metadata or {}):
            return file


def make_case(name, tensors, metadata):
    arrays = {key: np.array(values, DTYPES[dtype]).reshape(shape) for key, (dtype, shape, values) in tensors.items()}
    listed = [
        # Hexadecimal bytes in place of values: JSON has no exact int64.
        {"name": key, "dtype": dtype, "shape": shape, "data": arrays[key].tobytes().hex()}
        for key, (dtype, shape, _) in tensors.items()
    ]
    file = base64.b64encode(save_sorted(arrays, metadata)).decode()
    return {"name": name, "metadata": metadata or {}, "tensors": listed, "file": file}


write_json(sys.argv[1], [make_case(name, *case) for name, case in CASES.items()], 17)
