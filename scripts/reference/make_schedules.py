# Writes test/fixtures/reference/schedules.json: learning rates by PyTorch's schedulers at every step.
"""python3 make_schedules.py OUT.json"""
import sys
import warnings

import torch
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, OneCycleLR, SequentialLR

from write_json import write_json


def main(out):
    # They warn of schedulers that are stepped without their optimiser.
    warnings.simplefilter("ignore")

    def rates(steps, make):
        optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        scheduler = make(optimiser)
        found = []
        for _ in range(steps):
            found.append(optimiser.param_groups[0]["lr"])
            # The very last call would be one step too many for OneCycleLR.
            if len(found) < steps:
                scheduler.step()
        return found

    def warmed(steps, warmup, after):
        """A linear rise that reaches the peak right after `warmup` steps, then `after` for the other ones."""
        if warmup == 0:
            return rates(steps, after)
        rise = lambda optimiser: LinearLR(optimiser, 1 / (warmup + 1), 1.0, total_iters=warmup)
        return rates(steps, lambda optimiser: SequentialLR(
            optimiser, [rise(optimiser), after(optimiser)], milestones=[warmup],
        ))

    cases = []
    for steps, warmup in ((10, 0), (20, 4), (7, 7), (1, 0), (30, 29)):
        cosine = lambda optimiser: CosineAnnealingLR(optimiser, T_max=max(1, steps - warmup))
        constant = lambda optimiser: ConstantLR(optimiser, factor=1.0)
        cases.append({"schedule": "cosine", "steps": steps, "warmup": warmup, "rates": warmed(steps, warmup, cosine)})
        cases.append({"schedule": "constant", "steps": steps, "warmup": warmup, "rates": warmed(steps, warmup, constant)})
    for steps in (2, 3, 4, 10, 33, 100):
        one_cycle = lambda optimiser: OneCycleLR(
            optimiser, max_lr=1.0, total_steps=steps, pct_start=0.3, div_factor=25, final_div_factor=1e4,
        )
        cases.append({"schedule": "one-cycle", "steps": steps, "warmup": 0, "rates": rates(steps, one_cycle)})
    write_json(out, {
        "about": "Learning rates of PyTorch's schedulers, peak 1. Made by scripts/reference/make_schedules.py.",
        "torch": torch.__version__,
        "notes": [
            "cosine, constant: SequentialLR of LinearLR(start_factor=1 / (warmup + 1), total_iters=warmup), then of "
            "CosineAnnealingLR(T_max=steps - warmup) or ConstantLR(factor=1)",
            "one-cycle: OneCycleLR(pct_start=0.3, div_factor=25, final_div_factor=1e4, anneal_strategy='cos')",
        ],
        "cases": cases,
    }, digits=10)


if __name__ == "__main__":
    main(sys.argv[1])
