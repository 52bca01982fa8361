# Writes test/fixtures/reference/losses.json: cross-entropy of soft and hard targets with label smoothing, class weights
# and shares, and its gradient with respect to the logits, by PyTorch in float64.
"""python3 make_losses.py OUT.json"""
import sys

import torch
import torch.nn.functional as F

from write_json import write_json

PHOTOS, CLASSES = 5, 4


def main(out):
    generator = torch.Generator().manual_seed(13)
    logits = torch.round(torch.randn(PHOTOS, CLASSES, generator=generator, dtype=torch.float64) * 200) / 100
    # Two hard labels, two mixtures as mixup makes them, one spread over all classes.
    targets = torch.tensor([
        [1, 0, 0, 0], [0, 0, 0, 1], [0.75, 0.25, 0, 0], [0, 0.4, 0.6, 0], [0.1, 0.2, 0.3, 0.4],
    ], dtype=torch.float64)
    even = torch.full((PHOTOS,), 1 / PHOTOS, dtype=torch.float64)
    # The last photo only fills the batch up.
    uneven = torch.tensor([0.25, 0.125, 0.5, 0.125, 0], dtype=torch.float64)
    weights = torch.tensor([0.5, 1, 2, 3.5], dtype=torch.float64)

    def run(smoothing, class_weights, shares):
        z = logits.clone().requires_grad_()
        per_photo = F.cross_entropy(z, targets, label_smoothing=smoothing, reduction="none")
        scale = 1.0 if class_weights is None else targets @ class_weights
        loss = (shares * scale * per_photo).sum()
        loss.backward()
        return {
            "labelSmoothing": smoothing, "classWeights": class_weights, "shares": shares,
            "loss": loss.item(), "gradient": z.grad,
        }

    write_json(out, {
        "about": "Cross-entropy in PyTorch, float64. Made by scripts/reference/make_losses.py.",
        "torch": torch.__version__,
        "notes": [
            "loss = sum_n shares_n (targets_n . v) cross_entropy(logits_n, targets_n, smoothing), v class weights",
            "cross_entropy(weight=v) of PyTorch would weight the smoothed share of each class instead of the photo",
        ],
        "logits": logits,
        "targets": targets,
        "cases": {
            "plain": run(0.0, None, even),
            "smoothed": run(0.1, None, even),
            "weighted": run(0.0, weights, even),
            "smoothed and weighted": run(0.1, weights, even),
            "smoothed and weighted, uneven shares": run(0.2, weights, uneven),
        },
    }, digits=10)


if __name__ == "__main__":
    main(sys.argv[1])
