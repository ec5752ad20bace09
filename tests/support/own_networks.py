"""Small networks with parts that people use, and three formats that torch writes them in."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from networks import CHANNELS, UNITS, tiny_decoder, tiny_spec, toml
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.runtime.pose import PoseSpec

FORMATS = ("onnx-17", "onnx-default", "pt2")
INPUT_SIZE = (64, 96)


class Lambda(nn.Module):
    """A function of the maps, which may use the layers that it was given."""

    def __init__(self, compute: Callable, **layers: nn.Module) -> None:
        super().__init__()
        self.compute = compute
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.compute(self, x)


class Net(nn.Module):
    """Finds bright spots. `first` reads the batch, `middle` the maps (16 channels, 8 x 12)."""

    def __init__(self, middle: nn.Module | None = None, first: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.middle = first or nn.Identity(), middle or nn.Identity()
        self.convs = nn.ModuleList(
            [nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 16, 3, 2, 1), nn.Conv2d(16, 16, 3, 2, 1)]
        )
        self.heads = nn.ModuleDict({name: nn.Conv2d(16, count, 1) for name, count in CHANNELS.items()})
        with torch.no_grad():
            for conv in self.convs:
                conv.weight[0], conv.bias[0] = 0, 0
                conv.weight[0, : 3 if conv.in_channels == 3 else 1] = 1 / (
                    9 * (3 if conv.in_channels == 3 else 1)
                )
            self.heads["centre"].weight.zero_()
            self.heads["centre"].weight[0, 0], self.heads["centre"].bias[0] = 14.0, -5.0
            self.heads["rotation"].bias[:] = torch.tensor([0.0, -1, 0, 1, 0, 0])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.first(x)
        for conv in self.convs:
            x = torch.relu(conv(x))
        x = self.middle(x)
        made = {name: UNITS[name] * torch.tanh(head(x)) for name, head in self.heads.items()}
        made["centre"] = torch.sigmoid(self.heads["centre"](x))
        return tuple(made[name] for name in CHANNELS)


def _plus(compute: Callable, **layers: nn.Module) -> nn.Module:
    """Return maps plus what a function makes of them."""
    return Lambda(lambda self, x: x + compute(self, x), **layers)


def _conv(kernel: int = 3, channels: int = 16, **options: object) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, **options)


class SelfAttention(nn.Module):
    """Scaled dot-product attention of all places, written out or as torch's own function."""

    def __init__(self, fused: bool, heads: int = 2) -> None:
        super().__init__()
        self.qkv, self.out, self.heads, self.fused = nn.Conv2d(16, 48, 1), nn.Conv2d(16, 16, 1), heads, fused

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        q, k, v = (
            self.qkv(x)
            .flatten(2)
            .transpose(1, 2)
            .reshape(n, h * w, 3, self.heads, c // self.heads)
            .permute(2, 0, 3, 1, 4)
        )
        if self.fused:
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            mixed = torch.softmax(q @ k.transpose(-1, -2) * (c // self.heads) ** -0.5, -1) @ v
        return x + self.out(mixed.transpose(1, 2).reshape(n, h * w, c).transpose(1, 2).reshape(n, c, h, w))


class Cbam(nn.Module):
    """A gate per channel from mean and maximum, then one per place."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Conv2d(16, 4, 1), nn.ReLU(), nn.Conv2d(4, 16, 1))
        self.place = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        x = x * torch.sigmoid(self.mlp(F.adaptive_avg_pool2d(x, 1)) + self.mlp(F.adaptive_max_pool2d(x, 1)))
        return x * torch.sigmoid(self.place(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)))


def _shuffle(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def _coordinates(x: Tensor) -> Tensor:
    rows, columns = torch.meshgrid(
        torch.linspace(-1, 1, x.shape[2]), torch.linspace(-1, 1, x.shape[3]), indexing="ij"
    )
    return torch.cat([x, torch.stack([rows, columns])[None]], 1)


def _layer_norm(self: nn.Module, x: Tensor) -> Tensor:
    return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _mixed_tokens(self: nn.Module, x: Tensor) -> Tensor:
    return self.mix(x.flatten(2)).reshape(x.shape)


def _transformer(self: nn.Module, x: Tensor) -> Tensor:
    return self.layer(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)


def _gate(hidden: nn.Module, gate: nn.Module) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1), hidden, nn.Conv2d(4, 16, 1), gate)


def _linear_gate(self: nn.Module, x: Tensor) -> Tensor:
    return x * torch.sigmoid(self.two(torch.relu(self.one(x.mean((2, 3)))))).view(1, 16, 1, 1)


def parts() -> dict[str, nn.Module]:
    """Return name → a part that keeps 16 channels of 8 x 12."""
    torch.manual_seed(1)
    return {
        "nothing": nn.Identity(),
        "se-gate": _plus(lambda self, x: x * self.gate(x), gate=_gate(nn.ReLU(), nn.Sigmoid())),
        "se-gate-hard": _plus(lambda self, x: x * self.gate(x), gate=_gate(nn.Hardswish(), nn.Hardsigmoid())),
        "se-gate-silu": _plus(lambda self, x: x * self.gate(x), gate=_gate(nn.SiLU(), nn.Sigmoid())),
        "se-gate-linear": Lambda(_linear_gate, one=nn.Linear(16, 4), two=nn.Linear(4, 16)),
        "eca-gate": Lambda(
            lambda self, x: (
                x * torch.sigmoid(self.conv(x.mean((2, 3)).unsqueeze(1))).transpose(1, 2).unsqueeze(-1)
            ),
            conv=nn.Conv1d(1, 1, 3, padding=1),
        ),
        "cbam": Cbam(),
        "chunk": _plus(
            lambda self, x: torch.cat([x.chunk(2, 1)[0], self.conv(x.chunk(2, 1)[1])], 1),
            conv=_conv(channels=8),
        ),
        "chunk-uneven": _plus(lambda self, x: torch.cat(x.chunk(3, 1)[::-1], 1)),
        "split": _plus(
            lambda self, x: torch.cat([self.conv(x.split([8, 8], 1)[0]), x.split([8, 8], 1)[1]], 1),
            conv=_conv(channels=8),
        ),
        "split-scaled": _plus(
            lambda self, x: 0.1 * torch.cat([x.chunk(2, 1)[0], self.conv(x.chunk(2, 1)[1])], 1),
            conv=_conv(channels=8),
        ),
        "unbind": _plus(lambda self, x: torch.cat(x.view(1, 2, 8, 8, 12).unbind(1)[::-1], 1)),
        "slice": _plus(lambda self, x: torch.cat([x[:, 8:], x[:, :8]], 1)),
        "slice-stepped": _plus(lambda self, x: torch.cat([x[:, ::2], x[:, 1::2]], 1)),
        "focus": _plus(
            lambda self, x: self.up(
                self.conv(
                    torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)
                )
            ),
            conv=nn.Conv2d(64, 16, 1),
            up=nn.Upsample(scale_factor=2),
        ),
        "shuffle": _plus(lambda self, x: _shuffle(x)),
        "shuffle-module": _plus(lambda self, x: self.shuffle(x), shuffle=nn.ChannelShuffle(2)),
        "pixel-shuffle": _plus(
            lambda self, x: self.shuffle(self.conv(x)),
            conv=nn.Conv2d(16, 64, 3, 2, 1),
            shuffle=nn.PixelShuffle(2),
        ),
        "pixel-unshuffle": _plus(
            lambda self, x: self.up(self.conv(self.fold(x))),
            fold=nn.PixelUnshuffle(2),
            conv=nn.Conv2d(64, 16, 1),
            up=nn.ConvTranspose2d(16, 16, 2, 2),
        ),
        "attention": SelfAttention(fused=False),
        "attention-fused": SelfAttention(fused=True),
        "attention-module": Lambda(
            lambda self, x: (
                x + self.mix(*[x.flatten(2).transpose(1, 2)] * 3)[0].transpose(1, 2).reshape(x.shape)
            ),
            mix=nn.MultiheadAttention(16, 2, batch_first=True),
        ),
        "transformer-layer": Lambda(
            _transformer,
            layer=nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu", dropout=0),
        ),
        "tokens-mixed": _plus(_mixed_tokens, mix=nn.Linear(96, 96)),
        "linear-per-place": _plus(
            lambda self, x: self.mix(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), mix=nn.Linear(16, 16)
        ),
        "einsum": _plus(
            lambda self, x: torch.einsum("nchw,oc->nohw", x, self.mix.weight), mix=nn.Linear(16, 16)
        ),
        "einsum-maps": _plus(
            lambda self, x: torch.einsum("nchw,ndhw->ncd", x, x).softmax(-1).mean(-1)[..., None, None] * x
        ),
        "bmm": _plus(
            lambda self, x: (
                torch.bmm(x.flatten(2), x.flatten(2).transpose(1, 2)).softmax(-1) @ x.flatten(2)
            ).view(x.shape)
        ),
        "global-max": _plus(lambda self, x: torch.amax(x, (2, 3), keepdim=True)),
        "global-max-pool": _plus(lambda self, x: F.adaptive_max_pool2d(x, 1)),
        "global-max-flat": _plus(lambda self, x: x.flatten(2).max(2)[0][..., None, None]),
        "global-mean": _plus(lambda self, x: x.mean((2, 3), keepdim=True)),
        "mean-of-channels": _plus(lambda self, x: x.mean(1, keepdim=True)),
        "max-of-channels": _plus(lambda self, x: x.max(1, keepdim=True)[0]),
        "sum-of-channels": _plus(lambda self, x: 0.1 * x.sum(1, keepdim=True)),
        "min-of-channels": _plus(lambda self, x: x.amin(1, keepdim=True)),
        "norm-of-channels": _plus(lambda self, x: 0.1 * x.norm(dim=1, keepdim=True)),
        "variance": _plus(lambda self, x: x.var(1, keepdim=True)),
        "softmax-places": _plus(lambda self, x: x * x.flatten(2).softmax(-1).view(x.shape)),
        "softmax-channels": _plus(lambda self, x: x.softmax(1)),
        "log-softmax": _plus(lambda self, x: 0.1 * x.log_softmax(1)),
        "logsumexp": _plus(lambda self, x: 0.1 * x.logsumexp(1, keepdim=True)),
        "normalize": _plus(lambda self, x: F.normalize(x, dim=1)),
        "normalize-l1": _plus(lambda self, x: F.normalize(x, p=1, dim=1)),
        "instance-norm": _plus(lambda self, x: self.norm(x), norm=nn.InstanceNorm2d(16, affine=True)),
        "group-norm": _plus(lambda self, x: self.norm(x), norm=nn.GroupNorm(4, 16)),
        "layer-norm": _plus(_layer_norm, norm=nn.LayerNorm(16)),
        "layer-norm-maps": _plus(lambda self, x: self.norm(x), norm=nn.LayerNorm([16, 8, 12])),
        "rms-norm": _plus(_layer_norm, norm=nn.RMSNorm(16)),
        "batch-norm-alone": nn.Sequential(nn.ReLU(), nn.BatchNorm2d(16)),
        "local-response": _plus(lambda self, x: self.norm(x), norm=nn.LocalResponseNorm(3)),
        "zero-pad": nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(16, 16, 2)),
        "reflection-pad": nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(16, 16, 3)),
        "replication-pad": nn.Sequential(nn.ReplicationPad2d(1), nn.Conv2d(16, 16, 3)),
        "constant-pad": nn.Sequential(nn.ConstantPad2d((1, 1, 1, 1), 0.5), nn.Conv2d(16, 16, 3)),
        "circular-pad": nn.Conv2d(16, 16, 3, padding=1, padding_mode="circular"),
        "channel-pad": _plus(lambda self, x: F.pad(x[:, :8], (0, 0, 0, 0, 4, 4))),
        "conv-same": nn.Conv2d(16, 16, 2, padding="same"),
        "prelu": nn.PReLU(16),
        "leaky-relu": nn.LeakyReLU(0.1),
        "elu": nn.ELU(),
        "celu": nn.CELU(0.5),
        "selu": nn.SELU(),
        "gelu": nn.GELU(),
        "gelu-tanh": nn.GELU("tanh"),
        "silu": nn.SiLU(),
        "mish": nn.Mish(),
        "hardswish": nn.Hardswish(),
        "hardsigmoid": nn.Hardsigmoid(),
        "hardtanh": nn.Hardtanh(-1, 2),
        "hardtanh-inside": _plus(
            lambda self, x: self.after(self.before(x)),
            before=nn.Sequential(_conv(), nn.Hardtanh(-0.5, 0.1), nn.ReLU()),
            after=_conv(1),
        ),
        "softplus": nn.Softplus(),
        "softsign": nn.Softsign(),
        "threshold": _plus(lambda self, x: torch.where(x > 0.3, x, torch.zeros_like(x))),
        "relu6": nn.ReLU6(),
        "glu": _plus(lambda self, x: F.glu(self.conv(x), 1), conv=nn.Conv2d(16, 32, 1)),
        "absolute": _plus(lambda self, x: (x - 0.5).abs().sqrt()),
        "powers": _plus(
            lambda self, x: (
                0.1 * x.pow(2) + 0.1 * (x + 1).pow(0.5) + 0.1 * torch.exp(-x) + 0.1 * torch.log(x + 1)
            )
        ),
        "arithmetic": _plus(
            lambda self, x: (
                torch.maximum(x, 1 - x) / (1 + torch.minimum(x, x * x)) + torch.sin(x) * torch.erf(x)
            )
        ),
        "rounding": _plus(lambda self, x: 0.01 * (torch.floor(x * 0 + 1.5) + torch.ceil(x * 0 + 0.5))),
        "clamp": _plus(lambda self, x: x.clamp(min=0.1) + x.clamp(max=0.9)),
        "coordinates": Lambda(lambda self, x: self.conv(_coordinates(x)), conv=nn.Conv2d(18, 16, 1)),
        "positions": _plus(lambda self, x: torch.arange(12, dtype=torch.float32).view(1, 1, 1, 12) / 12),
        "parameter": _plus(lambda self, x: x * self.scale.weight[:, :1, None], scale=nn.Linear(16, 16)),
        "expand": _plus(lambda self, x: x.mean((2, 3), keepdim=True).expand(-1, -1, 8, 12)),
        "repeat": _plus(lambda self, x: x.mean(1, keepdim=True).repeat(1, 16, 1, 1)),
        "stack": _plus(lambda self, x: torch.stack([x, torch.relu(x - 0.5)]).mean(0)),
        "flip": _plus(lambda self, x: x.flip(3)),
        "roll": _plus(lambda self, x: x.roll((1, 2), (2, 3))),
        "gather-channels": _plus(lambda self, x: x[:, [3, 1, 2, 0, *range(4, 16)]]),
        "average-pool": _plus(
            lambda self, x: F.interpolate(
                F.avg_pool2d(x, 2), scale_factor=2.0, mode="bilinear", align_corners=False
            )
        ),
        "average-pool-padded": nn.AvgPool2d(3, 1, 1),
        "average-pool-unpadded": nn.AvgPool2d(3, 1, 1, count_include_pad=False),
        "max-pool": nn.MaxPool2d(3, 1, 1),
        "spp": Lambda(
            lambda self, x: self.conv(torch.cat([x, *(F.max_pool2d(x, k, 1, k // 2) for k in (3, 5))], 1)),
            conv=nn.Conv2d(48, 16, 1),
        ),
        "adaptive-pool": _plus(lambda self, x: F.interpolate(F.adaptive_avg_pool2d(x, (2, 3)), size=(8, 12))),
        "pool-ceil": _plus(
            lambda self, x: F.interpolate(F.max_pool2d(x, 3, 2, ceil_mode=True), size=(8, 12))
        ),
        "resize-nearest": _plus(lambda self, x: F.interpolate(x[..., ::2, ::2], scale_factor=2)),
        "resize-bilinear": _plus(
            lambda self, x: F.interpolate(x[..., ::2, ::2], x.shape[2:], mode="bilinear")
        ),
        "resize-corners": _plus(
            lambda self, x: F.interpolate(x[..., ::2, ::2], x.shape[2:], mode="bilinear", align_corners=True)
        ),
        "resize-bicubic": _plus(lambda self, x: F.interpolate(x[..., ::2, ::2], x.shape[2:], mode="bicubic")),
        "transposed-conv": Lambda(
            lambda self, x: self.up(self.down(x)),
            down=nn.Conv2d(16, 16, 3, 2, 1),
            up=nn.ConvTranspose2d(16, 16, 4, 2, 1),
        ),
        "depthwise": nn.Sequential(_conv(groups=16), nn.BatchNorm2d(16), nn.ReLU6(), _conv(1)),
        "dilated": nn.Conv2d(16, 16, 3, padding=2, dilation=2),
        "asymmetric-kernels": nn.Sequential(
            nn.Conv2d(16, 16, (1, 5), padding=(0, 2)), nn.Conv2d(16, 16, (5, 1), padding=(2, 0))
        ),
        "weight-standardized": _plus(
            lambda self, x: F.conv2d(
                x, (self.conv.weight - self.conv.weight.mean((1, 2, 3), keepdim=True)), padding=1
            ),
            conv=_conv(),
        ),
        "dropout": nn.Sequential(nn.Dropout(0.5), nn.Dropout2d(0.5), _conv(1)),
        "half-inside": _plus(lambda self, x: (x.half() * 0.5).float()),
        "double-inside": _plus(lambda self, x: (x.double() * 0.5).float()),
    }


def normalization() -> nn.Module:
    """Return what a network has in front that takes pixels from 0 to 255, RGB."""
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )
    return Lambda(lambda self, x: (x / 255 - mean) / std)


def write(
    folder: Path, network: nn.Module, form: str, spec: PoseSpec | None = None, **options: object
) -> Path:
    """Write a checkpoint folder with the network in one of FORMATS."""
    spec = spec or tiny_spec(INPUT_SIZE)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ("model.pt2" if form == "pt2" else "model.onnx")
    save_file(tiny_decoder(), str(folder / "pose.safetensors"))
    (folder / "spec.toml").write_text(
        toml({**spec.to_dict(), "checkpoint": {"network": file.name, "licence": "made by the tests"}})
    )
    network, batch = network.eval(), (torch.zeros(1, 3, *spec.input_size),)
    names = {"input_names": ["image"], "output_names": list(CHANNELS)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if form == "pt2":
            torch.export.save(torch.export.export(network, batch), str(file))
        elif form == "onnx-default":
            torch.onnx.export(
                network, batch, str(file), dynamo=True, external_data=False, verbose=False, **names, **options
            )
        else:
            torch.onnx.export(
                network, batch, str(file), dynamo=False, **{"opset_version": 17, **names, **options}
            )
    return folder
