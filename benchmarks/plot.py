"""The results as a picture: how many times as long as ours each peer takes, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.summary import OURS, times

Results = Mapping[str, Any]

# Peers of one framework share a colour; a second format or compiler has another marker.
FRAMEWORKS = {
    "torch": "tab:red",
    "jax": "tab:green",
    "tensorflow": "tab:orange",
    "onnxruntime": "tab:purple",
    "openvino": "tab:brown",
}
MARKERS = ("o", "s", "^", "D")
TITLES = {
    "training": "Training steps",
    "forward+backward": "Layers, forward and backward",
    "forward": "Layers, forward",
    "inference": "Inference",
}


def plot(results: Results, file: Path) -> bool:
    """Draw the rows measured with the most threads; False where there are none, or no plotter."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    sections = _sections(results)
    if not sections:
        return False
    styles = _styles(results)
    heights = [len(rows) + 2 for rows in sections.values()]
    figure, panels = pyplot.subplots(
        len(sections),
        1,
        figsize=(9, 0.2 * sum(heights) + 1),
        height_ratios=heights,
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    for panel, (section, rows) in zip(panels[:, 0], sections.items(), strict=True):
        _draw(panel, TITLES[section], rows, styles)
    threads = max(m["threads"] for m in results["measurements"])
    panels[-1, 0].set_xlabel("time ÷ graphcnn's (right of the line: slower than graphcnn)")
    handles = [
        pyplot.Line2D([], [], color=colour, marker=marker, linestyle="", label=name)
        for name, (colour, marker) in styles.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, fontsize=8, frameon=False)
    processor = results["machine"]["processor"]
    figure.supxlabel(f"{processor}, {threads} threads, float32", fontsize=8)
    figure.savefig(file, dpi=130)
    pyplot.close(figure)
    return True


def _sections(results: Results) -> dict[str, dict[str, dict[str, float]]]:
    """Give for each section and row the peers' times divided by ours."""
    most = max((m["threads"] for m in results["measurements"]), default=0)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for section in TITLES:
        for m in results["measurements"]:
            measured = times(m)
            if (m["section"], m["threads"]) != (section, most) or OURS not in measured:
                continue
            relative = {n: t / measured[OURS] for n, t in measured.items() if n != OURS}
            if relative:
                found.setdefault(section, {})[m["name"]] = relative
    return found


def _styles(results: Results) -> dict[str, tuple[str, str]]:
    names = dict.fromkeys(
        name for m in results["measurements"] for name in m["peers"] if name != OURS
    )
    used: dict[str, int] = {}
    styles = {}
    for name in names:
        framework = name.partition("-")[0]
        number = used[framework] = used.get(framework, -1) + 1
        styles[name] = (FRAMEWORKS.get(framework, "tab:gray"), MARKERS[number % len(MARKERS)])
    return styles


def _draw(panel: Any, title: str, rows: Any, styles: Mapping[str, tuple[str, str]]) -> None:
    for place, relative in enumerate(rows.values()):
        for name, value in relative.items():
            colour, marker = styles[name]
            panel.plot(value, place, marker, color=colour, markersize=4, alpha=0.8)
    panel.axvline(1, color="tab:blue", linewidth=1.5)
    panel.set_xscale("log")
    panel.set_yticks(range(len(rows)), rows, fontsize=7)
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.grid(axis="x", which="both", alpha=0.2)
    panel.grid(axis="y", alpha=0.2)
    panel.set_title(title, fontsize=9, loc="left")
