"""Conventions and views are values; what they are called is compared in one module only."""

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from pipeline.alignment.controls import uniform_block
from pipeline.conventions import CORRECTED, NOTEBOOK, PAPER, VIEWS, Convention, convention_of, view_of
from pipeline.errors import PipelineError
from pipeline.params import Params

ROOT = Path(__file__).resolve().parents[2]
VIEW_NAMES = "|".join(view.name for views in VIEWS.values() for view in views)
NAMES = f"corrected|paper|notebook|{VIEW_NAMES}"
# A view's name anywhere in quotes; any of the names beside ==, != or in, or in a case.
DECIDES = re.compile(
    rf"""["'](?:{VIEW_NAMES})["']|(?:[=!]=|\bin\b|\bcase\b)[^#]*["'](?:{NAMES})["']|["'](?:{NAMES})["']\s*(?:[=!]=|\bin\b)"""
)


def test_no_other_module_of_ours_compares_the_name_of_a_convention_or_a_view():
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in sorted((ROOT / "pipeline").rglob("*.py"))
        if file.name != "conventions.py" and "synthetic" not in file.parts  # presets of training have such names too
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if DECIDES.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "line", ['if x == "notebook":', "if 'paper' == x:", 'x in ("corrected", y)', 'view = "src_to_tgt"']
)
def test_the_search_finds_what_it_is_for(line):
    assert DECIDES.search(line)


def test_each_convention_differs_from_the_others_where_the_design_says():
    differs = {
        name: {f.name for f in fields(Convention) if getattr(one, f.name) != getattr(CORRECTED, f.name)} - {"name"}
        for name, one in (("paper", PAPER), ("notebook", NOTEBOOK))
    }
    assert differs["paper"] == {"key_tokens", "score", "level"}
    assert differs["notebook"] == {f.name for f in fields(Convention)} - {"name", "level"}


def test_a_signature_gives_the_convention_back():
    for convention in (CORRECTED, PAPER, NOTEBOOK):
        assert Convention(**convention.signature()) == convention == convention_of(convention.name)
    assert [c.compares_with_published for c in (CORRECTED, PAPER, NOTEBOOK)] == [False, False, True]


def test_the_parameters_know_the_same_conventions():
    for name in ("corrected", "paper", "notebook"):
        assert convention_of(Params(convention=name).convention).name == name


@pytest.mark.parametrize("view", [view for views in VIEWS.values() for view in views], ids=lambda view: view.name)
def test_a_view_says_which_axis_sums_to_one(view):
    block = uniform_block(3, 5, view)
    np.testing.assert_allclose(block.sum(view.key_axis), 1)
    assert block.shape[view.query_axis] == {"src": 3, "tgt": 5}[view.query_side]
    assert {view.query_side, view.key_side} == {"src", "tgt"}
    assert view_of(view.name) == view


def test_unknown_names_are_refused():
    with pytest.raises(PipelineError, match=r"convention: must be one of corrected, paper, notebook, but it is 'old'"):
        convention_of("old")
    with pytest.raises(PipelineError, match=r"view: must be one of output_step, .* but it is 'x'; run `dvc repro`"):
        view_of("x")
