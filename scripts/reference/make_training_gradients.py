# Writes test/fixtures/reference/training-gradients.json: loss, logits and gradients of torchvision's MobileNetV3-Small
# and a linear head on the means of all its stages. Weights and inputs are formulas, which a test can rebuild.
"""python3 make_training_gradients.py OUT.json"""
import sys

import numpy as np
import torch
import torch.nn.functional as F
import torchvision

from mobilenet_v3_small import MEAN, STAGE_WIDTHS, STD, forward_stages
from write_json import write_json

SIZE, CLASSES, CUT, ENTRIES = 96, 4, 6, 6
SMOOTHING = 0.1
TARGETS = [[1, 0, 0, 0], [0, 0.25, 0.75, 0]]
SHARES = [0.7, 0.3]
CLASS_WEIGHTS = [1, 2, 0.5, 1.5]
# Of the first 200, that whose values stay farthest from kinks: there float32 may take the other side.
SEED = 23
FARTHEST = 5.38e-5


def make_uniform(seed, count):
    """`count` numbers in [-1, 1): mulberry32 (Tommy Ettinger, public domain), as float64."""
    state = np.arange(1, count + 1, dtype=np.uint64) * 0x6D2B79F5 + seed
    a = (state & 0xFFFFFFFF).astype(np.uint32)
    t = (a ^ (a >> 15)) * (a | 1)
    t = (t + (t ^ (t >> 7)) * (t | 61)) ^ t
    return (t ^ (t >> 14)) / 2.0**31 - 1


def make_parameter(seed, name, shape):
    """float32 numbers around `middle` that reach `reach` far, by the kind of the parameter."""
    if name == "head.weight":
        middle, reach = 0, 0.05
    elif name.endswith((".running_var", ".inverse")):
        middle, reach = 1, 0.5
    elif len(shape) == 4:
        middle, reach = 0, np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith(".weight"):
        middle, reach = 1, 0.3
    else:
        middle, reach = 0, 0.3
    numbers = middle + reach * make_uniform(seed, int(np.prod(shape)))
    return torch.from_numpy(numbers.astype(np.float32).astype(np.float64)).reshape(shape)


def make_halves(seed, *shape):
    """float16 numbers from 0.25 to 3 of both signs: sign and bits from 0x3400 to 0x4200."""
    u = make_uniform(seed, int(np.prod(shape)))
    patterns = (np.where(u < 0, 0x8000, 0) + 0x3400 + np.floor(np.abs(u) * 0xE00)).astype(np.uint16)
    return torch.from_numpy(patterns.view(np.float16).astype(np.float64)).reshape(shape)


def make_pictures():
    """uint8 pictures as normalised NCHW: pixel(n, y, x, c) as in make_mobilenet_v3_small.py."""
    n, c, y, x = np.meshgrid(*map(np.arange, (len(SHARES), 3, SIZE, SIZE)), indexing="ij")
    pixels = torch.from_numpy((x * 7 + y * 13 + c * 29 + (x * y) % 31 * 5 + n * 17) % 256).double()
    mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (MEAN, STD))
    return (pixels / 255 - mean) / std


def make_network(seed):
    """(model, values by name in order, distances to kinks that forward passes fill)."""
    model = torchvision.models.mobilenet_v3_small(weights=None).double().eval()
    shapes = {
        name: list(tensor.shape) for name, tensor in model.state_dict().items()
        if name.startswith("features.") and not name.endswith("num_batches_tracked")
    }
    width = sum(STAGE_WIDTHS)
    shapes |= {"head.weight": [CLASSES, width], "head.bias": [CLASSES], "head.mean": [width], "head.inverse": [width]}
    values = {name: make_parameter(seed + 1000 * i, name, shape) for i, (name, shape) in enumerate(shapes.items())}
    model.load_state_dict({n: v for n, v in values.items() if n.startswith("features.")}, strict=False)
    distances = []

    def watch(module, inputs):
        kink = 0 if isinstance(module, torch.nn.ReLU) else 3
        distances.append(float((inputs[0].detach().abs() - kink).abs().min()))

    for module in model.features.modules():
        if isinstance(module, (torch.nn.ReLU, torch.nn.Hardswish, torch.nn.Hardsigmoid)):
            # In place, an activation would overwrite the input that it is watched for.
            module.inplace = False
            module.register_forward_pre_hook(watch)
    return model, values, distances


def compute_features(model, seed, from_cut):
    """Means of all stages: from pictures, or from made-up outputs of the stages before CUT."""
    if not from_cut:
        return torch.cat([stage.mean((2, 3)) for stage in forward_stages(model, make_pictures())], 1)
    photos, side = len(SHARES), SIZE // 16
    x = make_halves(seed + 1, photos, STAGE_WIDTHS[CUT - 1], side, side)
    means = [make_halves(seed + 2, photos, sum(STAGE_WIDTHS[:CUT]))]
    for stage in model.features[CUT:]:
        x = stage(x)
        means.append(x.mean((2, 3)))
    return torch.cat(means, 1)


def summarise(gradient):
    flat = gradient.reshape(-1)
    return {
        "norm": float(flat.norm()), "sum": float(flat.sum()), "largest": float(flat.abs().max()),
        "entries": [float(flat[i * len(flat) // ENTRIES]) for i in range(ENTRIES)],
    }


def run(from_cut):
    model, values, distances = make_network(SEED)
    trained = {n: p for n, p in model.named_parameters() if n.startswith("features.")}
    for name in ("head.weight", "head.bias"):
        trained[name] = values[name].requires_grad_()
    rows = (compute_features(model, SEED, from_cut) - values["head.mean"]) * values["head.inverse"]
    logits = rows @ trained["head.weight"].T + trained["head.bias"]
    targets, shares, weights = (torch.tensor(v, dtype=torch.float64) for v in (TARGETS, SHARES, CLASS_WEIGHTS))
    per_photo = F.cross_entropy(logits, targets, label_smoothing=SMOOTHING, reduction="none")
    loss = (shares * (targets @ weights) * per_photo).sum()
    loss.backward()
    assert min(distances) > 0.9 * FARTHEST, distances
    return {
        "logits": logits,
        "loss": loss.item(),
        "gradients": {name: summarise(p.grad) for name, p in trained.items() if p.grad is not None},
    }


def find_seed():
    """Prints the seeds that stay farther from kinks than those before them."""
    farthest = 0
    for seed in range(200):
        model, _, distances = make_network(seed)
        with torch.no_grad():
            for from_cut in (False, True):
                compute_features(model, seed, from_cut)
        if min(distances) > farthest:
            farthest = min(distances)
            print(f"seed {seed}: {farthest:.2e}")


def main(out):
    torch.set_num_threads(1)
    values = make_network(SEED)[1]
    write_json(out, {
        "about": "Gradients of MobileNetV3-Small in torchvision, eval mode, float64. "
                 "Made by scripts/reference/make_training_gradients.py.",
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "notes": [
            "number k of parameter i: middle + reach * u, u number k of mulberry32 with seed + 1000 i, from -1 to 1",
            "middle and reach: head.weight 0, 0.05; *.running_var, *.inverse 1, 0.5; convolutions 0, sqrt(6 / fan in); "
            "other *.weight 1, 0.3; the rest 0, 0.3; then rounded to float32",
            "pixel(n, y, x, c) = (x*7 + y*13 + c*29 + ((x*y) mod 31)*5 + n*17) mod 256",
            "fromCut: what the stages before cut give is made up, in float16: bits (u < 0 ? 0x8000 : 0) + 0x3400 + "
            "floor(|u| 0xE00), u from seed + 1 for their last output and from seed + 2 for their means",
            "gradients: L2 norm, sum, largest absolute value, and the entries floor(i n / 6) for i from 0 to 5",
        ],
        "seed": SEED,
        "distanceToKinks": FARTHEST,
        "size": SIZE,
        "cut": CUT,
        "targets": TARGETS,
        "shares": SHARES,
        "classWeights": CLASS_WEIGHTS,
        "labelSmoothing": SMOOTHING,
        "shapes": {name: list(value.shape) for name, value in values.items()},
        "fromImage": run(False),
        "fromCut": run(True),
    }, digits=8)


if __name__ == "__main__":
    main(sys.argv[1]) if len(sys.argv) > 1 else find_seed()
