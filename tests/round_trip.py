"""The other side of tests/test_pytorch.c: a network of PyTorch modules whose state_dict has the names of our files.

Loads FOLDER/ours.safetensors into it (strictly: every name and shape must fit), holds its output in evaluation mode
against FOLDER/ours_z.safetensors, then writes weights of its own as theirs.safetensors with their output.
"""
import json
import math
import struct
import sys

import numpy
import torch
from torch import nn
import torch.nn.functional as F

TYPES = {"F32": "<f4", "F64": "<f8"}


def read(path):
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8:8 + length]), data[8 + length:]
    header.pop("__metadata__", None)
    return {name: torch.from_numpy(numpy.frombuffer(body[slice(*t["data_offsets"])], TYPES[t["dtype"]])
                                   .reshape(t["shape"]).astype("f4")) for name, t in header.items()}


def write(path, tensors):
    header, body = {}, b""
    for name, tensor in tensors.items():
        bytes_ = tensor.detach().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(bytes_)]}
        body += bytes_
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + body)


def divided(x, dims, power):
    square = x.square().sum(dims, keepdim=True)
    return torch.where(square > 1e-24, x * (power / square.clamp_min(1e-30)).sqrt(), torch.zeros_like(x))


class Statistics(nn.Module):
    """Running statistics where the kind is batch; nothing else."""

    def __init__(self, kind, size):
        super().__init__()
        if kind == "batch":
            self.register_buffer("running_mean", torch.zeros(size))
            self.register_buffer("running_var", torch.ones(size))

    def standardise(self, x, axis):
        shape = [1] * x.dim()
        shape[axis] = -1
        return (x - self.running_mean.view(shape)) / (self.running_var.view(shape) + 1e-5).sqrt()

    def vectors(self, x, kind):
        """Feature maps of vectors, features last."""
        n = x.shape[-1]
        if kind == "l2":
            return divided(x, -1, 1)
        if kind == "rms":
            return divided(x, -1, n)
        if kind == "layer":
            return F.layer_norm(x, (n,), eps=1e-5)
        if kind == "batch":
            return self.standardise(x, -1)
        if kind == "affine-like":
            return x / (1 + x.square().sum(-1, keepdim=True)).sqrt()
        return x


class Dense(Statistics):
    def __init__(self, spec, n):
        super().__init__(spec["variant"], n)
        self.variant = spec["variant"]
        plain = nn.Linear(n, spec["units"], bias=spec["bias"])
        self.weight, self.bias = plain.weight, plain.bias

    def forward(self, x):
        if self.variant == "affine-like":
            return F.linear(x, self.weight, self.bias) / (1 + x.square().sum(-1, keepdim=True)).sqrt()
        return F.linear(self.vectors(x, self.variant), self.weight, self.bias)


class Conv(Statistics):
    def __init__(self, spec, channels):
        super().__init__(spec["variant"], channels)
        self.spec = spec
        plain = nn.Conv2d(channels, spec["channels"], spec["kernel"], spec["stride"], spec["padding"], bias=spec["bias"])
        self.weight, self.bias = plain.weight, plain.bias

    def forward(self, x):
        s, variant = self.spec, self.spec["variant"]
        if variant in ("l2", "rms", "layer", "batch"):
            if variant == "batch":
                x = self.standardise(x, 1)
            elif s["axes"] == "channel":
                x = self.vectors(x.movedim(1, -1), variant).movedim(-1, 1)
            else:
                x = self.vectors(x.flatten(1), variant).view_as(x)
            return F.conv2d(x, self.weight, self.bias, s["stride"], s["padding"])
        z = F.conv2d(x, self.weight, None, s["stride"], s["padding"])
        square = F.conv2d(x.square(), torch.ones(1, *self.weight.shape[1:]), None, s["stride"], s["padding"])
        bias = 0 if self.bias is None else self.bias.view(1, -1, 1, 1)
        if variant == "patch-affine-like":
            return (z + bias) / (1 + square).sqrt()
        if variant == "affine":
            return z + bias
        return z * ((1 if variant == "patch-l2" else self.weight[0].numel()) / square).sqrt() + bias


class Attention(nn.Module):
    def __init__(self, spec, n):
        super().__init__()
        self.spec = spec
        for part in "qkvo":
            self.add_module(part, Dense({"variant": spec["variant"][part], "units": n, "bias": spec["bias"]}, n))

    def forward(self, x):
        rows, tokens, n = x.shape
        heads = self.spec["heads"]
        q, k, v = (p(x).view(rows, tokens, heads, -1).transpose(1, 2) for p in (self.q, self.k, self.v))
        if self.spec["qk_norm"] == "l2":
            q, k = divided(q, -1, 1), divided(k, -1, 1)
        s = q @ k.transpose(-1, -2) / math.sqrt(n // heads)
        if self.spec["causal"]:
            s = s.masked_fill(torch.ones(tokens, tokens).triu(1).bool(), -math.inf)
        return self.o((s.softmax(-1) @ v).transpose(1, 2).reshape(rows, tokens, n))


class Embed(Dense):
    def __init__(self, spec, shape):
        p = spec["patch"]
        super().__init__({**spec, "units": spec["dim"]}, shape[0] * p * p)
        self.patch = p
        if spec["positions"]:
            self.position = nn.Parameter(torch.randn(shape[1] // p * (shape[2] // p), spec["dim"]))

    def forward(self, x):
        z = super().forward(F.unfold(x, self.patch, stride=self.patch).transpose(1, 2))
        return z + self.position if hasattr(self, "position") else z


class Normaliser(Statistics):
    def __init__(self, spec, shape):
        features = shape[-1] if len(shape) == 2 else shape[0]
        super().__init__(spec["kind"], features)
        self.spec, self.rank = spec, len(shape)
        if spec["gain"] != "none":
            self.gain = nn.Parameter(torch.randn(1 if spec["gain"] == "scalar" else features))

    def forward(self, x):
        axis = 1 if self.rank == 3 else -1
        if self.rank == 3 and (self.spec["axes"] == "channel" or self.spec["kind"] == "batch"):
            z = self.vectors(x.movedim(1, -1), self.spec["kind"]).movedim(-1, 1)
        elif self.rank == 3: # the norm of all values, whatever their order
            z = self.vectors(x.flatten(1), self.spec["kind"]).view_as(x)
        else:
            z = self.vectors(x, self.spec["kind"])
        if not hasattr(self, "gain"):
            return z
        return (z.movedim(axis, -1) * self.gain).movedim(-1, axis)


class Residual(nn.Module):
    def __init__(self, spec, shape):
        super().__init__()
        self.layers = nn.ModuleList(build(spec["layers"], shape))

    def forward(self, x):
        z = x
        for layer in self.layers:
            z = layer(z)
        return x + z


class MeanTokens(nn.Module):
    def forward(self, x):
        return x.mean(1)


def make(spec, shape):
    kind = spec["type"]
    pool = {"max-pool": nn.MaxPool2d, "avg-pool": nn.AvgPool2d}
    plain = {"tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU, "sigmoid": nn.Sigmoid, "flatten": nn.Flatten,
             "mean-tokens": MeanTokens}
    if kind in plain:
        return plain[kind]()
    if kind in pool:
        return pool[kind](spec["size"], spec["stride"] or spec["size"])
    if kind == "leaky-relu":
        return nn.LeakyReLU(spec["slope"])
    if kind == "dense":
        return Dense(spec, shape[-1])
    if kind == "conv":
        return Conv(spec, shape[0])
    if kind == "attention":
        return Attention(spec, shape[-1])
    return {"patch-embed": Embed, "normaliser": Normaliser, "residual": Residual}[kind](spec, shape)


def build(specs, shape):
    layers = []
    for spec in specs:
        layers.append(make(spec, shape))
        with torch.no_grad():
            shape = tuple(layers[-1](torch.zeros(2, *shape)).shape[1:])
    return layers


class Network(nn.Module):
    def __init__(self, specs, shape):
        super().__init__()
        self.layers = nn.ModuleList(build(specs, shape))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def main():
    folder = sys.argv[1]
    x = read(folder + "/x.safetensors")["x"]
    network = Network(json.load(open(folder + "/layers.json")), tuple(x.shape[1:])).eval()
    network.load_state_dict(read(folder + "/ours.safetensors"), strict=True)
    want, got = read(folder + "/ours_z.safetensors")["z"], network(x)
    error = float((got - want).norm() / want.norm())
    if not error < 2e-5:
        sys.exit(f"PyTorch's output of our weights is off by {error:.3g}")
    torch.manual_seed(3)
    state = {name: torch.rand(t.shape) + 0.5 if "running_var" in name else 0.4 * torch.randn(t.shape)
             for name, t in network.state_dict().items()}
    network.load_state_dict(state)
    write(folder + "/theirs.safetensors", network.state_dict())
    write(folder + "/theirs_z.safetensors", {"z": network(x)})


main()
