"""From a model to its tables: planted truths both ways, runs that are cut off, and models without a head."""

import re

import numpy as np
import pytest

from pipeline.claims import decide
from pipeline.errors import PipelineError
from pipeline.verdicts.intervention import use_claims
from tests.pipeline import intervention_factory as factory

KS = (1, 4)


def _job(**changed):
    from pipeline.intervention.measure import Job
    from pipeline.params import Align, Extract, Intervene, Translator

    about = {
        "name": "small",
        "spec": Translator(model="small", reads="cross"),
        "settings": Intervene(ks=KS, draws=6, sweeps=(1, 20), seed=1),
        "align": Align(resamples=300),
        "extract": Extract(device="cpu"),
        "languages": "en-fr",
        "pairs": [],
        "links": {},
    }
    return Job(**about | changed)


def _examined(model, reads, items, folder, **changed):
    """Return what the claims make of a model: verdict by claim, and the deciding rows."""
    from pipeline.intervention.measure import _write, examine, results
    from pipeline.intervention.scorer import Scorer

    job, scorer = _job(**changed), Scorer(factory.translator(model, reads))
    found, summary = results(job, scorer, examine(job, scorer, items, folder / "work"))
    _write({"schema": 2, "translator": "small", **summary}, found, folder / "small")
    rows, _ = use_claims(folder / "small", "small")
    claims = decide(rows, level=0.95)
    return {claim.claim: claim.verdict for claim in claims if claim.role == "decides"}, found


@pytest.fixture(scope="module")
def items():
    return [factory.planted_item(pair_id) for pair_id in range(60)]


def test_a_head_that_copies_the_source_is_found_and_used(items, tmp_path):
    verdicts, found = _examined(factory.planted(), "cross", items, tmp_path)
    assert verdicts == {"uses_alignment": "supported", "plan_matters": "not supported"}
    heads = found["heads"].set_index(["layer", "head"])
    assert heads.pointing.idxmax() == heads.effect.idxmax() == factory.PLANTED
    assert heads.view[factory.PLANTED] == "output_step"
    assert heads.effect[factory.PLANTED] > 10 * heads.effect.drop(factory.PLANTED).abs().max()
    by_kind = found["replacements"].query("target == 'head'").set_index("replacement").effect
    assert abs(by_kind["links"]) < 0.2 * by_kind["permuted"]


def test_a_head_that_aligns_without_being_heard_is_not_used(items, tmp_path):
    verdicts, found = _examined(factory.planted(used=False), "cross", items, tmp_path)
    assert found["heads"].set_index(["layer", "head"]).pointing.idxmax() == factory.PLANTED
    assert verdicts["uses_alignment"] != "supported"


def test_a_plan_matters_where_a_word_draws_all_attention(items, tmp_path):
    """Each row likes its own word best, but for one that all like better: equal columns undo that."""
    verdicts, _ = _examined(factory.planted(hub=9.0), "cross", items, tmp_path)
    assert verdicts["plan_matters"] == "supported"


@pytest.mark.parametrize("reads", ["cross", "joint", "prompt"])
def test_fresh_weights_are_never_supported(reads, tmp_path):
    make, draw = {
        "cross": (factory.marian, factory.random_items),
        "joint": (factory.bert, factory.masked_items),
        "prompt": (factory.llama, factory.prompted_items),
    }[reads]
    lengths = np.random.default_rng(5).integers(4, 10, size=(50, 2)).tolist()
    verdicts, _ = _examined(make(), reads, draw(lengths), tmp_path)
    assert "supported" not in verdicts.values()


def test_a_run_that_was_cut_off_goes_on_with_the_same_bytes(items, tmp_path, monkeypatch):
    from pipeline.intervention.measure import examine
    from pipeline.intervention.run import Bench
    from pipeline.intervention.scorer import Scorer

    model = factory.planted()
    _examined(model, "cross", items[:30], tmp_path / "whole")

    def killed(changes):
        for place, change in enumerate(changes):
            if place == 7:
                raise KeyboardInterrupt
            yield change

    scorer = Scorer(factory.translator(model, "cross"))
    with pytest.raises(KeyboardInterrupt):
        examine(_job(), scorer, items[:30], tmp_path / "cut" / "work", track=killed)
    calls, losses = [], Bench.losses
    monkeypatch.setattr(Bench, "losses", lambda self, change: calls.append(change) or losses(self, change))
    _examined(model, "cross", items[:30], tmp_path / "cut")
    assert len(calls) == len(list((tmp_path / "whole" / "work").iterdir())) - 7
    for name in ("heads.csv", "sets.csv", "replacements.csv", "summary.json"):
        whole, cut = (tmp_path / run / "small" / name for run in ("whole", "cut"))
        assert whole.read_bytes() == cut.read_bytes(), name


def test_losses_that_cannot_be_read_are_computed_again(items, tmp_path):
    _, before = _examined(factory.planted(), "cross", items[:30], tmp_path)
    next((tmp_path / "work").iterdir()).write_bytes(b"")
    _, after = _examined(factory.planted(), "cross", items[:30], tmp_path)
    for name, frame in before.items():
        assert frame.equals(after[name]), name


def test_the_order_of_the_pairs_changes_nothing(items, tmp_path):
    _, one = _examined(factory.planted(), "cross", items[:30], tmp_path / "one")
    _, other = _examined(factory.planted(), "cross", items[:30][::-1], tmp_path / "other")
    for name, frame in one.items():
        assert frame.equals(other[name]), name


def test_zero_and_mean_are_both_told_of_sets(items, tmp_path):
    _, found = _examined(factory.planted(), "cross", items[:30], tmp_path)
    sets = found["sets"]
    assert list(sets.set) == ["all", "layer", "layer", "top", "top"] and list(sets.k) == [12, 6, 6, *KS]
    assert (sets.zero_effect > 0.1).sum() >= 3
    assert sets.n_draws[3:].tolist() == [5, 6] and sets.complete[3:].tolist() == [True, False]


@pytest.mark.parametrize(
    ("n_items", "ks", "message"),
    [
        (30, (4, 12), r"intervene.ks: fewer heads than the 12 of small, got 12; leave it out"),
        (1, KS, r"intervene.pairs: at least 1 pair .* and 2 to judge them on, but small got \d and \d; ask for more"),
    ],
)
def test_what_cannot_be_asked_is_refused(n_items, ks, message, items, tmp_path):
    from pipeline.params import Intervene

    with pytest.raises(PipelineError, match=message):
        _examined(factory.planted(), "cross", items[:n_items], tmp_path, settings=Intervene(ks=ks))


LETTERS = "abcdefghijklmnop"


@pytest.fixture(scope="module")
def tokenizer():
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    vocab = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4} | {c: 5 + i for i, c in enumerate(LETTERS)}
    words = Tokenizer(WordLevel(vocab, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", bos_token="<s>", unk_token="<unk>",
        mask_token="<mask>", model_max_length=40,
    )  # fmt: skip


def test_few_heads_cannot_be_held_against_others(tokenizer, tmp_path):
    from transformers import AutoModelForMaskedLM

    from pipeline.intervention.measure import intervene
    from pipeline.params import Translator

    folder = _saved(AutoModelForMaskedLM, tokenizer, tmp_path / "model", family="bert", num_attention_heads=2)
    summary = intervene(
        _text_job(Translator(model=folder, reads="joint")), work=tmp_path / "work", target=tmp_path / "out"
    )
    assert (summary["status"], summary["why"]) == (
        "not testable here",
        "it has 4 heads, and 4 are put off and held against others",
    )


def _saved(make, tokenizer, folder, **config):
    import torch
    from transformers import AutoConfig

    torch.manual_seed(0)
    about = {
        "vocab_size": 32, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 6, "intermediate_size": 8,
        "max_position_embeddings": 40, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "initializer_range": 0.5,
    }  # fmt: skip
    make.from_config(AutoConfig.for_model(config.pop("family"), **about | config)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _text_job(spec, n_pairs=30, **changed):
    from pipeline.corpus.pairs import SentencePair

    rng = np.random.default_rng(0)
    pairs, links = [], {}
    for pair_id in range(n_pairs):
        src, tgt = (tuple(rng.choice(list(LETTERS), size=rng.integers(4, 8)).tolist()) for _ in range(2))
        pairs.append(SentencePair(pair_id, " ".join(src), " ".join(tgt), src, tgt))
        links[pair_id] = np.array([[0, 1], [2, 0]])
    return _job(spec=spec, pairs=pairs, links=links, **changed)


@pytest.mark.parametrize("reads", ["joint", "prompt"])
def test_a_saved_model_is_read_scored_and_written(reads, tokenizer, tmp_path):
    import pandas as pd
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    from pipeline.columns import INTERVENTION
    from pipeline.intervention.measure import intervene
    from pipeline.params import Translator

    make, family = {"joint": (AutoModelForMaskedLM, "bert"), "prompt": (AutoModelForCausalLM, "llama")}[reads]
    folder = _saved(make, tokenizer, tmp_path / "model", family=family)
    more = {"template": "a b {src} c {tgt} d"} if reads == "prompt" else {"positions": "restart"}
    job = _text_job(Translator(model=folder, reads=reads, **more))
    summary = intervene(job, work=tmp_path / "work", target=tmp_path / "out")
    assert (summary["status"], summary["schema"], summary["n_pairs"]["skipped"]) == ("tested", 2, 0)
    assert summary["n_pairs"]["half_a"] + summary["n_pairs"]["half_b"] == 30
    assert not list((tmp_path / "work").iterdir())
    for name, columns in INTERVENTION.items():
        assert tuple(pd.read_csv(tmp_path / "out" / f"{name}.csv").columns) == columns
    rows, settled = use_claims(tmp_path / "out", "small")
    assert len(rows) > 20 and not settled


@pytest.mark.parametrize(
    ("pairs", "status", "why"),
    [(30, "not testable here", "no head .* another question"), (0, "untested", "intervene.pairs is 0")],
)
def test_an_encoder_without_a_head_is_another_question(pairs, status, why, tokenizer, tmp_path):
    from transformers import AutoModel

    from pipeline.intervention.measure import intervene
    from pipeline.params import Intervene, Translator

    folder = _saved(AutoModel, tokenizer, tmp_path / "model", family="bert")
    job = _text_job(Translator(model=folder, reads="joint"), settings=Intervene(pairs=pairs))
    summary = intervene(job, work=tmp_path / "work", target=tmp_path / "out")
    assert summary["status"] == status
    rows, settled = use_claims(tmp_path / "out", "small")
    assert not rows and {claim.verdict for claim in settled} == {status}
    assert re.search(why, settled[0].why)
