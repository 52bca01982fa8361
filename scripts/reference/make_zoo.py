# Writes test/fixtures/reference/zoo.json: what torchvision's networks, and plain PyTorch ones where torchvision has none, give
# stage by stage with made-up weights, and how many parameters and multiply-adds they have.
"""python3 make_zoo.py OUT.json"""
import sys

import numpy as np
import torch
import torch.nn as nn
import torchvision.models as models

from make_training_gradients import make_uniform
from timm_networks import SameConv2d, efficientnet_lite, mobilenet_v4_conv_small
from write_json import write_json

ENTRIES = 6
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SIGNED = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

# card, variant, module, size of the picture, size for multiply-adds, and what differs from the module as it is.
CASES = [
    ("mobilenet_v3_small", "mobilenet_v3_small", models.mobilenet_v3_small, 96, 224, {}),
    ("mobilenet_v3_small", "tf_mobilenetv3_small_100", models.mobilenet_v3_small, 75, 224,
     {"same": True, "pixels": SIGNED}),
    ("mobilenet_v3_large", "mobilenet_v3_large", models.mobilenet_v3_large, 64, 224, {}),
    ("mobilenet_v3_large", "mobilenetv3_large_100", models.mobilenet_v3_large, 64, 224, {"eps": 1e-5}),
    ("mobilenet_v2", "mobilenet_v2", models.mobilenet_v2, 96, 224, {}),
    ("mobilenet_v2_050", "mobilenet_v2", lambda: models.mobilenet_v2(width_mult=0.5), 64, 224, {}),
    ("mobilenet_v4_conv_small", "mobilenetv4_conv_small", mobilenet_v4_conv_small, 96, 224, {}),
    ("efficientnet_b0", "efficientnet_b0", models.efficientnet_b0, 64, 224, {}),
    ("efficientnet_b0", "tf_efficientnet_b0", models.efficientnet_b0, 75, 224, {"same": True, "eps": 1e-3}),
    ("efficientnet_lite0", "efficientnet_lite0", lambda: efficientnet_lite(1.0, 1.0), 64, 224, {}),
    *[(f"efficientnet_lite{i}", f"tf_efficientnet_lite{i}", lambda wd=wd: efficientnet_lite(*wd), size, full,
       {"same": True, "eps": 1e-3, "pixels": SIGNED})
      for i, wd, size, full in [(0, (1.0, 1.0), 75, 224), (1, (1.0, 1.1), 75, 240), (2, (1.1, 1.2), 64, 260),
                                (3, (1.2, 1.4), 75, 280), (4, (1.4, 1.8), 64, 300)]],
    ("resnet18", "resnet18", models.resnet18, 96, 224, {}),
    ("resnet50", "resnet50", models.resnet50, 64, 224, {}),
]


def fnv1a(text):
    """32-bit FNV-1a of ASCII."""
    value = 0x811C9DC5
    for byte in text.encode("ascii"):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def uniform(name, shape):
    """Numbers in [-1, 1) that belong to a parameter's name."""
    return torch.from_numpy(make_uniform(fnv1a(name), int(np.prod(shape)))).reshape(tuple(shape))


def float32(numbers):
    return numbers.to(torch.float32).to(torch.float64)


def fill(model):
    """Weights of all layers by formulas. The statistics of BatchNormalization come when its input is known."""
    for name, parameter in model.named_parameters():
        u = uniform(name, parameter.shape)
        if parameter.dim() == 4:
            value = np.sqrt(6 / np.prod(parameter.shape[1:])) * u
        elif parameter.dim() == 1:
            value = 0.3 * u + (1 if name.endswith(".weight") else 0)
        else:
            value = torch.zeros_like(u)
        parameter.data = float32(value)


def set_statistics(model, x):
    """One pass in which every BatchNormalization gets statistics around the variance v of what it reads."""
    variances = {}

    def measure(name):
        def hook(norm, inputs):
            v = float(f"{float(inputs[0].var()):.3g}")
            variances[name] = v
            shape = norm.running_var.shape
            norm.running_mean = float32(0.3 * np.sqrt(v) * uniform(f"{name}.running_mean", shape))
            norm.running_var = float32(v * (1 + 0.5 * uniform(f"{name}.running_var", shape)))
        return hook

    hooks = [module.register_forward_pre_hook(measure(name))
             for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    stages_of(model, x)
    for hook in hooks:
        hook.remove()
    return variances


def stages_of(model, x):
    """Outputs of the stem, of each block, and of a last convolution."""
    if hasattr(model, "stages"):
        return model.stages(x)
    if isinstance(model, models.ResNet):
        x = model.maxpool(model.relu(model.bn1(model.conv1(x))))
        parts = [block for layer in (model.layer1, model.layer2, model.layer3, model.layer4) for block in layer]
        found = [x]
    elif isinstance(model, models.EfficientNet):
        parts = [model.features[0], *[block for group in model.features[1:-1] for block in group], model.features[-1]]
        found = []
    else:
        parts, found = list(model.features), []
    for part in parts:
        x = part(x)
        found.append(x)
    return found


def pad_same(module):
    """The same network with TensorFlow's padding."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            same = SameConv2d(child.in_channels, child.out_channels, child.kernel_size, child.stride,
                              groups=child.groups, bias=child.bias is not None)
            setattr(module, name, same)
        else:
            pad_same(child)
    if hasattr(module, "layers"):
        module.layers = [(name, None, norm, act) for name, _, norm, act in module.layers]


def count_multiply_adds(model, size):
    """Of convolutions and dense layers, for one picture."""
    total = 0

    def hook(module, _, output):
        nonlocal total
        total += output.numel() * module.weight[0].numel()

    hooks = [module.register_forward_hook(hook)
             for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    model(torch.zeros(1, 3, size, size, dtype=torch.float64))
    for one in hooks:
        one.remove()
    return total


def make_picture(size, mean, std):
    """pixel(y, x, c) as in make_mobilenet_v3_small.py with n = 0, normalised, NCHW."""
    c, y, x = np.meshgrid(np.arange(3), np.arange(size), np.arange(size), indexing="ij")
    pixels = torch.from_numpy((x * 7 + y * 13 + c * 29 + (x * y) % 31 * 5) % 256).double()
    mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (mean, std))
    return ((pixels / 255 - mean) / std)[None]


def pick(values):
    flat = values.flatten()
    return [float(flat[i * len(flat) // ENTRIES]) for i in range(ENTRIES)]


def describe(card, variant, make, size, full_size, options):
    model = make()
    if options.get("same"):
        pad_same(model)
    model = model.double().eval()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.eps = options.get("eps", norm.eps)
    fill(model)
    x = make_picture(size, *options.get("pixels", IMAGENET))
    variances = set_statistics(model, x)
    stages = stages_of(model, x)
    return {
        "card": card,
        "variant": variant,
        "size": size,
        "epsilon": norms[0].eps,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "multiplyAdds": count_multiply_adds(model, full_size),
        "variances": variances,
        "stages": [{
            "shape": list(y.shape[1:]),
            "norm": float(y.norm()),
            "pooledNorm": float(y.mean((2, 3)).norm()),
            "pooled": pick(y.mean((2, 3))),
            "entries": pick(y),
        } for y in stages],
    }


def main(out):
    torch.set_num_threads(1)
    with torch.no_grad():
        cases = [describe(*case) for case in CASES]
    write_json(out, {
        "about": "Networks in PyTorch, eval mode, float64. Made by scripts/reference/make_zoo.py.",
        "entries": ENTRIES,
        "cases": cases,
    }, digits=7)


if __name__ == "__main__":
    main(*sys.argv[1:2])
