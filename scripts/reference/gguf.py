# Reads GGUF v2/v3 files with numpy alone: metadata and tensors in F32, F16, BF16, F64 and the integer types.
# Part of the PyTorch referee; the product has its own reader in TypeScript.
"""GGUF reader.

    metadata, tensors = read_gguf("weights.gguf")

Run as a script it prints the metadata and one line per tensor:

    python3 gguf.py weights.gguf
"""
import struct
import sys

import numpy as np

# Key/value types: id -> struct format (little endian).
SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}
STRING, ARRAY = 8, 9

# ggml tensor types this reader knows: id -> (name, stored dtype). BF16 is widened to float32 by hand.
TENSOR_TYPES = {
    0: ("F32", "<f4"), 1: ("F16", "<f2"), 24: ("I8", "<i1"), 25: ("I16", "<i2"),
    26: ("I32", "<i4"), 27: ("I64", "<i8"), 28: ("F64", "<f8"), 30: ("BF16", "<u2"),
}

MAX_ENTRIES = 1 << 20  # keys, tensors, array elements: far above any real file


class Cursor:
    """Bytes and a position; every read is checked against the file's real length."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        if size > len(self.data) - self.at:
            raise ValueError(f"GGUF ends at byte {len(self.data)}, but byte {self.at + size} is wanted")
        start = self.at
        self.at += size
        return self.data[start:self.at]

    def scalar(self, fmt):
        return struct.unpack("<" + fmt, self.take(struct.calcsize("<" + fmt)))[0]

    def count(self):
        n = self.scalar("Q")
        if n > MAX_ENTRIES:
            raise ValueError(f"GGUF count {n} at byte {self.at - 8} is above the limit {MAX_ENTRIES}")
        return n

    def string(self):
        return bytes(self.take(self.count())).decode("utf-8")

    def value(self, kind):
        if kind in SCALARS:
            return self.scalar(SCALARS[kind])
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            element = self.scalar("I")
            return [self.value(element) for _ in range(self.count())]
        raise ValueError(f"GGUF key/value type {kind} is unknown")


def read_gguf(path):
    """Returns (metadata, tensors).

    metadata: key -> value. tensors: name -> {"type", "ne", "array"}; `ne` are the dims as stored (fastest axis
    first), `array` is row-major with the dims reversed, which is the shape PyTorch prints.
    """
    with open(path, "rb") as file:
        data = memoryview(file.read())
    cursor = Cursor(data)
    magic = bytes(cursor.take(4))
    if magic != b"GGUF":
        raise ValueError(f"{path}: starts with {magic!r}, not with b'GGUF'")
    version = cursor.scalar("I")
    if version not in (2, 3):
        raise ValueError(f"{path}: GGUF version {version}; 2 and 3 are known")
    n_tensors, n_keys = cursor.count(), cursor.count()
    metadata = {}
    for _ in range(n_keys):
        key = cursor.string()
        metadata[key] = cursor.value(cursor.scalar("I"))
    infos = []
    for _ in range(n_tensors):
        name = cursor.string()
        n_dims = cursor.scalar("I")
        if n_dims > 4:
            raise ValueError(f"{path}: tensor {name} has {n_dims} dims; GGUF allows 4")
        ne = tuple(cursor.scalar("Q") for _ in range(n_dims))
        infos.append((name, ne, cursor.scalar("I"), cursor.scalar("Q")))
    alignment = metadata.get("general.alignment", 32)
    start = (cursor.at + alignment - 1) // alignment * alignment
    tensors = {}
    for name, ne, kind, offset in infos:
        if kind not in TENSOR_TYPES:
            raise ValueError(f"{path}: tensor {name} has ggml type {kind}; known: {sorted(TENSOR_TYPES)}")
        label, dtype = TENSOR_TYPES[kind]
        count = int(np.prod(ne, dtype=np.int64)) if ne else 1
        size = count * np.dtype(dtype).itemsize
        if start + offset + size > len(data):
            raise ValueError(f"{path}: tensor {name} ends behind the file's end")
        array = np.frombuffer(data, dtype, count, start + offset).reshape(ne[::-1])
        if label == "BF16":
            array = (array.astype("<u4") << 16).view("<f4")
        tensors[name] = {"type": label, "ne": ne, "offset": offset, "array": array}
    return metadata, tensors


if __name__ == "__main__":
    found, weights = read_gguf(sys.argv[1])
    for key, value in found.items():
        print(f"{key} = {value!r}")
    for name, tensor in weights.items():
        print(f"{name}  {tensor['type']}  ne={list(tensor['ne'])}  shape={list(tensor['array'].shape)}")
