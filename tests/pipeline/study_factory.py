"""A study as it comes from a stage, written by hand: two charts, a claim that holds and one that does not."""

import pandas as pd

from pipeline.study_file import Chart, Line, Panel, StudyResult
from pipeline.synthetic.studies import Interval, decided, estimate


def rows():
    """Return a claim's rows: one above its bound, one below."""
    told = {"unit": "share", "figure": "study_made_lines"}
    return [
        estimate("made_yes", "It rises.", Interval(0.5, 0.4, 0.6, 0.001), bound=0.25, **told),
        estimate("made_no", "It falls.", Interval(-0.5, -0.6, -0.4, 0.001), where="in all seeds", **told),
    ]


def made(size="long", name="made"):
    """Return a study of which everything is known."""
    lines = [
        Line("trained", [2, 5, 60], [0.1, 0.2, 0.5], [0.0, 0.1, 0.4], [0.2, 0.3, 0.6]),
        Line("blind", [2, 5, 60], [0.1, 0.1, 0.1], floor=True),
    ]
    ranked = [Line("without x", [], [3.0], [2.0], [4.0]), Line("whole", [], [1.0], floor=True)]
    words = {"caption": ["What it shows."], "finding": "It rises to 0.50."}
    charts = [
        Chart(stem=f"study_{name}_lines", title="Lines", x="points", y="share", panels=[Panel("", lines)],
              logs=(True, False), mark=0.0, **words),
        Chart(stem=f"study_{name}_ranking", title="Rows", y="times the loss", panels=[Panel("", ranked)], kind="ranking",
              logs=(False, True), mark=1.0, **words),
    ]  # fmt: skip
    return StudyResult(
        name=name, question="Does it?", size=size, seeds=4, settings={"steps": 10, "sizes": [2, 5]}, charts=charts,
        claims=decided(rows(), size), findings=["It does, <b>0.50</b>."], tables={"scores": pd.DataFrame({"a": [1 / 3]})},
    )  # fmt: skip
