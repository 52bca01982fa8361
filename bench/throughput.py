# The peer of throughput.bench.ts: steps of full fine-tuning in PyTorch, everything in memory beforehand.
# Never part of the product. Debian: apt-get install python3-torch. See bench/README.md.
"""Takes a job as JSON (support/steps-job.ts), prints one JSON line: seconds per timed step, cores, losses, peak MiB.

The network is the backbone's graph (support/peer-network.ts) with PyTorch's own functions in the order in which torchvision and
timm call them, the means of the pooled stages, and a Linear; BatchNorm in inference mode, all parameters with gradients; AdamW.
Photos are normalised and laid out before the clock starts.
"""
import json
import re
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

LEARNED = {"Conv": (1, 2), "BatchNormalization": (1, 2)}


class Network(nn.Module):
    """The graph of `network.json` with the numbers of `network.f32`, and a head."""

    def __init__(self, files):
        super().__init__()
        with open(files["json"], encoding="utf-8") as file:
            self.spec = json.load(file)
        numbers = torch.from_numpy(np.fromfile(files["numbers"], dtype=np.float32))
        self.tensors = {}
        for name, place in self.spec["constants"].items():
            count = int(np.prod(place["shape"]))
            self.tensors[name] = numbers[place["offset"] : place["offset"] + count].reshape(place["shape"]).clone()
        nodes = self.spec["nodes"]
        learned = {n["inputs"][i] for n in nodes for i in LEARNED.get(n["op"], ()) if i < len(n["inputs"])}
        for name in sorted(learned) + ["head.weight"]:
            parameter = nn.Parameter(self.tensors[name])
            self.register_parameter(name.replace(".", "/"), parameter)
            self.tensors[name] = parameter
        self.bias = nn.Parameter(torch.zeros(self.tensors["head.weight"].shape[0]))
        self.steps = self.plan(nodes)

    def plan(self, nodes):
        """[(function, inputs, output)]. x * sigmoid(x) is one function, and activations write over what nobody else reads."""
        readers = {}
        for node in nodes:
            for name in node["inputs"]:
                readers[name] = readers.get(name, 0) + 1
        for name in self.spec["pooled"]:
            readers[name] = readers.get(name, 0) + 1
        makers = {node["outputs"][0]: node for node in nodes}
        silus = {}
        for node in nodes:
            if node["op"] == "Mul":
                for x, gate in (node["inputs"], node["inputs"][::-1]):
                    maker = makers.get(gate)
                    if maker and maker["op"] == "Sigmoid" and maker["inputs"][0] == x and readers[gate] == 1:
                        silus[gate] = node["outputs"][0]
        steps = []
        for node in nodes:
            (output,) = node["outputs"]
            first = node["inputs"][0]
            if output in silus.values():
                continue
            uses = 2 if output in silus else 1
            free = readers[first] == uses and makers.get(first, {}).get("op") == "BatchNormalization"
            if output in silus:
                steps.append((silu(free), [first], silus[output]))
            else:
                steps.append((self.function(node, free), [n for n in node["inputs"] if n not in self.tensors], output))
        return steps

    def function(self, node, inplace):
        op, attributes = node["op"], node["attributes"]
        tensors = [self.tensors.get(name) for name in node["inputs"]]
        if op == "Conv":
            return convolution(tensors[1], tensors[2] if len(tensors) > 2 else None, attributes)
        if op == "BatchNormalization":
            gamma, beta, mean, variance = tensors[1:]
            return lambda x: F.batch_norm(x, mean, variance, gamma, beta, False, 0, attributes["epsilon"])
        if op == "Clip":
            return lambda x: F.hardtanh(x, tensors[1].item(), tensors[2].item(), inplace)
        if op == "MaxPool":
            before, stride, kernel = pads(attributes), attributes["strides"], attributes["kernel_shape"]
            if before is None:
                return lambda x: F.max_pool2d(F.pad(x, sides(attributes), value=-torch.inf), kernel, stride)
            return lambda x: F.max_pool2d(x, kernel, stride, before)
        return {
            "Relu": lambda x: F.relu(x, inplace),
            "HardSwish": lambda x: F.hardswish(x, inplace),
            "HardSigmoid": F.hardsigmoid,
            "Sigmoid": torch.sigmoid,
            "GlobalAveragePool": lambda x: F.adaptive_avg_pool2d(x, 1),
            "Add": torch.add,
            "Mul": torch.mul,
        }[op]

    def forward(self, x):
        values = {"image": x}
        for function, inputs, output in self.steps:
            values[output] = function(*(values[name] for name in inputs))
        features = torch.cat([values[name].mean((2, 3)) for name in self.spec["pooled"]], 1)
        return F.linear(features, self.tensors["head.weight"], self.bias)


def silu(inplace):
    return lambda x: F.silu(x, inplace)


def convolution(weight, bias, attributes):
    stride, dilation, group = attributes["strides"], attributes["dilations"], attributes["group"]
    before = pads(attributes)
    if before is None:
        return lambda x: F.conv2d(F.pad(x, sides(attributes)), weight, bias, stride, 0, dilation, group)
    return lambda x: F.conv2d(x, weight, bias, stride, before, dilation, group)


def pads(attributes):
    """Padding of rows and columns where it is the same before and behind, else None."""
    top, left, bottom, right = attributes["pads"]
    return (top, left) if (top, left) == (bottom, right) else None


def sides(attributes):
    """As F.pad takes them."""
    top, left, bottom, right = attributes["pads"]
    return (left, right, top, bottom)


def load_batches(job, spec, memory_format):
    """The pictures as normalised batches, with their labels."""
    shape = (job["photos"], job["size"], job["size"], 3)
    pixels = torch.from_numpy(np.fromfile(job["pixels"], dtype=np.uint8).reshape(shape))
    mean, std = (torch.tensor(spec[name]).view(3, 1, 1) for name in ("mean", "std"))
    x = (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std
    y = torch.arange(job["photos"]) % job["classes"]
    xs = [part.contiguous(memory_format=memory_format) for part in x.split(job["batch"])]
    return list(zip(xs, y.split(job["batch"])))


def peak_megabytes():
    with open("/proc/self/status", encoding="ascii") as file:
        return round(int(re.search(r"VmHWM:\s+(\d+)", file.read())[1]) / 1024)


def main():
    job = json.loads(sys.argv[1])
    torch.manual_seed(0)
    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)
    memory_format = torch.channels_last if job.get("channelsLast") else torch.contiguous_format
    model = Network(job["network"])
    for parameter in model.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=memory_format)
    batches = load_batches(job, model.spec, memory_format)
    # `foreach` is the faster of PyTorch's two ways to step.
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05, foreach=True)
    seconds, losses = [], []
    for step in range(job["warmUp"] + job["steps"]):
        x, y = batches[step % len(batches)]
        if step == job["warmUp"]:
            busy = time.process_time()
        start = time.perf_counter()
        loss = F.cross_entropy(model(x), y, label_smoothing=0.1)
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
