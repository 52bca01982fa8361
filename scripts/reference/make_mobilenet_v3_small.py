# Writes test/fixtures/reference/mobilenet-v3-small.json: what PyTorch computes with the default weights, stage by stage.
# The two inputs are formulas, so a test can rebuild them without any file.
"""python3 make_mobilenet_v3_small.py WEIGHTS.gguf OUT.json"""
import hashlib
import sys

import numpy as np
import torch
import torchvision

from mobilenet_v3_small import MEAN, STAGE_WIDTHS, STD, forward_stages, load_mobilenet_v3_small
from write_json import write_json

SIZE = 224
INPUTS = 2
FORMULA = "pixel(n, y, x, c) = (x*7 + y*13 + c*29 + ((x*y) mod 31)*5 + n*17) mod 256"


def make_pixels(n):
    """Image n as uint8 HWC."""
    y, x, c = np.meshgrid(np.arange(SIZE), np.arange(SIZE), np.arange(3), indexing="ij")
    return ((x * 7 + y * 13 + c * 29 + (x * y) % 31 * 5 + n * 17) % 256).astype(np.uint8)


def normalise(pixels):
    """uint8 HWC -> float32 CHW, (pixel/255 - mean)/std, every step in float32 as torchvision's transforms do."""
    scaled = torch.from_numpy(pixels).permute(2, 0, 1).to(torch.float32).div(255)
    mean, std = (torch.tensor(v, dtype=torch.float32).view(3, 1, 1) for v in (MEAN, STD))
    return scaled.sub(mean).div(std)


def main(weights, out):
    torch.set_num_threads(1)
    torch.set_flush_denormal(False)
    model, metadata = load_mobilenet_v3_small(weights)
    double = load_mobilenet_v3_small(weights)[0].double()
    inputs, worst = [], 0.0
    for n in range(INPUTS):
        pixels = make_pixels(n)
        x = normalise(pixels)[None]
        with torch.no_grad():
            stages = forward_stages(model, x)
            pooled = [y.mean((2, 3))[0] for y in stages]
            logits = model(x)[0]
            exact = [y.mean((2, 3))[0] for y in forward_stages(double, x.double())]
        worst = max(worst, *(float((a - b).abs().max()) for a, b in zip(pooled, exact)))
        assert tuple(len(p) for p in pooled) == STAGE_WIDTHS and sum(STAGE_WIDTHS) == 1160
        inputs.append({
            "n": n,
            "pixelSum": int(pixels.sum(dtype=np.int64)),
            "firstPixels": pixels.reshape(-1)[:12],
            "pixelsSha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
            "inputFirst": x[0, :, 0, 0],
            "inputMean": float(x.double().mean()),
            "stageShapes": [list(y.shape[1:]) for y in stages],
            "pooledStages": pooled,
            "logits": logits,
        })
    with open(weights, "rb") as file:
        sha256 = hashlib.sha256(file.read()).hexdigest()
    write_json(out, {
        "about": "MobileNetV3-Small in PyTorch, eval mode, float32, one thread. Made by scripts/reference/make_mobilenet_v3_small.py.",
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "weightsSha256": sha256,
        "bnEps": model.features[0][1].eps,
        "size": SIZE,
        "mean": MEAN,
        "std": STD,
        "formula": FORMULA,
        "layout": "pixels: uint8, row-major [y][x][c]; network input: float32 NCHW, (pixel/255 - mean)/std",
        "classes": [metadata[f"mobilenet.class_{i}"] for i in range(metadata["mobilenet.num_classes"])],
        "stageWidths": STAGE_WIDTHS,
        "largestDistanceToFloat64": worst,
        "inputs": inputs,
    }, digits=9)


if __name__ == "__main__":
    main(*sys.argv[1:3])
