# Writes test/fixtures/reference/optimisers.json: steps of PyTorch's SGD, Adam and AdamW down given gradients, with two
# groups of parameters, a rate that changes, clipping by the global norm and a moving average. float64.
"""python3 make_optimisers.py OUT.json"""
import sys

import torch
from torch.optim.swa_utils import AveragedModel

from write_json import write_json

# Two groups: their rates are the step's times these, and only the first one decays.
GROUPS = [{"rate": 1.0, "decay": 0.05}, {"rate": 0.1, "decay": 0.0}]
WIDTH, AVERAGE_DECAY = 5, 0.98
# One per step.
RATES = [0.02, 0.05, 0.1, 0.05, 0.01, 0.001]


def seeded(generator, *shape):
    """Normal numbers with four decimals: short in the file, and nearly exact when read as float32."""
    return torch.round(torch.randn(*shape, generator=generator, dtype=torch.float64) * 1e4) / 1e4


def make_optimiser(name, groups):
    if name == "sgd":
        return torch.optim.SGD(groups, lr=1.0, momentum=0.9)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name](groups, lr=1.0, betas=(0.9, 0.999), eps=1e-8)


def main(out):
    generator = torch.Generator().manual_seed(11)
    start = seeded(generator, len(GROUPS), WIDTH)
    # Some norms are over 2, to which they are clipped, and some are under.
    sizes = torch.tensor([1, 0.1, 2, 0.5, 30, 0.001], dtype=torch.float64)
    gradients = [size * seeded(generator, len(GROUPS), WIDTH) for size in sizes]

    def run(name, clip):
        model = torch.nn.ParameterList([torch.nn.Parameter(row.clone()) for row in start])
        parameters = list(model)
        groups = [{"params": [p], "weight_decay": group["decay"]} for p, group in zip(parameters, GROUPS)]
        optimiser = make_optimiser(name, groups)

        def follow(average, parameter, updates):
            return average + (parameter - average) * (1 - torch.clamp(updates / (updates + 9), max=AVERAGE_DECAY))

        average = AveragedModel(model, avg_fn=follow)
        # The first call only copies: the average starts where the parameters do.
        average.update_parameters(model)
        steps = []
        for gradient, rate in zip(gradients, RATES):
            for parameter, row in zip(parameters, gradient):
                parameter.grad = row.clone()
            largest = float("inf") if clip is None else clip
            norm = torch.nn.utils.clip_grad_norm_(parameters, largest)
            for group, settings in zip(optimiser.param_groups, GROUPS):
                group["lr"] = rate * settings["rate"]
            optimiser.step()
            average.update_parameters(model)
            steps.append({
                "norm": norm.item(),
                "parameters": torch.cat([p.detach() for p in parameters]),
                "average": torch.cat([p.detach() for p in average.module]),
            })
        return {"optimiser": name, "clipNorm": clip, "steps": steps}

    write_json(out, {
        "about": "Steps of optimisers in PyTorch, float64. Made by scripts/reference/make_optimisers.py.",
        "torch": torch.__version__,
        "notes": [
            "norm: before clipping. clip_grad_norm_ multiplies by clip / (norm + 1e-6), which is 5e-7 less than clip / norm at most here",
            "average += (parameter - average) (1 - min(averageDecay, t / (t + 9))) after step t = 1, 2, ...",
        ],
        "groups": GROUPS,
        "averageDecay": AVERAGE_DECAY,
        "start": start,
        "rates": RATES,
        "gradients": gradients,
        "cases": [run(name, clip) for name in ("sgd", "adam", "adamw") for clip in (None, 2.0)],
    }, digits=10)


if __name__ == "__main__":
    main(sys.argv[1])
