"""The schema of params.yaml: the files that we ship, and every way to be refused."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.errors import PipelineError
from pipeline.params import Gold, Params, load_params, named_paths

SHIPPED = (
    "params.yaml",
    "params/demo.yaml",
    "params/paper.yaml",
    "params/newstest.yaml",
    "params/e5.yaml",
    "params/e5-local.yaml",
)
FILES = {"source": "files", "src": ["a.en"], "tgt": ["a.fr"]}


def write(folder: Path, **changes: Any) -> Path:
    """Write the demo's parameters with changes: keys of a block, or a whole block."""
    raw = json.loads(Params().model_dump_json())
    for block, change in changes.items():
        if block != "translators" and isinstance(change, dict) and isinstance(raw.get(block), dict):
            raw[block] |= change
        else:
            raw[block] = change
    path = folder / "params.yaml"
    path.write_text(json.dumps(raw), encoding="utf-8")  # JSON is YAML
    return path


def load(folder: Path, **changes: Any) -> Params:
    return load_params(write(folder, **changes), check_paths=False)


def raw_yaml(path: Path) -> dict:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def test_the_shipped_file_spells_out_the_defaults(project: Path) -> None:
    assert load_params(project / "params.yaml", check_paths=False) == Params()


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_files_load_and_hold_every_key(project: Path, name: str) -> None:
    params = load_params(project / name, check_paths=False)
    raw = raw_yaml(project / name)
    assert list(raw) == list(Params.model_fields)
    for block, value in json.loads(params.model_dump_json()).items():
        if not isinstance(value, dict):
            assert value == raw[block]
            continue
        entries = list(value.values() if block == "translators" else [value])
        given = list(raw[block].values() if block == "translators" else [raw[block]])
        assert list(entries[0]) == list(given[0]), block
        # Of the translators the first shows every key, the others at least those that are set.
        assert all(
            {key for key in entry if entry[key] is not None} <= set(own)
            for entry, own in zip(entries, given, strict=True)
        )


@pytest.mark.parametrize("name", SHIPPED)
def test_every_key_is_explained_by_a_comment(project: Path, name: str) -> None:
    lines = (project / name).read_text(encoding="utf-8").splitlines()
    explained = {match[1] for line in lines if (match := re.match(r"\s*(?:- )?([a-z_]+):.*\s# \S", line))}
    keys = {
        key
        for block in Params().model_dump().values()
        if isinstance(block, dict)
        for key in block
        if not key.startswith("mini-")
    }
    keys |= set(Params().translators["mini-mbert"].model_dump()) | set(Params.model_fields) | set(Gold.model_fields)
    assert keys - explained - {"mini-marian", "mini-mbert"} == set()


def test_the_paper_is_pinned_and_the_newstest_is_the_demo_on_other_text(project: Path) -> None:
    paper = load_params(project / "params/paper.yaml", check_paths=False)
    pins = [paper.corpus.revision, *(entry.revision for entry in paper.translators.values())]
    assert all(pin is not None and re.fullmatch(r"[0-9a-f]{40}", pin) for pin in pins)
    assert (paper.sample.n_pairs, paper.align.transport_pairs) == (10_000, 1_000)
    assert paper.translators["mbert"].positions == "continue"
    news = load_params(project / "params/newstest.yaml", check_paths=False)
    assert news.translators == Params().translators
    assert (news.sample.n_pairs, news.align.transport_pairs, news.gold[0].base) == (2_000, 500, 1)


def test_the_encoder_differs_from_the_newstest_in_its_model_only(project: Path) -> None:
    news, encoder = (load_params(project / f"params/{name}.yaml", check_paths=False) for name in ("newstest", "e5"))
    assert encoder.model_copy(update={"translators": news.translators}) == news
    (model,) = encoder.translators.values()
    assert (model.reads, model.positions, model.is_folder) == ("joint", "continue", False)


@pytest.mark.realdata
def test_the_newstest_names_files_that_are_there(project: Path) -> None:
    paths = named_paths(load_params(project / "params/newstest.yaml", check_paths=False))
    shared = {key: path for key, path in paths.items() if not key.startswith("translators.")}
    assert len(shared) == 12 + 1 + 2
    assert [path for path in shared.values() if not (project / path).exists()] == []


def test_import_needs_no_model_library() -> None:
    heavy = ("torch", "transformers", "pandas", "pyarrow", "numpy", "sacremoses")
    code = f"import sys, pipeline.params; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_one_file_and_a_list_of_one_are_the_same(tmp_path: Path) -> None:
    alone = load(tmp_path, corpus={"source": "files", "src": "a.en", "tgt": "a.fr"})
    assert alone.corpus.src == ("a.en",)
    assert alone == load(tmp_path, corpus=FILES)
    assert (alone.corpus.src_lang, alone.corpus.tgt_lang) == ("en", "fr")


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace('"reg": 0.05', '"reg": 5e-2'), encoding="utf-8")
    assert load_params(path, check_paths=False).certify.reg == 0.05
    assert load(tmp_path, certify={"step_ratio": 2}).certify.step_ratio == 2.0


def test_blocks_are_frozen(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(tmp_path).sample.n_pairs = 3  # type: ignore[misc]


def test_a_joint_encoder_counts_on_unless_told_otherwise(tmp_path: Path) -> None:
    both = {"cross": {"model": "a/b", "reads": "cross"}, "joint": {"model": "a/b", "reads": "joint"}}
    params = load(tmp_path, translators=both)
    assert params.translators["cross"].positions is None
    assert params.translators["joint"].positions == "continue"


def test_gold_may_be_null_or_any_number_of_sets(tmp_path: Path) -> None:
    assert load(tmp_path, gold=None).gold == load(tmp_path, gold=[]).gold == ()
    other = {"name": "de", "pair": "de-en", "text": ["a.de", "a.en"], "links": "a.naacl", "base": 1}
    demo, own = load(tmp_path, gold=[{}, other]).gold
    assert (demo, own.text, own.src_lang, own.tgt_lang) == (Gold(), ("a.de", "a.en"), "de", "en")
    assert own.model_dump()["text"] == other["text"] and demo.model_dump()["text"] == demo.text[0]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        # keys and types
        ({"sampel": {}}, r"params\.yaml: sampel: no such key; did you mean sample\?"),
        ({"sample": {"n_pair": 3}}, r"sample\.n_pair: no such key; did you mean n_pairs\?"),
        ({"corpus": {"n_pairs": 3}}, r"corpus\.n_pairs: no such key; did you mean sample\.n_pairs\?"),
        ({"words": {"zzz": 3}}, r"words\.zzz: no such key; known keys: pretokenised, lemmas"),
        ({"gold": [{"bass": 0}]}, r"gold\.0\.bass: no such key; did you mean base\?"),
        (
            {"gold": {"base": 0}},
            r"older version \(gold \(one set\) is now a list of sets.*; run `python -m pipeline mig",
        ),
        ({"gold": [{}, {}]}, r"gold\.name: each value at most once, but 'demo' is there twice; remove one"),
        ({"gold": [{"name": "a/b"}]}, r"gold\.0\.name: must look like .*'a/b'"),
        ({"gold": [{"pair": "fr-fr"}]}, r"gold\.0\.pair: two different languages.*'fr-fr'; write en-fr"),
        ({"gold": [{"name": "a", "links": "b"}]}, r"gold\.0\.pair: a set of your own has a name and a pair.*missing"),
        (
            {"gold": [{"name": "a", "pair": "en-fr", "text": ["a", "b", "c"]}]},
            r"gold\.0\.text: one file with both sides, or two, source then target, but there are 3; remove",
        ),
        ({"gold": [{"format": "talp"}]}, r"gold\.0\.format: .*'pharaoh'.*but it is 'talp'"),
        ({"sample": {"n_pairs": "240"}}, r"sample\.n_pairs: should be a valid integer, but it is '240'"),
        ({"sample": {"n_pairs": 0}}, r"sample\.n_pairs: should be greater than or equal to 1, but it is 0"),
        ({"sample": {"n_pairs": True}}, r"sample\.n_pairs: should be a valid integer, but it is True"),
        ({"sample": {"seed": -1}}, r"sample\.seed: .* 0, but it is -1"),
        ({"corpus": {"source": "file"}}, r"corpus\.source: .*'files'.*'file'; did you mean files\?"),
        ({"gold": [{"base": 2}]}, r"gold\.0\.base: should be less than or equal to 1, but it is 2; correct it"),
        ({"gold": [{"base": True}]}, r"gold\.0\.base: should be a valid integer, but it is True"),
        ({"align": {"level": 95}}, r"align\.level: should be less than 1, but it is 95"),
        ({"certify": {"reg": 0}}, r"certify\.reg: should be greater than 0, but it is 0"),
        ({"learn": {"prompts": []}}, r"learn\.prompts: .* at least 1 item"),
        ({"learn": {"prompts": ["plain", "plain"]}}, r"learn\.prompts: each value at most once.*'plain'"),
        # corpus
        ({"corpus": {"pair": "english"}}, r"corpus\.pair: must look like .*but it is 'english'"),
        ({"corpus": {"pair": "en-en"}}, r"corpus\.pair: two different languages.*'en-en'"),
        ({"corpus": {"pair": "en-de"}}, r"corpus\.pair: the demo text is en-fr, but it is 'en-de'.*files"),
        ({"corpus": {"src": "a.en"}}, r"corpus\.src: source: demo takes no files.*'a\.en'.*null"),
        ({"corpus": {"source": "wmt14", "file": "a.tsv"}}, r"corpus\.file: source: wmt14 takes no files"),
        ({"corpus": {"source": "wmt14", "pair": "en-es"}}, r"corpus\.pair: wmt14 has cs-en,.*'en-es'"),
        ({"corpus": {"revision": "abc"}}, r"corpus\.revision: only source: wmt14 has a revision.*'abc'"),
        (
            {"corpus": {"source": "files", "src": "a"}},
            r"corpus\.tgt: source: files needs src and tgt, or file",
        ),
        ({"corpus": {"source": "files"}}, r"corpus\.src: source: files needs src and tgt, or file.*null"),
        ({"corpus": FILES | {"src": ["a", "b"]}}, r"corpus\.src, tgt: as many files.* 2 and 1"),
        ({"corpus": FILES | {"src": []}}, r"corpus\.src: .*at least 1 item"),
        ({"corpus": FILES | {"file": "a.tsv"}}, r"corpus\.src: either src and tgt or file, not both"),
        ({"corpus": {"source": "files", "file": "a.csv"}}, r"corpus\.file: must end in \.tsv, .*'a\.csv'"),
        # sample, lexicon
        ({"sample": {"min_words": 41}}, r"sample\.min_words: at most max_words \(40\), but it is 41"),
        ({"sample": {"min_links": 41}}, r"sample\.min_links: at most max_words \(40\), but it is 41"),
        ({"lexicon": {"path": "a.txt"}}, r"lexicon\.path: only source: files has a path.*'a\.txt'"),
        ({"lexicon": {"source": "files"}}, r"lexicon\.path: source: files needs the path.*null"),
        ({"lexicon": {"policy": "one-to-one"}}, r"lexicon\.policy: .*did you mean one_to_one\?"),
        # translators
        ({"translators": {}}, r"translators: .*at least 1 item"),
        ({"translators": {"a/b": {"model": "m", "reads": "cross"}}}, r"translators\.a/b: must look like"),
        ({"translators": {"m": {"model": "m"}}}, r"translators\.m\.reads: this key is missing; add it"),
        (
            {"translators": {"m": {"model": "m", "reads": "cross", "position": None}}},
            r"translators\.m\.position: no such key; did you mean positions\?",
        ),
        (
            {"translators": {"m": {"model": "m", "reads": "cross", "positions": "restart"}}},
            r"translators\.m\.positions: only reads: joint has positions, but it is 'restart'",
        ),
        (
            {"translators": {"m": {"model": "./m", "reads": "cross", "revision": "abc"}}},
            r"translators\.m\.revision: only a model on the hub has a revision, but it is 'abc'",
        ),
        ({"extract": {"controls": ["random_init"]}}, r"extract\.controls: must hold trained.*random_init"),
        ({"extract": {"controls": ["trained", "mispaired"]}}, r"extract\.controls\.1: .*'mispaired'"),
        # between blocks
        (
            {"corpus": FILES | {"pair": "en-de"}, "gold": None},
            r"params\.yaml: lexicon\.source: the demo lexicon is en-fr, but corpus\.pair is 'en-de'",
        ),
        (
            {"corpus": FILES | {"pair": "fr-ru"}, "gold": None, "lexicon": {"source": "muse"}},
            r"lexicon\.source: muse has no fr-ru \(corpus\.pair\).*; use source: files",
        ),
        (
            {"gold": [{"pair": "fr-en"}]},
            r"gold\.0\.pair: the demo's links are en-fr, but it is 'fr-en'; name files of your own",
        ),
        (
            {"corpus": FILES | {"pair": "en-zh"}, "gold": None, "lexicon": {"source": "files", "path": "a"}},
            r"words\.lemmas: simplemma does not know .*'zh'.*none",
        ),
        (
            {"corpus": {"source": "wmt14"}, "sample": {"n_pairs": None}},
            r"sample\.n_pairs: a number for corpus\.source: wmt14, which has millions, but it is None; write one",
        ),
        ({"sample": {"n_pairs": 5}, "report": {"pair": 5}}, r"report\.pair: below sample\.n_pairs \(5\)"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path, changes: dict, match: str) -> None:
    with pytest.raises(PipelineError, match=match) as caught:
        load(tmp_path, **changes)
    assert len(str(caught.value).splitlines()) == 1


def test_a_smaller_sample_is_always_possible(tmp_path: Path) -> None:
    assert load(tmp_path, sample={"n_pairs": 1}).align.transport_pairs > 1


@pytest.mark.parametrize(
    "block", [name for name in Params.model_fields if name not in ("convention", "gold", "translators")]
)
def test_a_misspelt_key_names_the_right_one(tmp_path: Path, block: str) -> None:
    fields = list(getattr(Params(), block).model_dump())
    for key in fields:
        wrong = key[:-1] + "xx" if len(key) > 4 else key + "x"
        if wrong in fields:
            continue
        with pytest.raises(PipelineError, match=rf"{block}\.{wrong}: no such key; (did you mean|known keys)"):
            load(tmp_path, **{block: {wrong: 1}})


def test_every_problem_has_its_line(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="n_pair:") as caught:
        load(tmp_path, sample={"n_pair": 3, "seed": "x"}, align={"level": 2})
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{tmp_path / 'params.yaml'}: ") for line in lines)


def test_a_missing_block_is_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    raw = json.loads(path.read_text(encoding="utf-8"))
    del raw["gold"]
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(
        PipelineError,
        match=r"params\.yaml: gold: this block is missing; run `python -m pipeline validate --fill .*params\.yaml`",
    ):
        load_params(path, check_paths=False)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"corpus: [1\nsample: 3\n", r"p\.yaml, line 2: not valid YAML in UTF-8: expected"),
        (
            b"corpus: {}\ncorpus: {}\n",
            r"p\.yaml, line 2: not valid YAML in UTF-8: found duplicate key \"corpus\"",
        ),
        (b"corpus: {pair: \xe9}\n", r"p\.yaml: not valid YAML in UTF-8: .*0xe9"),
        (b"", r"p\.yaml: must hold the blocks convention, corpus, sample, .* but is NoneType"),
        (b"- 1\n", r"p\.yaml: must hold the blocks .* but is list"),
    ],
)
def test_a_file_that_is_no_parameter_file(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(content)
    with pytest.raises(PipelineError, match=match) as caught:
        load_params(path)
    assert len(str(caught.value).splitlines()) == 1


def test_no_parameter_file() -> None:
    with pytest.raises(PipelineError, match=r"nowhere\.yaml: no such parameter file.*params/"):
        load_params("nowhere.yaml")


def test_paths_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    changes = {
        "corpus": {"source": "files", "file": "text.tsv"},
        "lexicon": {"source": "files", "path": "lexicon.txt"},
        "gold": [{"name": "own", "pair": "en-fr", "text": ["gold.en", "gold.fr"], "links": "gold.links"}],
        "translators": {
            "here": {"model": "some/deep/folder", "reads": "cross"},
            "hub": {"model": "owner/name", "reads": "cross"},
        },
    }
    path = write(tmp_path, **changes)
    with pytest.raises(PipelineError, match=r"corpus\.file: must be there .*'text\.tsv' is not") as caught:
        load_params(path)
    keys = [line.split(": ")[1] for line in str(caught.value).splitlines()]
    of_gold = ["gold.0.text", "gold.0.text[1]", "gold.0.links"]
    expected = ["corpus.file", "lexicon.path", *of_gold, "translators.here.model"]
    assert keys == expected
    for name in ("text.tsv", "lexicon.txt", "gold.en", "gold.fr", "gold.links"):
        (tmp_path / name).touch()
    (tmp_path / "some/deep/folder").mkdir(parents=True)
    assert load_params(path) == load_params(path, check_paths=False)


def test_a_mistyped_folder_is_not_taken_for_a_name_on_the_hub(tmp_path, monkeypatch):
    from pipeline.params import means_folder

    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    assert means_folder("data/nope")
    assert not means_folder("owner/name")


def test_an_unknown_translator_is_refused_with_those_that_there_are():
    from pipeline.stages import check_translator

    with pytest.raises(PipelineError, match=r"translators: one of mini-marian, mini-mbert, but 'nope' was asked"):
        check_translator(Params(), "nope")
