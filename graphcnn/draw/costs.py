"""What the boxes of a picture cost: time and bytes of the kernels that work on their nodes.

The fill of a box says which share of the slowest box's time it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphcnn.draw.roles import SCALE
from graphcnn.draw.texts import title
from graphcnn.draw.view import Group, View

_FILLS = tuple(SCALE)


@dataclass(frozen=True)
class BoxCost:
    """Seconds and bytes of the kernels behind a box, and the other boxes that they work for."""

    seconds: float
    bytes: int
    others: tuple[str, ...]

    def __str__(self) -> str:
        text = f"{time(self.seconds)}, {size(self.bytes)}"
        if not self.others:
            return text
        shown = [*self.others[:2], *(["…"] if self.others[2:] else [])]
        return f"{text}, together with {', '.join(shown)}"


def costs(view: View) -> dict[Group, BoxCost]:
    """Give the cost of each box that some kernel works for."""
    if view.profile is None:
        return {}
    group_of = {view.keys[group[0]]: group for group in view.groups}
    found = {}
    for group in view.groups:
        kernels = [c for c in view.profile.costs if {*c.nodes} & {*group}]
        if kernels:
            # A box whose op is done within others' kernels costs what they do: it says so.
            keys = dict.fromkeys(view.keys[n] for c in kernels for n in c.nodes)
            others = [title(view, group_of[k]) for k in keys if group_of[k] != group]
            found[group] = BoxCost(
                sum(c.seconds for c in kernels),
                sum(c.bytes for c in kernels),
                tuple(dict.fromkeys(others)),
            )
    return found


def fill(seconds: float, slowest: float) -> str:
    """Give the colour of a time.

    >>> fill(0.0, 2.0), fill(2.0, 2.0)
    ('#ffffff', '#f4a960')
    """
    share = seconds / slowest if slowest else 0.0
    return _FILLS[round(share * (len(_FILLS) - 1))]


def scale(slowest: float) -> tuple[tuple[str, str], ...]:
    """Give the legend of the colours: a text and a fill each."""
    last = len(_FILLS) - 1
    texts = ["time 0", *(time(slowest * k / last) for k in range(1, last + 1))]
    return tuple(zip(texts, _FILLS, strict=True))


def time(seconds: float) -> str:
    """Give a time in the unit it is read in.

    >>> time(0.0), time(2.5e-6), time(0.00321), time(1.5)
    ('0', '2.5 µs', '3.21 ms', '1.5 s')
    """
    for unit, length in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns" if seconds else "0"


def size(count: int) -> str:
    """Give bytes in the unit they are read in.

    >>> size(12), size(45_300), size(2_000_000)
    ('12 B', '45.3 kB', '2 MB')
    """
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= length:
            return f"{count / length:.3g} {unit}"
    return f"{count} B"
