# Writes test/fixtures/reference/softmax-head.json: a tiny linear softmax head, its loss, gradients and three AdamW steps.
# Computed by PyTorch in float64, so a float32 or float64 implementation can be held against it.
"""python3 make_head_gradients.py OUT.json"""
import sys

import torch

from write_json import write_json

SAMPLES, FEATURES, CLASSES, STEPS = 6, 5, 3, 3
SMOOTHING = 0.1
LEARNING_RATE, BETAS, EPS, WEIGHT_DECAY = 0.01, (0.9, 0.999), 1e-8, 0.05


def seeded(generator, *shape):
    """Normal numbers with four decimals: short in the file, and exact when read back as float64."""
    return torch.round(torch.randn(*shape, generator=generator, dtype=torch.float64) * 1e4) / 1e4


def main(out):
    generator = torch.Generator().manual_seed(7)
    x = seeded(generator, SAMPLES, FEATURES)
    start_w, start_b = seeded(generator, CLASSES, FEATURES), seeded(generator, CLASSES)
    labels = torch.tensor([0, 1, 2, 1, 0, 1])
    class_weights = torch.tensor([1.5, 0.5, 2.0], dtype=torch.float64)

    def run(smoothing, weights):
        """Loss and gradients at the start, then the parameters and the loss before each AdamW step."""
        w, b = start_w.clone().requires_grad_(), start_b.clone().requires_grad_()
        per_sample = torch.nn.CrossEntropyLoss(label_smoothing=smoothing, reduction="none")
        sample_weights = 1.0 if weights is None else weights[labels]
        optimiser = torch.optim.AdamW(
            [{"params": [w], "weight_decay": WEIGHT_DECAY}, {"params": [b], "weight_decay": 0.0}],
            lr=LEARNING_RATE, betas=BETAS, eps=EPS,
        )
        steps = []
        for _ in range(STEPS):
            optimiser.zero_grad()
            loss = (sample_weights * per_sample(x @ w.T + b, labels)).mean()
            loss.backward()
            grad_w, grad_b = w.grad.clone(), b.grad.clone()
            optimiser.step()
            steps.append({
                "loss": loss.item(), "gradW": grad_w, "gradB": grad_b,
                "w": w.detach().clone(), "b": b.detach().clone(),
            })
        first = steps[0]
        return {
            "labelSmoothing": smoothing,
            "classWeights": weights,
            "loss": first["loss"],
            "gradW": first["gradW"],
            "gradB": first["gradB"],
            "steps": steps,
        }

    write_json(out, {
        "about": "Linear softmax head in PyTorch, float64. Made by scripts/reference/make_head_gradients.py.",
        "torch": torch.__version__,
        "notes": [
            "logits = x W^T + b; x [samples][features], W [classes][features], b [classes]",
            "q = (1 - s) onehot(y) + s/classes; loss = mean_i v_{y_i} sum_c -q_ic log p_ic, v the class weights",
            "CrossEntropyLoss(weight=v, label_smoothing=s) would weight the smoothed share by v_c: with one rare class it pulls "
            "every other photo towards that class",
            "steps[k]: loss and gradients before the step, w and b after it; weight decay is decoupled and on W alone",
        ],
        "x": x,
        "labels": labels,
        "w": start_w,
        "b": start_b,
        "adamw": {
            "learningRate": LEARNING_RATE, "betas": BETAS, "eps": EPS, "weightDecayW": WEIGHT_DECAY, "weightDecayB": 0.0,
        },
        "logits": x @ start_w.T + start_b,
        "probabilities": torch.softmax(x @ start_w.T + start_b, 1),
        "cases": {
            "plain": run(0.0, None),
            "smoothed": run(SMOOTHING, None),
            "weighted": run(0.0, class_weights),
            "smoothedAndWeighted": run(SMOOTHING, class_weights),
        },
    }, digits=17)


if __name__ == "__main__":
    main(sys.argv[1])
