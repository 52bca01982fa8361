# Builds torchvision's MobileNetV3-Small and fills it from a GGUF file with torchvision parameter names.
# Part of the PyTorch referee; run it as a script to check a file: every tensor is accounted for.
"""load_mobilenet_v3_small("weights.gguf") -> (model in eval mode, metadata)."""
import sys

import torch
import torchvision

from gguf import read_gguf

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
# Output channels of features.0 to features.12; their sum is 1,160.
STAGE_WIDTHS = (16, 16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96, 576)


def load_mobilenet_v3_small(path):
    """Reads `path`, checks that every `features.*` and `classifier.*` tensor fits, returns (model, metadata).

    The class count is taken from classifier.3.weight. Half precision is widened to float32 exactly. A file without a
    classifier keeps a fresh one (of no use beyond its shape). Throws on any missing, unknown or misshapen `features.*`.
    """
    metadata, tensors = read_gguf(path)
    has_classifier = "classifier.3.weight" in tensors
    classes = tensors["classifier.3.weight"]["array"].shape[0] if has_classifier else 1000
    model = torchvision.models.mobilenet_v3_small(weights=None, num_classes=classes)
    state = {}
    for name, tensor in tensors.items():
        dtype = "int64" if name.endswith("num_batches_tracked") else "float32"
        state[name] = torch.from_numpy(tensor["array"].astype(dtype))
    missing, unexpected = model.load_state_dict(state, strict=has_classifier)
    missing = [name for name in missing if not name.startswith("classifier.")]
    if missing or unexpected:
        raise ValueError(f"{path}: missing {missing}, unexpected {unexpected}")
    return model.eval(), metadata


def forward_stages(model, x):
    """The outputs of features.0 to features.12, in order, for a normalised NCHW batch."""
    stages = []
    for stage in model.features:
        x = stage(x)
        stages.append(x)
    return stages


if __name__ == "__main__":
    network, keys = load_mobilenet_v3_small(sys.argv[1])
    with torch.no_grad():
        widths = tuple(y.shape[1] for y in forward_stages(network, torch.zeros(1, 3, 224, 224)))
    assert widths == STAGE_WIDTHS, widths
    print(f"{sum(p.numel() for p in network.parameters())} parameters, stage widths {widths}, sum {sum(widths)}")
    print(f"BatchNorm eps {network.features[0][1].eps} (file: {keys.get('mobilenet.bn_eps')})")
