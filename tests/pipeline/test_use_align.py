"""Links for sentences of one's own: those of the pipeline's tables, in any batch, and nothing lost on the way."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.errors import PipelineError

PAIRS = "data/demo/pairs.tsv"
N = 24


@pytest.fixture(scope="module", autouse=True)
def _at_home(project):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        yield


@pytest.fixture(scope="module")
def opened():
    """Both demo translators, by name."""
    from pipeline.use.translators import open_translator

    return {name: open_translator(name) for name in ("mini-marian", "mini-mbert")}


@pytest.fixture(scope="module")
def gold():
    from pipeline.use.develop import read_development

    return read_development(PAIRS, None, base=0, languages="en-fr")[:N]


@pytest.fixture(scope="module")
def texts(gold):
    return [item.pair.src_text for item in gold], [item.pair.tgt_text for item in gold]


@pytest.fixture(scope="module")
def stored(opened, gold, tmp_path_factory):
    """Blocks on disk as the stage extract writes them."""
    from pipeline.attention.extract import extract

    root = tmp_path_factory.mktemp("blocks")
    for name, one in opened.items():
        settings = one.settings.model_copy(update={"heads_pairs": N})
        pairs = [item.pair for item in gold]
        where = {"work": root / "work", "target": root / name}
        extract(name, one.spec, settings, pairs, control="trained", split="trained", languages="en-fr", **where)
    return root


def _links(opened, texts, **options):
    from pipeline import align

    return [pair.links.tolist() for pair in align(opened, *texts, **options)]


@pytest.mark.parametrize(
    ("name", "said", "row"),
    [
        ("mini-marian", {}, ("attention", "output_step", 5, "argmax_tgt")),
        ("mini-mbert", {}, ("embedding", "together", 4, "intersection_cosine")),
        ("mini-mbert", {"origin": "attention"}, ("attention", "tgt_to_src", 3, "intersection")),
        ("mini-marian", {"origin": "states"}, ("embedding", "encoder", 2, "intersection_cosine")),
        (
            "mini-mbert",
            {"states": "alone", "layer": 5, "method": "itermax_raw"},
            ("embedding", "alone", 5, "itermax_raw"),
        ),
    ],
)
def test_links_are_those_of_the_tables(opened, stored, texts, gold, name, said, row):
    from pipeline.alignment.aer import Matching, Setting, links_of
    from pipeline.alignment.inputs import Split
    from pipeline.conventions import CORRECTED
    from pipeline.use.choice import Ask

    split = Split.read(stored / name)
    matching = Matching((), opened[name].options)
    wanted = links_of(Setting(*row), split.blocks, split.views, CORRECTED, matching)
    found = _links(opened[name], texts, ask=Ask(**said))
    assert found == [wanted[item.pair.pair_id].tolist() for item in gold]
    assert sum(map(len, found)) > 5 * N


def test_links_of_a_head_are_those_of_its_own_blocks(opened, stored, texts):
    from pipeline.alignment.inputs import Split
    from pipeline.alignment.matching import extract_links
    from pipeline.use.choice import Ask

    blocks = list(Split.read(stored / "mini-marian").with_heads)
    wanted = [extract_links(block.heads[0, 3, 2].T, "argmax_tgt").tolist() for block in blocks]
    assert _links(opened["mini-marian"], texts, ask=Ask(layer=4, head=2, method="argmax_tgt")) == wanted
    assert _links(opened["mini-marian"], texts, ask=Ask(layer=4, head=1, method="argmax_tgt")) != wanted


@pytest.mark.parametrize("name", ["mini-marian", "mini-mbert"])
def test_batches_and_chunks_change_nothing(opened, texts, name, monkeypatch):
    whole = _links(opened[name], texts)
    alone = replace(opened[name], settings=opened[name].settings.model_copy(update={"tokens_per_batch": 1}))
    assert _links(alone, texts) == whole
    monkeypatch.setattr("pipeline.use.align.CHUNK", 5)
    assert _links(opened[name], texts) == whole
    assert [
        _links(opened[name], ([src], [tgt]), pretokenised=False)[0] for src, tgt in zip(*texts, strict=True)
    ] == whole


def test_pairs_are_read_as_they_are_asked_for(opened, texts, monkeypatch):
    from pipeline import align
    from pipeline.use import align as module

    seen = []
    whole = module.pairs_of
    monkeypatch.setattr(sys.modules["pipeline.use.align"], "CHUNK", 3)

    def watched(*args):
        for pair in whole(*args):
            seen.append(pair.pair_id)
            yield pair

    monkeypatch.setattr(sys.modules["pipeline.use.align"], "pairs_of", watched)
    found = align(opened["mini-mbert"], *texts)
    next(found)
    assert seen == [0, 1, 2]


def test_blank_and_unreadable_pairs_keep_their_lines(tmp_path, capsys):
    (tmp_path / "src").write_text("A dog barks.\n\n" + "word " * 200 + "\nA [SEP] dog.\nA dog barks.\n")
    (tmp_path / "tgt").write_text("Un chien aboie.\nUn.\nmot\nUn chien.\n  \n")
    out, scores = tmp_path / "links", tmp_path / "scores"
    main_(["align", "--translator", "mini-mbert", "--src", f"{tmp_path}/src", "--tgt", f"{tmp_path}/tgt", "--scores", str(scores), "-o", str(out)])  # fmt: skip
    assert out.read_text() == "0-0 1-1 2-2 3-3\n\n\n\n\n" and scores.read_text().count("\n") == 5
    said = capsys.readouterr().err
    assert "2 of 5 pairs could not be read and have no links: control_words 1, too_long 1" in said
    assert "links from states, together, level 4, intersection_cosine" in said and "Token indices" not in said


def main_(args):
    """Run a command; typer ends every one with an exit of its own."""
    with pytest.raises(SystemExit) as done:
        main(args)
    assert done.value.code == 0


def test_scores_stand_behind_the_same_links(opened, texts):
    from pipeline import align
    from pipeline.corpus.pharaoh import LinkForm, parse_links

    for pair in align(opened["mini-marian"], *texts):
        found = parse_links(pair.to_scores(), LinkForm(), where="scores")
        assert found.sure.tolist() == pair.links.tolist() and len(pair.scores) == len(pair.links)
        assert (pair.scores >= 0).all() and (pair.scores <= 1).all()


def test_given_words_keep_their_numbers(opened, tmp_path, capsys):
    (tmp_path / "text").write_text("the dog &apos;s two @-@ year plan . ||| le plan de deux ans du chien .\n\n")
    main_(
        [
            "align",
            "--translator",
            "mini-mbert",
            "--text",
            f"{tmp_path}/text",
            "--from",
            "states",
            "--method",
            "argmax_src",
        ]
    )
    line, blank = capsys.readouterr().out.splitlines()
    assert [int(link.split("-")[0]) for link in line.split()] == list(range(8)) and blank == ""


def test_a_development_set_chooses_the_lowest_error(opened, gold, texts):
    from pipeline.alignment.gold import AlignmentCounts, score_counts
    from pipeline.use.choice import Ask
    from pipeline.use.develop import best

    gold, texts = gold[:8], tuple(side[:8] for side in texts)
    opened = {"mini-mbert": replace(opened["mini-mbert"], methods=("intersection", "itermax"))}
    links = {item.pair.pair_id: item.links for item in gold}

    def error(**options):
        found = dict(zip(links, (np.array(one).reshape(-1, 2) for one in _links(opened["mini-mbert"], texts, **options)), strict=True))  # fmt: skip
        return float(score_counts(AlignmentCounts.compare(links, found).counts.sum(0)).aer)

    free, of_attention = (best(opened["mini-mbert"], ask, gold) for ask in (Ask(), Ask("attention", layer=2)))
    assert free.n_pairs == 8 and free.aer == pytest.approx(error(ask=free.choice), abs=0.005)
    assert free.aer <= error() + 0.005 and free.aer < of_attention.aer
    assert (of_attention.choice.origin, of_attention.choice.layer) == ("attention", 2)
    assert of_attention.aer == pytest.approx(error(ask=of_attention.choice), abs=0.005)
    raw = best(opened["mini-mbert"], Ask(method="intersection_raw"), gold)
    assert (raw.choice.compare, raw.choice.place) == ("raw", "alone")
    with pytest.raises(PipelineError, match=r"head: must be left out beside gold.*but it is 1; leave it out"):
        best(opened["mini-mbert"], Ask(head=1), gold)
    with pytest.raises(PipelineError, match=r"gold: some choice must fit.*layer=40.*say less"):
        best(opened["mini-mbert"], Ask(layer=40), gold)
    long = [replace(item, pair=replace(item.pair, src_text="a " * 300, src_words=("a",) * 300)) for item in gold[:2]]
    with pytest.raises(PipelineError, match=r"gold: at least one pair must be readable, but all 2 are not; check"):
        best(opened["mini-mbert"], Ask(), long)


def test_a_development_set_of_files(tmp_path):
    from pipeline.use.develop import read_development

    (tmp_path / "links").write_text("1-1 2p2\n")
    (tmp_path / "text").write_text("a b ||| c d\n")
    (found,) = read_development(tmp_path / "links", [tmp_path / "text"], base=1, languages="en-de")
    assert found.links.sure.tolist() == [[0, 0]] and found.pair.tgt_words == ("c", "d")
    with pytest.raises(PipelineError, match=r"--gold: base: .*but it is 3"):
        read_development(tmp_path / "links", None, base=3, languages="en-de")


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ({"origin": "words"}, r"from: must be attention or states, but it is 'words'; choose one"),
        ({"method": "best"}, r"method: must be one of argmax_src, .*but it is 'best'; choose one"),
        ({"origin": "states", "head": 1}, r"from: attention takes view and head.*is states with head; leave one"),
        ({"origin": "attention", "states": "alone"}, r"from: .*it is attention with states; leave one of them out"),
        ({"view": "output_step", "method": "itermax_raw"}, r"from: .*it is method beside view; leave one of them out"),
    ],
)
def test_choices_that_cannot_be(said, rule):
    from pipeline.use.choice import Ask

    with pytest.raises(PipelineError, match=rule):
        Ask(**said)


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ({"view": "tgt_to_src"}, r"view: this translator has output_step, input_step, but it is 'tgt_to_src'; choose"),
        ({"states": "alone"}, r"states: this translator has output_step, .*but it is 'alone'; choose one"),
        ({"layer": 7}, r"layer: must be from 1 to 6 for this translator, but it is 7; choose one of these"),
        ({"states": "encoder", "layer": 9}, r"layer: must be from 0 to 3 for this translator, but it is 9"),
        ({"head": 99}, r"head: must be from 0 to 5 for this translator, but it is 99"),
    ],
)
def test_choices_that_this_translator_lacks(opened, texts, said, rule):
    from pipeline.use.choice import Ask

    with pytest.raises(PipelineError, match=rule):
        _links(opened["mini-marian"], texts, ask=Ask(**said))


def test_texts_that_do_not_go_together(opened, tmp_path):
    from pipeline import align
    from pipeline.use.text import read_texts

    with pytest.raises(PipelineError, match=r"src, tgt: as many sentences on either side, but there are 1 and 2; add"):
        align(opened["mini-mbert"], ["a"], ["b", "c"])
    with pytest.raises(PipelineError, match=r"--src, --tgt, --text: must be both.*but there is --src; name --src and"):
        read_texts("a", None, None)
    with pytest.raises(PipelineError, match=r"but there is none; name"):
        read_texts(None, None, None)
    (tmp_path / "text").write_text("no bars\n")
    with pytest.raises(PipelineError, match=r"line 1: must be `source \|\|\| target`, but it is 'no bars'"):
        read_texts(None, None, tmp_path / "text")


def test_how_a_folder_is_read(tmp_path):
    from pipeline.use.translators import Named, open_translator

    assert open_translator("data/demo/mini-marian").reads == "cross"
    restart = open_translator("data/demo/mini-mbert", named=Named(positions="restart"))
    assert (restart.reads, restart.spec.positions) == ("joint", "restart")
    for kind, reads in {"gpt2": "prompt", "funnel": "joint"}.items():
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
        with pytest.raises(PipelineError, match=rf"reads: cannot be told for sure.*\({kind}\).*add --reads {reads}$"):
            open_translator(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(PipelineError, match=r"translator: must be a model in Hugging Face layout, but .*name another"):
        open_translator(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "languages", "named", "rule"),
    [
        ("mini", "en-fr", {}, r"translator: must be an entry of params.yaml \(mini-marian, mini-mbert\).*is 'mini'"),
        (
            "mini-marian",
            "English",
            {},
            r"languages: must be two codes, source-target, but it is 'English'; write en-fr",
        ),
        (
            "mini-marian",
            "en-fr",
            {"reads": "cross"},
            r"reads, positions, revision: .*mini-marian is an entry.*leave them",
        ),
        (
            "data/demo/mini-mbert",
            "en-fr",
            {"revision": "x"},
            r"revision: only a model on the hub.*is a folder; leave it out",
        ),
        (
            "data/demo/mini-marian",
            "en-fr",
            {"positions": "restart"},
            r"positions: only a model that reads joint.*reads cross",
        ),
    ],
)
def test_translators_that_cannot_be_opened(name, languages, named, rule):
    from pipeline.use.translators import Named, open_translator

    with pytest.raises(PipelineError, match=rule):
        open_translator(name, languages, named=Named(**named))


def test_examples_of_a_prompt_are_refused(tmp_path):
    from pipeline.use.translators import open_translator

    text = Path("params.yaml").read_text(encoding="utf-8")
    asked = text.replace("reads: joint\n    positions: restart", "reads: prompt\n    shots: 2")
    (tmp_path / "p.yaml").write_text(asked, encoding="utf-8")
    with pytest.raises(PipelineError, match=r"translators.mini-mbert.shots: must be 0.*but it is 2; set it to 0"):
        open_translator("mini-mbert", params=tmp_path / "p.yaml")


def test_a_file_that_cannot_be_written(opened, texts, tmp_path):
    from pipeline.use.choice import Ask
    from pipeline.use.command import Outputs, write_links
    from pipeline.use.text import Texts

    with pytest.raises(PipelineError, match=r"--out: must be a file that can be written, but .*name another"):
        write_links(opened["mini-mbert"], Texts(*texts), Ask(), Outputs(tmp_path / "no" / "links"))
    out = tmp_path / "links"
    with pytest.raises(PipelineError, match="layer"):
        write_links(opened["mini-mbert"], Texts(*texts), Ask(layer=99), Outputs(out))
    assert list(tmp_path.iterdir()) == [], "half a file is no file"


def test_importing_the_package_loads_no_library():
    code = (
        "import sys, pipeline\n"
        "assert not {'torch', 'transformers', 'numpy', 'xarray', 'matplotlib'} & set(sys.modules)\n"
        "assert set(pipeline.__all__) <= set(dir(pipeline)) and callable(pipeline.align)\n"
        "assert 'torch' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    import pipeline

    with pytest.raises(AttributeError, match="has no attribute 'aligned'"):
        _ = pipeline.aligned


@pytest.mark.slow
@pytest.mark.realdata
def test_a_published_encoder_errs_as_the_results_say(shared_data, tmp_path):
    """docs/results.md: each sentence alone, level 8, mutual argmax on raw cosine, 7.4 % on the Hansards."""
    from pipeline.alignment.gold import compare_files
    from pipeline.corpus.pharaoh import LinkForm

    text, gold = (shared_data / "gold/hansards" / name for name in ("enfr.src-tgt", "enfr.gold"))
    said = ["--states", "alone", "--method", "intersection_raw", "-o", f"{tmp_path}/links"]
    main_(["align", "--translator", str(shared_data / "models/multilingual-e5-small"), "--text", str(text), *said])
    found = compare_files(gold, tmp_path / "links", gold_form=LinkForm(1), links_form=LinkForm())
    assert round(found.scores()["aer"], 1) == 7.4
