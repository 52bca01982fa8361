# The peer of val.bench.ts: the evaluation loop of the PyTorch tutorials, on the network and the weights of a run of graft.
# Never part of the product. Debian: apt-get install python3-torch python3-torchvision. See bench/README.md.
"""Takes a job as JSON and prints one JSON line: seconds of the loop, accuracy, peak MiB. Photos are decoded with PIL and resized
as graft does it; DataLoader with `loaders` processes, batches of 32, no gradients, BatchNorm in inference mode."""
import json
import sys
import time

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional as F

from throughput import Network, peak_megabytes


class Photos(Dataset):
    def __init__(self, job, spec):
        self.rows, self.size, self.spec = job["photos"], job["size"], spec

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        path, label = self.rows[index]
        with Image.open(path) as file:
            image = file.convert("RGB").resize((self.size, self.size), Image.BILINEAR)
        return F.normalize(F.to_tensor(image), self.spec["mean"], self.spec["std"]), label


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)
    model = Network(job["network"])
    model.bias.data = torch.tensor(job["bias"])
    model = model.eval().to(memory_format=torch.channels_last)
    for parameter in model.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    loader = DataLoader(Photos(job, model.spec), batch_size=32, num_workers=job["loaders"])
    start = time.perf_counter()
    right = 0
    with torch.inference_mode():
        for x, y in loader:
            right += (model(x.contiguous(memory_format=torch.channels_last)).argmax(1) == y).sum().item()
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "accuracy": right / len(job["photos"]), "megabytes": peak_megabytes()}))


if __name__ == "__main__":
    main()
