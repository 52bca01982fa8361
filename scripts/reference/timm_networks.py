# MobileNetV4-Conv-Small and EfficientNet-Lite in plain PyTorch, with timm's parameter names: a second reading of the papers'
# tables, in the notation of ratios and repeats that the papers use.
"""mobilenet_v4_conv_small(), efficientnet_lite(width, depth) -> module with `stages(x)`, a list of what each stage gives."""
import math

import torch.nn as nn
import torch.nn.functional as F


class SameConv2d(nn.Conv2d):
    """TensorFlow's SAME: out = ceil(in / stride), the odd pixel of padding below and on the right."""

    def forward(self, x):
        pads = []
        for side, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1]):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def conv(inside, out, kernel, stride=1, groups=1):
    return nn.Conv2d(inside, out, kernel, stride, kernel // 2, groups=groups, bias=False)


class ConvNorm(nn.Module):
    """timm's ConvNormAct: `conv`, `bn`."""

    def __init__(self, inside, out, kernel, stride=1, groups=1, act=True):
        super().__init__()
        self.conv = conv(inside, out, kernel, stride, groups)
        self.bn = nn.BatchNorm2d(out)
        self.act = act

    def forward(self, x):
        x = self.bn(self.conv(x))
        return F.relu(x) if self.act else x


class ConvBlock(nn.Module):
    """timm's ConvBnAct: `conv`, `bn1`."""

    def __init__(self, inside, out, kernel, stride):
        super().__init__()
        self.conv, self.bn1 = conv(inside, out, kernel, stride), nn.BatchNorm2d(out)

    def forward(self, x):
        return F.relu(self.bn1(self.conv(x)))


class Uib(nn.Module):
    """Universal inverted bottleneck: `a` and `k` are the kernels of the two depthwise convolutions, 0 for none."""

    def __init__(self, inside, out, a, k, stride, ratio):
        super().__init__()
        wide = inside * ratio
        if a:
            self.dw_start = ConvNorm(inside, inside, a, 1 if k else stride, inside, act=False)
        self.pw_exp = ConvNorm(inside, wide, 1)
        if k:
            self.dw_mid = ConvNorm(wide, wide, k, stride, wide)
        self.pw_proj = ConvNorm(wide, out, 1, act=False)
        self.skip = stride == 1 and inside == out

    def forward(self, x):
        y = x
        for part in ("dw_start", "pw_exp", "dw_mid", "pw_proj"):
            if hasattr(self, part):
                y = getattr(self, part)(y)
        return x + y if self.skip else y


class MobileNetV4(nn.Module):
    def __init__(self, table):
        super().__init__()
        self.conv_stem, self.bn1 = conv(3, 32, 3, 2), nn.BatchNorm2d(32)
        inside, groups = 32, []
        for rows in table:
            blocks = []
            for repeats, make, out, *rest in rows:
                for _ in range(repeats):
                    blocks.append(make(inside, out, *rest))
                    inside = out
            groups.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*groups)
        self.conv_head = nn.Conv2d(inside, 1280, 1, bias=False)
        self.norm_head = nn.BatchNorm2d(1280)
        self.classifier = nn.Linear(1280, 1000)

    def stages(self, x):
        found = [F.relu(self.bn1(self.conv_stem(x)))]
        for group in self.blocks:
            for block in group:
                found.append(block(found[-1]))
        return found

    def forward(self, x):
        x = self.stages(x)[-1].mean((2, 3), keepdim=True)
        return self.classifier(F.relu(self.norm_head(self.conv_head(x))).flatten(1))


def mobilenet_v4_conv_small():
    # repeats, block, out, then kernel and stride of a convolution, or a, k, stride and ratio of a UIB.
    return MobileNetV4([
        [(1, ConvBlock, 32, 3, 2), (1, ConvBlock, 32, 1, 1)],
        [(1, ConvBlock, 96, 3, 2), (1, ConvBlock, 64, 1, 1)],
        [(1, Uib, 96, 5, 5, 2, 3), (4, Uib, 96, 0, 3, 1, 2), (1, Uib, 96, 3, 0, 1, 4)],
        [(1, Uib, 128, 3, 3, 2, 6), (1, Uib, 128, 5, 5, 1, 4), (1, Uib, 128, 0, 5, 1, 4), (1, Uib, 128, 0, 5, 1, 3),
         (2, Uib, 128, 0, 3, 1, 4)],
        [(1, ConvBlock, 960, 1, 1)],
    ])


class LiteBlock(nn.Module):
    """Depthwise separable (ratio 1) or inverted residual, with ReLU6."""

    def __init__(self, inside, out, kernel, stride, ratio):
        super().__init__()
        wide = inside * ratio
        depthwise = conv(wide, wide, kernel, stride, wide)
        if ratio == 1:
            self.layers = [("conv_dw", depthwise, "bn1", True), ("conv_pw", conv(wide, out, 1), "bn2", False)]
        else:
            self.layers = [("conv_pw", conv(inside, wide, 1), "bn1", True), ("conv_dw", depthwise, "bn2", True),
                           ("conv_pwl", conv(wide, out, 1), "bn3", False)]
        for name, layer, norm, _ in self.layers:
            self.add_module(name, layer)
            self.add_module(norm, nn.BatchNorm2d(layer.out_channels))
        self.skip = stride == 1 and inside == out

    def forward(self, x):
        y = x
        for name, _, norm, act in self.layers:
            y = getattr(self, norm)(getattr(self, name)(y))
            y = F.relu6(y) if act else y
        return x + y if self.skip else y


# Google's rows as text: repeats, kernel, stride, ratio, out.
LITE = "r1k3s1e1o16 r2k3s2e6o24 r2k5s2e6o40 r3k3s2e6o80 r3k5s1e6o112 r4k5s2e6o192 r1k3s1e6o320"


def round_filters(filters, width):
    """Google's rule: to a multiple of 8, never more than a tenth down."""
    scaled = filters * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


class EfficientNetLite(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.conv_stem, self.bn1 = conv(3, 32, 3, 2), nn.BatchNorm2d(32)
        inside, groups, rows = 32, [], LITE.split()
        for i, row in enumerate(rows):
            repeats, kernel, stride, ratio, out = map(int, row.translate(str.maketrans("rkseo", "     ")).split())
            if 0 < i < len(rows) - 1:
                repeats = math.ceil(repeats * depth)
            out = round_filters(out, width)
            blocks = []
            for j in range(repeats):
                blocks.append(LiteBlock(inside, out, kernel, stride if j == 0 else 1, ratio))
                inside = out
            groups.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*groups)
        self.conv_head, self.bn2 = conv(inside, 1280, 1), nn.BatchNorm2d(1280)
        self.classifier = nn.Linear(1280, 1000)

    def stages(self, x):
        found = [F.relu6(self.bn1(self.conv_stem(x)))]
        for group in self.blocks:
            for block in group:
                found.append(block(found[-1]))
        return [*found, F.relu6(self.bn2(self.conv_head(found[-1])))]

    def forward(self, x):
        return self.classifier(self.stages(x)[-1].mean((2, 3)))


def efficientnet_lite(width, depth):
    return EfficientNetLite(width, depth)
