"""`validate --fill`: a short parameter file becomes a whole one, and says the same."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline._yaml import parse
from pipeline.errors import PipelineError
from pipeline.fill import TEMPLATE, fill, filled, gaps, left_out
from pipeline.params import Params, load_params
from tests.pipeline.test_migrate import run

WHOLE = TEMPLATE.read_text(encoding="utf-8")
BLOCKS = tuple(Params.model_fields)
SHORT = """# mine
corpus: {source: files, file: text.tsv}   # my text

sample:
    n_pairs: 50   # few
    # all my sentences are short

translators:
  bert:
    reads: joint
    model: bert-base  # on the hub
gold: null
"""


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(SHORT, encoding="utf-8")
    return path


def test_the_template_is_the_projects_own_file(project):
    """After a new key: `cp params.yaml params/demo.yaml`."""
    assert (project / "params.yaml").read_text(encoding="utf-8") == WHOLE


def test_the_first_translator_of_the_template_has_the_defaults():
    first = next(iter(parse(WHOLE)["translators"].values()))
    needed = {"model": first["model"], "reads": first["reads"]}
    assert Params.model_validate({"translators": {"m": first}}) == Params.model_validate({"translators": {"m": needed}})


def test_a_short_file_is_completed_and_says_the_same(short):
    before = load_params(short, check_paths=False, complete=False)
    added = fill(short)
    assert load_params(short, check_paths=False) == before
    text = short.read_text(encoding="utf-8")
    assert list(parse(text)) == list(BLOCKS)
    assert {"convention", "corpus.pair", "sample.seed", "words", "translators.bert.positions", "report"} <= set(added)
    assert not {"gold", "sample.n_pairs", "corpus.source", "translators.bert.model"} & set(added)
    lines = text.splitlines()
    for line in SHORT.splitlines():
        assert line in lines or line.startswith("corpus:")
    assert '"pair": "en-fr"' in text
    at = lines.index("    # all my sentences are short")
    assert lines[at - 1] == "    n_pairs: 50   # few"
    assert lines[at + 1].startswith("    method: rows               # rows: any rows | full")
    assert lines[at + 6] == ""
    at = lines.index("    reads: joint")
    assert lines[at + 1].startswith("    positions: null          # joint only")
    once = short.read_bytes()
    assert fill(short) == left_out(short) == []
    assert short.read_bytes() == once


@settings(max_examples=10)
@given(st.sets(st.sampled_from([*BLOCKS])), st.randoms(use_true_random=False))
def test_whatever_is_cut_out_comes_back(blocks, random):
    keys = {block: list(value) for block, value in parse(WHOLE).items() if isinstance(value, dict)}
    keys["translators"] = []
    lines, out, block, cut = WHOLE.splitlines(keepends=True), [], "", set(blocks) - {"translators"}
    gone: set[str] = set()
    within = False  # a key of a block that is cut
    for line in lines:
        if line[0].isalpha():
            block = line.split(":")[0]
            # one key at least stays in a block that stays
            gone = set(random.sample(keys.get(block, []), k=random.randint(0, max(0, len(keys.get(block, [])) - 1))))
        if line.startswith("  ") and not line.startswith("   "):
            within = line.strip().split(":")[0] in gone
        if block in cut or (within and line.startswith("  ")):
            continue
        out.append(line)
    text = "".join(out)
    new = filled(text, WHOLE)
    assert parse(new) == parse(WHOLE)
    assert [*parse(new)] == [*BLOCKS]
    assert sorted(line for line in new.splitlines() if line) == sorted(line for line in WHOLE.splitlines() if line)


def test_json_is_completed_too(short):
    short.write_text('{"sample": {"n_pairs": 7}, "align": {}}', encoding="utf-8")
    fill(short)
    assert json.loads(short.read_text(encoding="utf-8")) == json.loads(Params(sample={"n_pairs": 7}).model_dump_json()) | {
        "translators": parse(WHOLE)["translators"]
    }  # fmt: skip


def test_lists_of_entries_are_held_against_the_first_of_the_template():
    template = "sets:\n  - name: a # n\n    base: 0 # b\n  - name: b\n    base: 1\n"
    text = "sets:\n- name: mine\n- {name: other}\n"
    assert [gap.name for gap in gaps(text, template)] == ["sets.0.base", "sets.1.base"]
    assert filled(text, template) == 'sets:\n- name: mine\n  base: 0 # b\n- {name: other, "base": 0}\n'


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("sample: {n_pair: 3}\n", r"sample\.n_pair: no such key; did you mean n_pairs\?"),
        ("align: {convention: paper}\n", r"written for an older version .*; run `python -m pipeline migrate"),
        (
            "learn: &common {seed: 7}\nsample:\n  n_pairs: 3\n  <<: *common\n",
            r"every key must stand on its own to be completed, but .*sample\.seed.* by hand from params/demo\.yaml",
        ),
        ("corpus: [1\n", r"not valid YAML"),
    ],
)
def test_what_is_wrong_is_not_filled(text, match, short):
    short.write_text(text, encoding="utf-8")
    with pytest.raises(PipelineError, match=match) as error:
        fill(short)
    assert "\n" not in str(error.value)
    assert short.read_text(encoding="utf-8") == text


def test_the_command_says_what_it_added(capsys, short, monkeypatch, project):
    monkeypatch.chdir(project)
    text = WHOLE.replace("  seed: 2026                 # of the fresh and shuffled weights\n", "")
    short.write_text(text, encoding="utf-8")
    note = f"{short}: note: extract.seed: left out, and dvc may miss it; --fill adds what is left out"
    assert run(capsys, "validate", short) == (0, [note, f"{short}: every key is right"], [])
    done = [f"{short}: added extract.seed", f"{short}: every key is right"]
    assert run(capsys, "validate", "--fill", short) == (0, done, [])
    assert short.read_text(encoding="utf-8") == WHOLE
