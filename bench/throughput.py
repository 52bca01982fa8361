# The peer of throughput.bench.ts: steps of full fine-tuning in PyTorch, channels_last, everything in memory beforehand.
# Never part of the product. Debian: apt-get install python3-torch python3-torchvision. See bench/README.md.
"""Takes a job as JSON (support/steps-job.ts), prints one JSON line: seconds per timed step, cores, losses, peak MiB.

The network is torchvision's backbone with graft's weights, its last stage mean-pooled, and a Linear; BatchNorm in
inference mode, all parameters with gradients; AdamW. Photos are normalised and laid out before the clock starts.
"""
import json
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scripts", "reference"))

import numpy as np
import torch
from torch import nn

from mobilenet_v3_small import MEAN, STD, STAGE_WIDTHS, load_mobilenet_v3_small


class Mean(nn.Module):
    """[N, C, H, W] to [N, C]."""

    def forward(self, x):
        return x.mean((2, 3))


def load_backbone(name, weights):
    """Returns (stages, channels of the last one)."""
    if name == "mobilenet_v3_small":
        return load_mobilenet_v3_small(weights)[0].features, STAGE_WIDTHS[-1]
    raise ValueError(f"There is no PyTorch network for the backbone {name}.")


def load_batches(job):
    """The pictures as normalised channels_last batches, with their labels."""
    shape = (job["photos"], job["size"], job["size"], 3)
    pixels = torch.from_numpy(np.fromfile(job["pixels"], dtype=np.uint8).reshape(shape))
    x = (pixels.permute(0, 3, 1, 2).float() / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    y = torch.arange(job["photos"]) % job["classes"]
    xs = [part.contiguous(memory_format=torch.channels_last) for part in x.split(job["batch"])]
    return list(zip(xs, y.split(job["batch"])))


def peak_megabytes():
    with open("/proc/self/status", encoding="ascii") as file:
        return round(int(re.search(r"VmHWM:\s+(\d+)", file.read())[1]) / 1024)


def main():
    job = json.loads(sys.argv[1])
    torch.manual_seed(0)
    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)
    features, width = load_backbone(job["backbone"], job["weights"])
    model = nn.Sequential(features, Mean(), nn.Linear(width, job["classes"]))
    model = model.to(memory_format=torch.channels_last).eval()
    batches = load_batches(job)
    # `foreach` is the faster of PyTorch's two ways to step.
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05, foreach=True)
    seconds, losses = [], []
    for step in range(job["warmUp"] + job["steps"]):
        x, y = batches[step % len(batches)]
        if step == job["warmUp"]:
            busy = time.process_time()
        start = time.perf_counter()
        loss = nn.functional.cross_entropy(model(x), y, label_smoothing=0.1)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if step >= job["warmUp"]:
            seconds.append(time.perf_counter() - start)
    cores = (time.process_time() - busy) / sum(seconds)
    print(json.dumps({"seconds": seconds, "cores": cores, "losses": losses, "megabytes": peak_megabytes()}))


if __name__ == "__main__":
    main()
