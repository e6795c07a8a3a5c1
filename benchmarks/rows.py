"""The rows of the tables: which layer or network, which direction, which batch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.architectures import ARCHITECTURES, window_count


@dataclass(frozen=True)
class Layer:
    """A convolution layer on square images, with bias.

    >>> print(Layer(64, 56, 64, 3, padding=1))
    64×56→64 k3 p1
    """

    channels: int
    height: int
    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    @property
    def outputs(self) -> int:
        """The height of the result."""
        return window_count(self.height, self.kernel, self.stride, self.padding, self.dilation)

    def __str__(self) -> str:
        settings = (("s", self.stride, 1), ("p", self.padding, 0), ("d", self.dilation, 1))
        shown = "".join(f" {letter}{value}" for letter, value, usual in settings if value != usual)
        grouped = "" if self.groups == 1 else f" g{self.groups}"
        if self.groups == self.channels == self.filters > 1:
            grouped = " depthwise"
        return f"{self.channels}×{self.height}→{self.filters} k{self.kernel}{shown}{grouped}"


@dataclass(frozen=True)
class Row:
    """One line of a table. The subject is a layer, or the name of an architecture."""

    section: str
    subject: Layer | str
    batch: int
    direction: str  # one of DIRECTIONS for a layer; "training", "inference", "product"

    def __str__(self) -> str:
        shown = f"{self.subject} batch {self.batch}"
        return shown if self.direction in self.section else f"{shown} {self.direction}"

    @property
    def key(self) -> str:
        """The name among all rows."""
        return f"{self.section}: {self}"

    def to_json(self) -> dict[str, Any]:
        """Give what `from_json` reads."""
        return asdict(self)

    @staticmethod
    def from_json(given: dict[str, Any]) -> Row:
        """Give the row back."""
        subject = given["subject"]
        return Row(
            **{**given, "subject": Layer(**subject) if isinstance(subject, dict) else subject}
        )


DIRECTIONS = ("forward", "forward+backward", "to data", "to weights")

SMALL_LAYERS = (Layer(3, 32, 6, 5), Layer(6, 28, 10, 5))
LARGE_LAYERS = (
    Layer(64, 56, 64, 3, padding=1),
    Layer(128, 28, 128, 3, padding=1),
    Layer(256, 14, 256, 3, padding=1),
    Layer(512, 7, 512, 3, padding=1),
    Layer(64, 56, 256, 1),
    Layer(3, 224, 64, 7, stride=2, padding=3),
    Layer(128, 28, 128, 5, padding=2),
    Layer(128, 28, 128, 3, padding=1, groups=128),
)
# Those on which the share of the FMA peak is asserted: dense, and larger than any cache line.
PEAK_LAYERS = (LARGE_LAYERS[0], LARGE_LAYERS[1], LARGE_LAYERS[2], LARGE_LAYERS[6])

# What `--section` takes → the sections of the table.
SECTIONS = {
    "layers": ("forward", "forward+backward"),
    "training": ("training",),
    "inference": ("inference",),
    "contractions": ("contractions",),
    "random": ("random",),
    "facts": ("call",),
}


def table() -> list[Row]:
    """Give every row but the random ones."""
    return [*_layers(), *_training(), *_inference(), *_contractions(), _call()]


def _layers() -> Iterator[Row]:
    for direction in SECTIONS["layers"]:
        for layers, large in ((SMALL_LAYERS, 32), (LARGE_LAYERS, 8)):
            for layer in layers:
                for batch in (1, large):
                    yield Row(direction, layer, batch, direction)


def _training() -> Iterator[Row]:
    for name in ("linear", "mlp", "lenet", "notes", "vgg"):
        for batch in (1, 32) if name == "vgg" else (1, 32, 128):
            yield Row("training", name, batch, "training")


def _inference() -> Iterator[Row]:
    for name in ARCHITECTURES:
        for batch in (1,) if name == "resnet18" else (1, 32):
            yield Row("inference", name, batch, "inference")


def _contractions() -> Iterator[Row]:
    for layer in PEAK_LAYERS:
        for direction in ("forward", "to data", "to weights"):
            yield Row("contractions", layer, 8, direction)


def _call() -> Row:
    return Row("call", "x·y of 4 numbers", 1, "product")


def random_rows(count: int, seed: int) -> list[Row]:
    """Give layers that nobody tuned for, each forward and forward+backward."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        layer, batch = _random_layer(rng, AWKWARD[number % len(AWKWARD)])
        rows += [Row("random", layer, batch, d) for d in ("forward", "forward+backward")]
    return rows


AWKWARD = ("odd channels", "1×1 images", "K = H", "stride 3", "11×11", "groups", "dilation")


def _random_layer(rng: np.random.Generator, kind: str) -> tuple[Layer, int]:
    """Draw until the layer exists, is of the kind, and takes from 10⁵ to 10⁹ FLOP."""
    while True:
        groups = int(rng.integers(2, 9)) if kind == "groups" else 1
        channels, filters = (groups * int(n) for n in rng.integers(1, 200 // groups, 2))
        height = 1 if kind == "1×1 images" else int(rng.integers(3, 70))
        kernel = int(rng.choice([1, 2, 3, 4, 5, 7]))
        if kind == "1×1 images":
            kernel = int(rng.choice([1, 3]))
        elif kind == "K = H":
            height = kernel = int(rng.integers(2, 15))
        elif kind == "11×11":
            kernel = 11
        layer = Layer(
            channels | 1 if kind == "odd channels" else channels,
            height,
            filters | 1 if kind == "odd channels" else filters,
            kernel,
            stride=3 if kind == "stride 3" else int(rng.choice([1, 1, 1, 2])),
            padding=0 if kind == "K = H" else int(rng.integers(0, kernel // 2 + 1)),
            dilation=int(rng.integers(2, 4)) if kind == "dilation" else 1,
            groups=groups,
        )
        batch = int(rng.choice([1, 2, 5, 8, 16]))
        if kind == "dilation" and kernel == 1:
            continue
        if layer.outputs > 0 and 1e5 <= layer_flops(layer, batch, "forward") <= 1e9:
            return layer, batch


def select(rows: Sequence[Row], sections: Sequence[str], pattern: str) -> list[Row]:
    """Give the rows of these sections whose name has the pattern, × and → also as x and >."""
    wanted = {name for section in sections for name in SECTIONS[section]}
    plain = str.maketrans("×→·", "x>.")
    return [
        row
        for row in rows
        if row.section in wanted
        and any(re.search(pattern, name) for name in (row.key, row.key.translate(plain)))
    ]


def layer_flops(layer: Layer, batch: int, direction: str) -> int:
    """Count two for each multiply-add of the contractions; the bias is not counted.

    >>> layer_flops(Layer(3, 32, 6, 5), 1, "forward")
    705600
    """
    depth = layer.channels // layer.groups
    once = 2 * batch * layer.filters * layer.outputs**2 * depth * layer.kernel**2
    return 3 * once if direction == "forward+backward" else once
