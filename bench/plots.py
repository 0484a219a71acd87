"""The one plot: units and calls against history, ours and the naive ways."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # no screen is needed

from matplotlib import pyplot as plt

type Point = tuple[int, str, str, float, int]
"""Settlements, what, filter, read units, calls."""


def draw(points: list[Point], path: Path) -> None:
    figure, panels = plt.subplots(1, 2, figsize=(13, 5.5), layout="constrained")
    for panel, place, label in ((panels[0], 3, "read units"), (panels[1], 4, "calls")):
        for what, name in dict.fromkeys((point[1], point[2]) for point in points):
            mine = sorted(point for point in points if (point[1], point[2]) == (what, name))
            if what == "later page" and name not in {"none", "rare source"}:
                continue
            style = "--" if what.startswith("naive") else "-"
            panel.plot(
                [point[0] for point in mine],
                [point[place] for point in mine],
                style,
                marker="o",
                markersize=3,
                label=f"{what} ({name})",
            )
        panel.set(xscale="log", yscale="log", xlabel="settlements of the account", ylabel=label)
        panel.grid(visible=True, which="major", alpha=0.3)
    panels[1].legend(fontsize=7, loc="upper left")
    figure.suptitle("Cost of a page and its total as history grows")
    figure.savefig(path, dpi=120)
