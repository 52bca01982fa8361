# Writes test/fixtures/reference/gradients.json: outputs and gradients of single ONNX ops in PyTorch, float64.
# First each op is spelled in PyTorch, then the table says on what it is tried: one line per case.
"""python3 make_gradients.py OUT.json"""
import itertools
import sys

import numpy as np
import torch
import torch.nn.functional as F

from write_json import write_json

generator = torch.Generator().manual_seed(11)


# ---- Numbers


def some(*shape):
    """Normal numbers with two decimals."""
    return torch.round(torch.randn(*shape, generator=generator, dtype=torch.float64) * 100) / 100


def apart(*shape, step=0.2):
    """Odd multiples of step / 2 in disorder: all different, and never at an even multiple, where kinks are."""
    count = int(np.prod(shape))
    order = torch.randperm(count, generator=generator).to(torch.float64)
    return (torch.round((order - count // 2 + 0.5) * step * 1e4) / 1e4).reshape(shape)


def positive(*shape):
    """Numbers from 0.5 to 2 with two decimals."""
    return torch.round(50 + 150 * torch.rand(*shape, generator=generator, dtype=torch.float64)) / 100


class fixed:
    """A float input that is a constant: no gradient is asked for."""

    def __init__(self, value):
        self.tensor = torch.as_tensor(value, dtype=torch.float64)


# ---- Ops in PyTorch: inputs as in ONNX (absent ones None), attributes by name


def pad_image(x, pads, value=0.0):
    top, left, bottom, right = pads
    return F.pad(x, (left, right, top, bottom), value=value)


def conv(x, w, b=None, *, kernel_shape, strides, pads, dilations, group):
    assert list(w.shape[2:]) == kernel_shape
    return F.conv2d(pad_image(x, pads), w, b, strides, 0, dilations, group)


def average_pool(x, *, kernel_shape, strides, pads, count_include_pad, ceil_mode=0):
    if ceil_mode:
        assert pads[:2] == pads[2:]
        return F.avg_pool2d(x, kernel_shape, strides, pads[:2], True, bool(count_include_pad))
    area = kernel_shape[0] * kernel_shape[1]
    total = F.avg_pool2d(pad_image(x, pads), kernel_shape, strides) * area
    counts = F.avg_pool2d(pad_image(torch.ones_like(x), pads), kernel_shape, strides) * area
    y = total / (area if count_include_pad else counts)
    if pads[:2] == pads[2:]:
        own = F.avg_pool2d(x, kernel_shape, strides, pads[:2], count_include_pad=bool(count_include_pad))
        assert torch.allclose(y, own)
    return y


def max_pool(x, *, kernel_shape, strides, pads, dilations=(1, 1), ceil_mode=0):
    if pads[:2] == pads[2:]:
        return F.max_pool2d(x, kernel_shape, strides, pads[:2], dilations, bool(ceil_mode))
    assert not ceil_mode
    return F.max_pool2d(pad_image(x, pads, -np.inf), kernel_shape, strides, 0, dilations)


def gemm(a, b, c=None, *, alpha, beta, transA, transB):
    y = alpha * (a.T if transA else a) @ (b.T if transB else b)
    return y if c is None else y + beta * c


def fused_matmul(a, b, *, alpha, transA, transB):
    return alpha * (a.transpose(-1, -2) if transA else a) @ (b.transpose(-1, -2) if transB else b)


def batch_normalization(x, gamma, beta, mean, variance, *, epsilon):
    wide = [v.reshape(1, -1, *[1] * (x.dim() - 2)) for v in (gamma, beta, mean, variance)]
    y = (x - wide[2]) / torch.sqrt(wide[3] + epsilon) * wide[0] + wide[1]
    assert torch.allclose(y, F.batch_norm(x, mean.detach(), variance.detach(), gamma, beta, False, 0, epsilon))
    return y


def slice_(x, starts, ends, axes, steps):
    for start, end, axis, step in zip(starts, ends, axes, steps):
        taken = list(range(x.shape[axis]))[slice(start, None if end < -10**6 else end, step)]
        x = x.index_select(axis, torch.tensor(taken))
    return x


def pad(x, pads, value=torch.zeros(()), *, mode):
    # Negative numbers cut off, for F.pad as for ONNX.
    rank = x.dim()
    pairs = [(pads[axis], pads[axis + rank]) for axis in reversed(range(rank))]
    return F.pad(x, list(itertools.chain(*pairs)), value=float(value))


def resize(x, _roi, scales, sizes=None, *, mode, coordinate_transformation_mode, nearest_mode):
    if sizes is None:
        scales = scales.tolist()
        sizes = [int(np.floor(n * s)) for n, s in zip(x.shape, scales)]
    else:
        scales = [m / n for m, n in zip(sizes, x.shape)]
    size, scale = sizes[2:], scales[2:]
    if (mode, coordinate_transformation_mode) == ("linear", "half_pixel"):
        y = F.interpolate(x, scale_factor=tuple(scale), mode="bilinear", align_corners=False)
    elif (mode, coordinate_transformation_mode) == ("linear", "align_corners"):
        y = F.interpolate(x, size=size, mode="bilinear", align_corners=True)
    else:
        # The others by the coordinates of the ONNX specification, which PyTorch then looks up.
        def coordinates(axis):
            o, n, m = torch.arange(size[axis], dtype=torch.float64), x.shape[2 + axis], size[axis]
            if coordinate_transformation_mode == "asymmetric":
                return o / scale[axis]
            if coordinate_transformation_mode == "align_corners":
                return o * (n - 1) / max(m - 1, 1)
            return (o + 0.5) / scale[axis] - 0.5
        at = [coordinates(0), coordinates(1)]
        if mode == "linear":
            unit = [2 * a / (n - 1) - 1 for a, n in zip(at, x.shape[2:])]
            rows, columns = torch.meshgrid(*unit, indexing="ij")
            grid = torch.stack([columns, rows], -1)[None].expand(x.shape[0], -1, -1, -1)
            y = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True)
        else:
            index = [torch.floor(a) if nearest_mode == "floor" else torch.ceil(a - 0.5) for a in at]
            index = [i.clamp(0, n - 1).long() for i, n in zip(index, x.shape[2:])]
            y = x[:, :, index[0]][:, :, :, index[1]]
            if (coordinate_transformation_mode, nearest_mode) == ("asymmetric", "floor"):
                assert torch.equal(y, F.interpolate(x, scale_factor=tuple(scale), mode="nearest"))
    assert list(y.shape[2:]) == size
    return y


def clip(x, lowest=None, highest=None):
    return torch.clamp(x, *[None if bound is None else float(bound) for bound in (lowest, highest)])


OPS = {
    "Abs": torch.abs,
    "Add": torch.add,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Cast": lambda x, *, to: x.clone(),
    "Clip": clip,
    "Concat": lambda *xs, axis: torch.cat(xs, axis),
    "Conv": conv,
    "Div": torch.div,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Expand": lambda x, shape: x.expand(torch.broadcast_shapes(x.shape, shape)),
    "Flatten": lambda x, *, axis: x.reshape(int(np.prod(x.shape[:axis])), -1),
    "Gemm": gemm,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "HardSigmoid": lambda x, *, alpha, beta: torch.clamp(alpha * x + beta, 0, 1),
    "HardSwish": F.hardswish,
    "Identity": torch.clone,
    "LayerNormalization": lambda x, w, b, *, axis, epsilon: F.layer_norm(x, x.shape[axis:], w, b, epsilon),
    "Log": torch.log,
    "LogSoftmax": lambda x, *, axis: F.log_softmax(x, axis),
    "MatMul": torch.matmul,
    "Max": torch.maximum,
    "MaxPool": max_pool,
    "Min": torch.minimum,
    "Mul": torch.mul,
    "Neg": torch.neg,
    "Pad": pad,
    "Pow": torch.pow,
    "ReduceMean": lambda x, *, axes, keepdims: x.mean(axes, keepdim=bool(keepdims)),
    "ReduceSum": lambda x, axes, *, keepdims: x.sum(axes, keepdim=bool(keepdims)),
    "Relu": torch.relu,
    "Reshape": lambda x, shape: x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(shape)]),
    "Resize": resize,
    "Sigmoid": torch.sigmoid,
    "Slice": slice_,
    "Softmax": lambda x, *, axis: F.softmax(x, axis),
    "Sqrt": torch.sqrt,
    "Squeeze": lambda x, axes: x.reshape([n for i, n in enumerate(x.shape) if i not in [a % x.dim() for a in axes]]),
    "Sub": torch.sub,
    "Tanh": torch.tanh,
    "Transpose": lambda x, *, perm: x.permute(perm),
    "Unsqueeze": lambda x, axes: x.reshape(np.expand_dims(np.empty(x.shape), tuple(axes)).shape),
    "microsoft.FusedMatMul": fused_matmul,
    "microsoft.Gelu": F.gelu,
}


# ---- The table: op, title, inputs (floats; int64 are lists, absent ones None), attributes


def pair(value):
    return list(value) if isinstance(value, tuple) else [value, value]


def sides(value):
    return list(value) if isinstance(value, tuple) else [value] * 4


def window(kernel, stride=1, pads=0, dilation=1, group=1):
    """Attributes of Conv; pads are top, left, bottom, right."""
    return {
        "kernel_shape": pair(kernel), "strides": pair(stride), "pads": sides(pads), "dilations": pair(dilation),
        "group": group,
    }


def pool(kernel, stride=1, pads=0, **more):
    return {"kernel_shape": pair(kernel), "strides": pair(stride), "pads": sides(pads), **more}


def how(mode, coordinates, nearest="floor"):
    return {"mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": nearest}


def flags(alpha=1.0, beta=1.0, a=0, b=0):
    return {"alpha": alpha, "beta": beta, "transA": a, "transB": b}


def fused(alpha=1.0, a=0, b=0):
    return {"alpha": alpha, "transA": a, "transB": b}


BOTH = {"keepdims": 1}
GONE = {"keepdims": 0}
FAR = 2**31 - 1

TABLE = [
    ("Conv", "1x1", [some(2, 3, 4, 5), some(4, 3, 1, 1), some(4)], window(1)),
    ("Conv", "1x1, stride 2, a row left over", [some(1, 3, 4, 5), some(2, 3, 1, 1), some(2)], window(1, 2)),
    ("Conv", "1x1, stride 3, two columns left over", [some(2, 2, 5, 6), some(3, 2, 1, 1)], window(1, 3)),
    ("Conv", "1x1, padded", [some(1, 2, 3, 4), some(3, 2, 1, 1), some(3)], window(1, 1, 1)),
    ("Conv", "1x1, groups", [some(2, 4, 3, 3), some(6, 2, 1, 1), some(6)], window(1, 1, 0, 1, 2)),
    ("Conv", "2x2, stride 3, gaps between windows", [some(1, 2, 7, 6), some(2, 2, 2, 2), some(2)], window(2, 3)),
    ("Conv", "3x3, no padding", [some(2, 2, 5, 4), some(3, 2, 3, 3), some(3)], window(3)),
    ("Conv", "3x3, no bias", [some(2, 2, 4, 4), some(3, 2, 3, 3)], window(3, 1, 1)),
    ("Conv", "3x3, padded", [some(2, 3, 4, 5), some(2, 3, 3, 3), some(2)], window(3, 1, 1)),
    ("Conv", "3x3, stride 2, even sides", [some(1, 2, 6, 8), some(3, 2, 3, 3), some(3)], window(3, 2, 1)),
    ("Conv", "3x3, stride 2, odd sides", [some(2, 2, 5, 7), some(3, 2, 3, 3), some(3)], window(3, 2, 1)),
    ("Conv", "3x3, stride 2, even and odd", [some(1, 3, 5, 6), some(2, 3, 3, 3), some(2)], window(3, 2, 1)),
    ("Conv", "3x3, strides 2 and 1", [some(1, 2, 6, 5), some(2, 2, 3, 3), some(2)], window(3, (2, 1), 1)),
    ("Conv", "3x3, stride 3, two rows left over", [some(1, 2, 8, 7), some(2, 2, 3, 3), some(2)], window(3, 3)),
    ("Conv", "3x3, padded unevenly", [some(1, 2, 4, 5), some(2, 2, 3, 3), some(2)], window(3, 1, (2, 0, 0, 1))),
    ("Conv", "3x3, stride 2, padded behind", [some(1, 2, 6, 7), some(2, 2, 3, 3), some(2)], window(3, 2, (0, 0, 1, 1))),
    ("Conv", "3x3, dilated", [some(1, 2, 6, 7), some(2, 2, 3, 3), some(2)], window(3, 1, 2, 2)),
    ("Conv", "3x3, dilated along one axis", [some(1, 2, 5, 7), some(2, 2, 3, 3), some(2)], window(3, 1, 1, (1, 3))),
    ("Conv", "3x3, dilated, stride 2", [some(2, 2, 8, 7), some(2, 2, 3, 3), some(2)], window(3, 2, 1, 2)),
    ("Conv", "3x1", [some(1, 2, 5, 3), some(2, 2, 3, 1), some(2)], window((3, 1), 1, (1, 0, 1, 0))),
    ("Conv", "1x5", [some(1, 2, 3, 7), some(2, 2, 1, 5), some(2)], window((1, 5), (1, 2), (0, 2, 0, 2))),
    ("Conv", "5x5, padded", [some(1, 2, 5, 6), some(2, 2, 5, 5), some(2)], window(5, 1, 2)),
    ("Conv", "5x5, stride 2", [some(1, 2, 8, 7), some(2, 2, 5, 5), some(2)], window(5, 2, 2)),
    ("Conv", "as large as the picture", [some(2, 2, 4, 3), some(3, 2, 4, 3), some(3)], window((4, 3))),
    ("Conv", "3x3, groups", [some(2, 4, 4, 5), some(6, 2, 3, 3), some(6)], window(3, 1, 1, 1, 2)),
    ("Conv", "3x3, groups, stride 2", [some(2, 4, 6, 5), some(2, 2, 3, 3), some(2)], window(3, 2, 1, 1, 2)),
    ("Conv", "depthwise 3x3", [some(2, 3, 4, 5), some(3, 1, 3, 3), some(3)], window(3, 1, 1, 1, 3)),
    ("Conv", "depthwise 3x3, stride 2", [some(2, 3, 6, 5), some(3, 1, 3, 3), some(3)], window(3, 2, 1, 1, 3)),
    ("Conv", "depthwise 5x5, stride 2", [some(1, 3, 7, 8), some(3, 1, 5, 5), some(3)], window(5, 2, 2, 1, 3)),
    ("Conv", "depthwise, dilated", [some(1, 3, 7, 6), some(3, 1, 3, 3), some(3)], window(3, 1, 2, 2, 3)),
    ("Conv", "depthwise, two filters a channel", [some(2, 3, 4, 4), some(6, 1, 3, 3), some(6)], window(3, 1, 1, 1, 3)),
    ("Gemm", "plain", [some(3, 4), some(4, 2), some(2)], flags()),
    ("Gemm", "without C", [some(3, 4), some(4, 2)], flags(2.0)),
    ("Gemm", "B transposed, as a dense layer", [some(3, 4), some(2, 4), some(2)], flags(b=1)),
    ("Gemm", "A transposed, factors", [some(4, 3), some(4, 2), some(3, 1)], flags(0.5, 2.0, 1)),
    ("Gemm", "both transposed, C a scalar", [some(4, 3), some(2, 4), some(())], flags(1.5, 0.5, 1, 1)),
    ("Gemm", "C a matrix", [some(3, 4), some(4, 2), some(3, 2)], flags(1.0, -1.0)),
    ("MatMul", "matrices", [some(3, 4), some(4, 2)], {}),
    ("MatMul", "batches", [some(2, 3, 4), some(2, 4, 2)], {}),
    ("MatMul", "one matrix for a batch", [some(2, 2, 3, 4), some(4, 2)], {}),
    ("MatMul", "a batch for one matrix", [some(3, 4), some(2, 4, 2)], {}),
    ("MatMul", "batches broadcast both ways", [some(2, 1, 3, 4), some(3, 4, 2)], {}),
    ("microsoft.FusedMatMul", "plain, factor", [some(3, 4), some(4, 2)], fused(0.5)),
    ("microsoft.FusedMatMul", "A transposed", [some(4, 3), some(4, 2)], fused(1.0, 1)),
    ("microsoft.FusedMatMul", "B transposed", [some(3, 4), some(2, 4)], fused(2.0, 0, 1)),
    ("microsoft.FusedMatMul", "both transposed", [some(4, 3), some(2, 4)], fused(1.0, 1, 1)),
    ("microsoft.FusedMatMul", "batches, A transposed", [some(2, 4, 3), some(2, 4, 2)], fused(1.5, 1)),
    ("microsoft.FusedMatMul", "batches, B transposed", [some(2, 3, 3, 4), some(2, 3, 2, 4)], fused(1.0, 0, 1)),
    ("microsoft.FusedMatMul", "one matrix for a batch, transposed", [some(2, 3, 4), some(2, 4)], fused(1.0, 0, 1)),
    ("microsoft.FusedMatMul", "a batch for one matrix, transposed", [some(4, 3), some(2, 4, 2)], fused(1.0, 1)),
    ("Add", "same shape", [some(2, 3), some(2, 3)], {}),
    ("Add", "broadcast", [some(2, 3, 4), some(3, 1)], {}),
    ("Add", "broadcast both ways", [some(2, 1, 4), some(3, 1)], {}),
    ("Add", "a scalar", [some(()), some(2, 3)], {}),
    ("Sub", "same shape", [some(2, 3), some(2, 3)], {}),
    ("Sub", "broadcast", [some(3), some(2, 2, 3)], {}),
    ("Sub", "broadcast both ways", [some(2, 3, 1), some(1, 4)], {}),
    ("Mul", "same shape", [some(2, 3), some(2, 3)], {}),
    ("Mul", "per channel", [some(2, 3, 2, 2), some(2, 3, 1, 1)], {}),
    ("Mul", "broadcast both ways", [some(2, 1, 4), some(3, 1)], {}),
    ("Mul", "a scalar", [some(2, 3), some(())], {}),
    ("Div", "same shape", [some(2, 3), positive(2, 3)], {}),
    ("Div", "broadcast", [some(2, 3, 4), positive(3, 1)], {}),
    ("Div", "broadcast both ways", [some(2, 1, 4), -positive(3, 1)], {}),
    ("Pow", "same shape", [positive(2, 3), some(2, 3)], {}),
    ("Pow", "broadcast both ways", [positive(2, 1, 4), some(3, 1)], {}),
    ("Pow", "squares, also of negative numbers", [some(2, 5), fixed(2.0)], {}),
    ("Max", "same shape", [apart(3, 4), apart(3, 4) + 0.05], {}),
    ("Max", "ties", [torch.tensor([1.0, -1, 2, 0.5]).double(), torch.tensor([1.0, -2, 3, 0.5]).double()], {}),
    ("Max", "broadcast both ways", [apart(2, 1, 4), apart(3, 1) + 0.05], {}),
    ("Min", "same shape", [apart(3, 4), apart(3, 4) + 0.05], {}),
    ("Min", "ties", [torch.tensor([1.0, -1, 2, 0.5]).double(), torch.tensor([1.0, -2, 3, 0.5]).double()], {}),
    ("Min", "broadcast both ways", [apart(2, 1, 4), apart(3, 1) + 0.05], {}),
    ("Neg", "a matrix", [some(2, 3)], {}),
    ("Abs", "both sides of zero", [apart(3, 4)], {}),
    ("Exp", "a matrix", [some(3, 4)], {}),
    ("Log", "a matrix", [positive(3, 4)], {}),
    ("Sqrt", "a matrix", [positive(3, 4)], {}),
    ("Erf", "a matrix", [some(3, 4)], {}),
    ("microsoft.Gelu", "a matrix", [apart(4, 6)], {}),
    ("Sigmoid", "a matrix", [some(3, 4)], {}),
    ("Tanh", "a matrix", [some(3, 4)], {}),
    ("Relu", "both sides of zero", [apart(3, 4)], {}),
    ("Clip", "below, between and above", [apart(4, 5), fixed(-1.0), fixed(1.0)], {}),
    ("Clip", "to 0 and 6", [apart(4, 6, step=1), fixed(0.0), fixed(6.0)], {}),
    ("Clip", "no upper bound", [apart(3, 4), fixed(0.0)], {}),
    ("Clip", "no lower bound", [apart(3, 4), None, fixed(0.0)], {}),
    ("HardSigmoid", "all sides of the kinks", [apart(5, 8)], {"alpha": 1 / 6, "beta": 0.5}),
    ("HardSigmoid", "other slopes", [apart(5, 8)], {"alpha": 0.25, "beta": 0.3}),
    ("HardSwish", "all sides of the kinks", [apart(5, 8)], {}),
    ("Softmax", "rows", [some(3, 4)], {"axis": 1}),
    ("Softmax", "the last axis", [some(2, 3, 4)], {"axis": -1}),
    ("Softmax", "channels", [some(2, 3, 2, 2)], {"axis": 1}),
    ("LogSoftmax", "rows", [some(3, 4)], {"axis": 1}),
    ("LogSoftmax", "an axis in the middle", [some(2, 3, 4)], {"axis": -2}),
    ("BatchNormalization", "pictures", [some(2, 3, 2, 3), some(3), some(3), some(3), positive(3)], {"epsilon": 1e-3}),
    ("BatchNormalization", "rows", [some(4, 3), some(3), some(3), some(3), positive(3)], {"epsilon": 1e-5}),
    ("LayerNormalization", "rows", [some(3, 5), some(5), some(5)], {"axis": -1, "epsilon": 1e-5}),
    ("LayerNormalization", "tokens", [some(2, 3, 4), some(4), some(4)], {"axis": 2, "epsilon": 1e-3}),
    ("LayerNormalization", "two axes", [some(2, 3, 4), some(3, 4), some(3, 4)], {"axis": 1, "epsilon": 1e-5}),
    ("GlobalAveragePool", "pictures", [some(2, 3, 4, 3)], {}),
    ("AveragePool", "no padding", [some(1, 2, 4, 6)], pool(2, 2, count_include_pad=0)),
    ("AveragePool", "overlapping, padding counted", [some(1, 2, 5, 4)], pool(3, 1, 1, count_include_pad=1)),
    ("AveragePool", "overlapping, padding not counted", [some(1, 2, 5, 4)], pool(3, 1, 1, count_include_pad=0)),
    ("AveragePool", "stride 2, a row left over", [some(1, 2, 6, 7)], pool(3, 2, count_include_pad=0)),
    ("AveragePool", "padded unevenly, not counted", [some(1, 2, 5, 6)], pool(3, 2, (0, 1, 1, 2), count_include_pad=0)),
    ("AveragePool", "padded unevenly, counted", [some(1, 2, 5, 6)], pool((3, 2), 1, (1, 0, 0, 1), count_include_pad=1)),
    ("MaxPool", "no padding", [apart(2, 2, 4, 6, step=0.1)], pool(2, 2)),
    ("MaxPool", "overlapping, stride 1", [apart(2, 2, 4, 5, step=0.1)], pool(3, 1, 1)),
    ("MaxPool", "overlapping, stride 2, padded", [apart(2, 2, 7, 6, step=0.1)], pool(3, 2, 1)),
    ("MaxPool", "padded unevenly", [apart(1, 2, 5, 6, step=0.1)], pool((3, 2), (2, 1), (1, 0, 0, 1))),
    ("MaxPool", "dilated", [apart(1, 2, 6, 6, step=0.1)], pool(2, 1, dilations=[2, 3])),
    ("MaxPool", "ceiling", [apart(1, 2, 6, 7, step=0.1)], pool(3, 2, ceil_mode=1)),
    ("ReduceMean", "positions", [some(2, 3, 2, 3)], {"axes": [2, 3], **GONE}),
    ("ReduceMean", "positions, kept", [some(2, 3, 2, 3)], {"axes": [-1, -2], **BOTH}),
    ("ReduceMean", "the first axis", [some(3, 4)], {"axes": [0], **GONE}),
    ("ReduceSum", "rows", [some(3, 4), [1]], GONE),
    ("ReduceSum", "two axes, kept", [some(2, 3, 4), [0, -1]], BOTH),
    ("ReduceSum", "everything", [some(2, 3), [0, 1]], GONE),
    ("Reshape", "with -1", [some(2, 3, 4), [4, -1]], {}),
    ("Reshape", "with 0", [some(2, 3, 4), [0, 2, -1]], {}),
    ("Flatten", "pictures", [some(2, 3, 2, 2)], {"axis": 1}),
    ("Flatten", "in the middle", [some(2, 3, 2, 2)], {"axis": 2}),
    ("Squeeze", "two axes", [some(2, 1, 3, 1), [1, -1]], {}),
    ("Unsqueeze", "two axes", [some(2, 3), [1, -1]], {}),
    ("Transpose", "a matrix", [some(2, 3)], {"perm": [1, 0]}),
    ("Transpose", "channels last", [some(2, 3, 2, 4)], {"perm": [0, 2, 3, 1]}),
    ("Transpose", "no inverse of itself", [some(2, 3, 4)], {"perm": [1, 2, 0]}),
    ("Concat", "rows", [some(2, 3), some(1, 3), some(3, 3)], {"axis": 0}),
    ("Concat", "channels", [some(2, 1, 2, 2), some(2, 3, 2, 2)], {"axis": 1}),
    ("Concat", "the last axis, a constant between", [some(2, 2), fixed(some(2, 1)), some(2, 3)], {"axis": -1}),
    ("Slice", "a part", [some(4, 5), [1, 1], [3, 4], [0, 1], [1, 1]], {}),
    ("Slice", "from the end", [some(4, 5), [-3], [-1], [-1], [1]], {}),
    ("Slice", "every second", [some(5, 6), [0, 1], [FAR, FAR], [0, 1], [2, 2]], {}),
    ("Slice", "every third, one left over", [some(8, 2), [0], [7], [0], [3]], {}),
    ("Slice", "backwards", [some(4, 3), [-1], [-FAR], [0], [-1]], {}),
    ("Slice", "backwards, every second, within", [some(2, 7), [5], [0], [1], [-2]], {}),
    ("Slice", "both directions", [some(5, 6), [-1, 1], [1, 99], [0, 1], [-3, 2]], {}),
    ("Pad", "one axis", [some(2, 3), [0, 1, 0, 2]], {"mode": "constant"}),
    ("Pad", "pictures, another value", [some(1, 2, 2, 3), [0, 0, 1, 0, 0, 0, 2, 1], fixed(1.5)], {"mode": "constant"}),
    ("Pad", "negative: cuts off", [some(4, 5), [-1, 2, 0, -2]], {"mode": "constant"}),
    ("Expand", "an axis", [some(2, 1), [2, 3]], {}),
    ("Expand", "more axes", [some(3, 1), [2, 1, 4]], {}),
    ("Expand", "a scalar", [some(()), [2, 3]], {}),
    ("Resize", "nearest, twice", [some(1, 2, 3, 4), None, fixed([1.0, 1, 2, 2])], how("nearest", "asymmetric")),
    ("Resize", "nearest, down", [some(1, 2, 5, 6), None, None, [1, 2, 3, 2]], how("nearest", "asymmetric")),
    ("Resize", "nearest, fractions", [some(1, 2, 4, 3), None, fixed([1.0, 1, 1.6, 1.5])], how("nearest", "asymmetric")),
    ("Resize", "nearest, half pixels", [some(1, 2, 3, 4), None, fixed([1.0, 1, 2, 3])],
     how("nearest", "half_pixel", "round_prefer_floor")),
    ("Resize", "nearest, half pixels, down", [some(1, 2, 7, 6), None, None, [1, 2, 3, 4]],
     how("nearest", "half_pixel", "round_prefer_floor")),
    ("Resize", "nearest, corners", [some(1, 2, 3, 4), None, None, [1, 2, 7, 5]],
     how("nearest", "align_corners", "round_prefer_floor")),
    ("Resize", "linear, twice", [some(1, 2, 3, 4), None, fixed([1.0, 1, 2, 2])], how("linear", "half_pixel")),
    ("Resize", "linear, down", [some(1, 2, 6, 7), None, None, [1, 2, 4, 3]], how("linear", "half_pixel")),
    ("Resize", "linear, fractions", [some(1, 2, 5, 3), None, fixed([1.0, 1, 1.5, 2.5])], how("linear", "half_pixel")),
    ("Resize", "linear, asymmetric", [some(2, 2, 3, 4), None, fixed([1.0, 1, 2, 3])], how("linear", "asymmetric")),
    ("Resize", "linear, asymmetric, down", [some(1, 2, 5, 6), None, None, [1, 2, 2, 4]], how("linear", "asymmetric")),
    ("Resize", "linear, corners", [some(1, 2, 3, 4), None, None, [1, 2, 5, 9]], how("linear", "align_corners")),
    ("Resize", "linear, corners, down", [some(1, 2, 5, 6), None, None, [1, 2, 1, 4]], how("linear", "align_corners")),
    ("Identity", "a matrix", [some(2, 3)], {}),
    ("Cast", "to what it is", [some(2, 3)], {"to": "float32"}),
    ("Conv", "7x7, stride 2, a stem", [some(1, 3, 12, 11), some(2, 3, 7, 7), some(2)], window(7, 2, 3)),
    ("Conv", "11x11, stride 4, a stem", [some(1, 2, 18, 15), some(2, 2, 11, 11), some(2)], window(11, 4, 2)),
    ("Conv", "4x4, stride 4, patches", [some(2, 3, 9, 8), some(4, 3, 4, 4), some(4)], window(4, 4)),
    ("Conv", "2x2, padded behind", [some(1, 2, 5, 4), some(3, 2, 2, 2), some(3)], window(2, 1, (0, 0, 1, 1))),
    ("Conv", "four groups, stride 2, padded behind", [some(1, 8, 6, 7), some(8, 2, 3, 3), some(8)],
     window(3, 2, (0, 0, 1, 1), 1, 4)),
    ("Conv", "groups, dilated, padded unevenly", [some(2, 6, 7, 6), some(3, 2, 3, 3), some(3)],
     window(3, 1, (2, 1, 2, 3), 2, 3)),
    ("Conv", "depthwise 7x7", [some(1, 2, 8, 7), some(2, 1, 7, 7), some(2)], window(7, 1, 3, 1, 2)),
    ("Conv", "depthwise, stride 2, padded behind", [some(1, 3, 6, 7), some(3, 1, 3, 3), some(3)],
     window(3, 2, (0, 0, 1, 1), 1, 3)),
    ("AveragePool", "ceiling, no padding", [some(1, 2, 6, 7)], pool(3, 2, count_include_pad=0, ceil_mode=1)),
    ("AveragePool", "ceiling, padding not counted", [some(1, 2, 8, 7)],
     pool(3, 2, 1, count_include_pad=0, ceil_mode=1)),
    ("AveragePool", "ceiling, padding counted", [some(1, 2, 8, 7)], pool(3, 2, 1, count_include_pad=1, ceil_mode=1)),
    ("MaxPool", "3x3, stride 2, ceiling, padded", [apart(1, 2, 8, 7, step=0.1)], pool(3, 2, 1, ceil_mode=1)),
    ("MaxPool", "3x3, stride 2, no padding", [apart(2, 2, 8, 7, step=0.1)], pool(3, 2)),
    ("Pow", "cubes, also of negative numbers", [apart(2, 5), fixed(3.0)], {}),
    ("Pow", "roots", [positive(2, 5), fixed(0.5)], {}),
    ("Pow", "one over the root", [positive(2, 5), fixed(-0.5)], {}),
    ("MatMul", "a dense layer on images, channels last", [some(2, 2, 3, 4), some(4, 5)], {}),
    ("MatMul", "heads of attention", [some(2, 3, 4, 5), some(2, 3, 5, 4)], {}),
    ("LayerNormalization", "images, channels last", [some(2, 2, 3, 5), some(5), some(5)], {"axis": -1, "epsilon": 1e-6}),
    ("LayerNormalization", "whole images", [some(2, 3, 2, 2), some(3, 2, 2), some(3, 2, 2)],
     {"axis": 1, "epsilon": 1e-5}),
    ("Mul", "layer scale, per channel", [some(2, 3, 4, 2), some(3, 1, 1)], {}),
    ("Pad", "channels", [some(2, 2, 3, 2), [0, 1, 0, 0, 0, 2, 0, 0]], {"mode": "constant"}),
    ("Transpose", "attention", [some(2, 3, 2, 2, 2)], {"perm": [2, 0, 3, 1, 4]}),
    ("Slice", "channels of an image", [some(2, 6, 2, 3), [2], [5], [1], [1]], {}),
    ("Slice", "every second position, from the second on", [some(1, 2, 5, 6), [1, 0], [FAR, FAR], [2, 3], [2, 2]], {}),
    ("Concat", "four branches", [some(1, 1, 2, 2), some(1, 2, 2, 2), some(1, 1, 2, 2), some(1, 3, 2, 2)], {"axis": 1}),
    ("Log", "two rows", [positive(2, 3)], {}),
    ("Exp", "large and small", [apart(3, 4, step=0.5)], {}),
    ("microsoft.Gelu", "far from zero", [apart(4, 6, step=0.5)], {}),
    ("Softmax", "attention", [some(2, 2, 3, 3)], {"axis": -1}),
]


def write_input(value):
    if value is None:
        return None
    if isinstance(value, list):
        return {"dtype": "int64", "shape": [len(value)], "data": value}
    tensor = value.tensor if isinstance(value, fixed) else value
    return {"dtype": "float32", "shape": list(tensor.shape), "data": tensor.detach().reshape(-1)}


def run(op, title, inputs, attributes):
    """Output of the op, and the gradients of sum(output * seed) with respect to its inputs that are not fixed."""
    free = [value.clone().requires_grad_() if isinstance(value, torch.Tensor) else None for value in inputs]
    given = [value.tensor if isinstance(value, fixed) else value for value in inputs]
    y = OPS[op](*[value if leaf is None else leaf for value, leaf in zip(given, free)], **attributes)
    seed = some(*y.shape) if y.dim() else some(())
    (y * seed).sum().backward()
    return {
        "op": op,
        "title": title,
        "attributes": attributes,
        "inputs": [write_input(value) for value in inputs],
        "output": write_input(y),
        "seed": seed.reshape(-1),
        "gradients": [None if leaf is None else leaf.grad.reshape(-1) for leaf in free],
    }


def main(out):
    cases = [run(*row) for row in TABLE]
    titles = [(case["op"], case["title"]) for case in cases]
    assert len(set(titles)) == len(titles)
    write_json(out, {
        "about": "Outputs and gradients of ONNX ops in PyTorch, float64. Made by scripts/reference/make_gradients.py.",
        "torch": torch.__version__,
        "notes": [
            "inputs as ONNX has them, null where absent; gradients are those of sum(output * seed), null for constants",
            "numbers are in row-major order and have 7 digits; inputs have at most 4 decimals",
        ],
        "cases": cases,
    }, digits=7)


if __name__ == "__main__":
    main(sys.argv[1])
