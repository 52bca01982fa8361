# The peer to beat: the transfer-learning recipe of the Keras and PyTorch guides, in PyTorch, on graft's weights and split.
# Never part of the product. Debian: apt-get install python3-torch python3-torchvision. See bench/README.md.
"""Trains a classifier on photos as the guides do and prints one JSON line with times and accuracies.

Phase one, after the Keras guide (https://keras.io/guides/transfer_learning/): the backbone frozen and in inference
mode, recomputed in every epoch; mean-pooled last stage -> Dropout(0.2) -> Linear; Adam 1e-3; random flip and rotation
by up to 0.1 of a turn in every epoch.

Phase two, optional: everything but the first quarter of the stages unfrozen, BatchNorm still in inference mode, a
fresh optimiser: Adam 1e-5 (the Keras guide's) or SGD 1e-3, momentum 0.9, a tenth every 7 epochs (the PyTorch
tutorial's), chosen with --fine-tune-recipe; `both` runs the two from the same phase-one result.
"""
import argparse
import copy
import json
import os
import platform
import random
import resource
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scripts", "reference"))

import torch
import torchvision
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional as F

from mobilenet_v3_small import MEAN, STD, load_mobilenet_v3_small

SIZE = 224
MAX_DEGREES = 36  # RandomRotation(0.1) of Keras: a tenth of a turn either way
UNFREEZE_FROM = 3  # features.0 to features.2, about a quarter of the 13 stages, stay frozen in phase two


class Photos(Dataset):
    """(normalised CHW float32, class index) per photo; augmented when `augment` is set."""

    def __init__(self, root, rows, augment):
        self.root = root
        self.rows = rows
        self.augment = augment

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        path, label = self.rows[index]
        with Image.open(os.path.join(self.root, path)) as file:
            image = file.convert("RGB").resize((SIZE, SIZE), Image.BILINEAR)
        if self.augment:
            if torch.rand(()) < 0.5:
                image = F.hflip(image)
            degrees = float(torch.empty(()).uniform_(-MAX_DEGREES, MAX_DEGREES))
            image = F.rotate(image, degrees, F.InterpolationMode.BILINEAR)
        return F.normalize(F.to_tensor(image), MEAN, STD), label


def read_manifest(path):
    """Returns (classes, train rows, validation rows); a row is (root-relative path, class index)."""
    with open(path, encoding="utf-8") as file:
        manifest = json.load(file)
    classes = manifest["classes"]
    rows = {"train": [], "validation": []}
    for photo in manifest["photos"]:
        label = photo["class"] if isinstance(photo["class"], int) else classes.index(photo["class"])
        if photo["split"] in rows:
            rows[photo["split"]].append((photo["path"], label))
    return classes, rows["train"], rows["validation"]


def freeze(model, trainable_from):
    """Makes only the stages from `trainable_from` on, and the head, trainable."""
    for index, stage in enumerate(model["features"]):
        for parameter in stage.parameters():
            parameter.requires_grad = index >= trainable_from


def predict(model, x, trainable_from):
    """Logits; stages before `trainable_from` run without gradients, BatchNorm always in inference mode."""
    stages = model["features"]
    with torch.no_grad():
        for stage in stages[:trainable_from]:
            x = stage(x)
    for stage in stages[trainable_from:]:
        x = stage(x)
    return model["head"](x.mean((2, 3)))


def run_epoch(model, loader, layout, trainable_from, optimiser):
    for x, y in loader:
        loss = nn.functional.cross_entropy(predict(model, x.contiguous(memory_format=layout), trainable_from), y)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()


def measure_accuracy(model, loader, layout):
    model["head"].eval()
    right = total = 0
    with torch.no_grad():
        for x, y in loader:
            logits = predict(model, x.contiguous(memory_format=layout), len(model["features"]))
            right += int((logits.argmax(1) == y).sum())
            total += len(y)
    return right / total


def run_phase(model, loaders, layout, trainable_from, epochs, optimiser, scheduler=None):
    """Trains and validates after every epoch. Seconds include decoding, augmentation and both passes."""
    freeze(model, trainable_from)
    model["features"].eval()
    accuracies, train_seconds = [], 0.0
    start = time.perf_counter()
    for epoch in range(epochs):
        epoch_start = time.perf_counter()
        model["head"].train()
        run_epoch(model, loaders["train"], layout, trainable_from, optimiser)
        train_seconds += time.perf_counter() - epoch_start
        if scheduler:
            scheduler.step()
        accuracies.append(measure_accuracy(model, loaders["validation"], layout))
        print(f"epoch {epoch + 1}/{epochs}: validation accuracy {accuracies[-1]:.4f}", file=sys.stderr)
    return {
        "epochs": epochs,
        "seconds": round(time.perf_counter() - start, 2),
        "trainSeconds": round(train_seconds, 2),
        "validationAccuracy": [round(a, 4) for a in accuracies],
        "last": round(accuracies[-1], 4),
        "best": round(max(accuracies), 4),
    }


def make_optimiser(recipe, parameters):
    if recipe == "adam":
        return torch.optim.Adam(parameters, lr=1e-5), None
    optimiser = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)
    return optimiser, torch.optim.lr_scheduler.StepLR(optimiser, step_size=7, gamma=0.1)


def cpu_seconds():
    """User and system seconds of the main process and of the loader processes that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return round(sum(u.ru_utime + u.ru_stime for u in used), 2)


def peak_megabytes():
    """Peak resident memory in MiB, Linux: of the main process, and of its largest loader process."""
    used = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"main": round(used[0]), "largestLoader": round(used[1])}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder that the manifest's paths start from")
    parser.add_argument("--manifest", required=True, help="{classes: [], photos: [{path, class, split}]}")
    parser.add_argument("--weights", required=True, help="MobileNetV3-Small as GGUF, torchvision names")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--fine-tune-epochs", type=int, default=0)
    parser.add_argument("--fine-tune-recipe", choices=["adam", "sgd", "both"], default="both")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="loader processes; 0 decodes in the main process")
    parser.add_argument("--channels-last", action="store_true", help="PyTorch's fastest layout on a CPU")
    return parser.parse_args()


def main():
    options = parse_arguments()
    started = time.perf_counter()
    random.seed(options.seed)
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    classes, train, validation = read_manifest(options.manifest)

    backbone, _ = load_mobilenet_v3_small(options.weights)
    head = nn.Sequential(nn.Dropout(0.2), nn.Linear(576, len(classes)))
    model = nn.ModuleDict({"features": backbone.features, "head": head}).to(memory_format=layout)

    def load(rows, augment):
        return DataLoader(
            Photos(options.data, rows, augment),
            batch_size=options.batch,
            shuffle=augment,
            num_workers=options.workers,
            persistent_workers=options.workers > 0,
            generator=torch.Generator().manual_seed(options.seed),
        )

    loaders = {"train": load(train, True), "validation": load(validation, False)}
    report = {
        "recipe": "guide",
        "photos": {"train": len(train), "validation": len(validation)},
        "classes": classes,
        "batch": options.batch,
        "seed": options.seed,
        "threads": options.threads,
        "workers": options.workers,
        "channelsLast": options.channels_last,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
    }
    if options.epochs > 0:
        optimiser = torch.optim.Adam(head.parameters(), lr=1e-3)
        report["frozen"] = run_phase(model, loaders, layout, len(model["features"]), options.epochs, optimiser)
    if options.fine_tune_epochs > 0:
        phase_one = copy.deepcopy(model.state_dict())
        recipes = ["adam", "sgd"] if options.fine_tune_recipe == "both" else [options.fine_tune_recipe]
        report["fineTune"] = {}
        for recipe in recipes:
            model.load_state_dict(phase_one)
            freeze(model, UNFREEZE_FROM)
            optimiser, scheduler = make_optimiser(recipe, [p for p in model.parameters() if p.requires_grad])
            report["fineTune"][recipe] = run_phase(
                model, loaders, layout, UNFREEZE_FROM, options.fine_tune_epochs, optimiser, scheduler
            )
        best = max(recipes, key=lambda recipe: report["fineTune"][recipe]["best"])
        report["fineTuneBest"] = {"recipe": best, "accuracy": report["fineTune"][best]["best"]}
    report["totalSeconds"] = round(time.perf_counter() - started, 2)
    del loaders  # ends the loader processes, so that their time and memory are counted
    report["cpuSeconds"] = cpu_seconds()
    report["peakMegabytes"] = peak_megabytes()
    report["load"] = [round(v, 2) for v in os.getloadavg()]
    print(json.dumps(report))


if __name__ == "__main__":
    main()
