"""The plot of RESULTS.md: CPU of a cold start and of a warm call, ratios to lean boto."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # no screen is needed

from bench.contestants import JOBS, WORDS
from matplotlib import pyplot as plt


def draw(cold: dict[str, float], warm: dict[str, float], path: Path) -> None:
    """By `contestant/job`."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", sharey=True)
    height = 0.8 / len(WORDS)
    for panel, figures, title in ((panels[0], cold, "CPU of a cold start"), (panels[1], warm, "CPU of a warm call")):
        for place, name in enumerate(WORDS):
            jobs = [job for job in JOBS if f"{name}/{job}" in figures]
            panel.barh(
                [list(JOBS).index(job) + place * height for job in jobs],
                [figures[f"{name}/{job}"] / figures[f"lean/{job}"] for job in jobs],
                height,
                label=name,
            )
        panel.axvline(1, color="black", linewidth=0.8)
        panel.set(title=f"{title}, of lean boto's", xlabel="less is better")
    panels[0].set_yticks([place + 0.4 - height / 2 for place in range(len(JOBS))], list(JOBS))
    panels[0].invert_yaxis()
    panels[1].legend(fontsize=8)
    figure.savefig(path, dpi=110)
