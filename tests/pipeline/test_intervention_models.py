"""Losses against the library's, changes against weights changed by hand, partial passes against whole ones."""

import numpy as np
import pytest
import torch

from tests.pipeline import intervention_factory as factory

LENGTHS = [(6, 6), (5, 9), (9, 4), (7, 7)]
KINDS = ["off", "zero", "uniform", "position", "mispaired", "links", "permuted", "balanced", "tempered"]


def _bench(model, items, tokens_per_batch=4096):
    from pipeline.intervention.rank import rank_heads
    from pipeline.intervention.run import Bench
    from pipeline.intervention.scorer import Scorer

    scorer = Scorer(model, items[0])
    ranking = rank_heads(scorer, items, tokens_per_batch)
    return scorer, Bench(scorer, items, ranking, tokens_per_batch=tokens_per_batch, seed=1)


def _library(model, item, **arguments):
    inputs = {name: torch.tensor([ids]) for name, ids in item.rows.items()}
    labels = torch.tensor([item.labels])
    with torch.no_grad():
        return float(model(**inputs, labels=labels, **arguments).loss) * int((labels >= 0).sum())


@pytest.fixture(scope="module")
def cross():
    model, items = factory.marian(), factory.random_items(LENGTHS)
    return model, items, *_bench(model, items)


@pytest.fixture(scope="module")
def joint():
    model, items = factory.bert(), factory.masked_items(LENGTHS)
    return model, items, *_bench(model, items)


@pytest.mark.parametrize("kind", ["cross", "joint"])
def test_nothing_changed_is_the_library_s_loss(kind, request):
    model, items, scorer, bench = request.getfixturevalue(kind)
    model.set_attn_implementation("eager")
    try:
        expected = [_library(model, item) for item in items]
    finally:
        model.set_attn_implementation("observed")
    np.testing.assert_allclose(bench.base, expected, rtol=1e-6)
    assert len(scorer.layers) == 2 and scorer.n_heads == 6


def test_a_head_at_zero_is_a_head_without_its_columns_in_the_output_projection(cross):
    from pipeline.intervention.observers import Intervention

    model, items, _, bench = cross
    found = bench.losses(Intervention("zero", ((1, 2), (2, 5))))
    width = model.config.d_model // 6
    kept = [layer.encoder_attn.out_proj.weight.detach().clone() for layer in model.model.decoder.layers]
    with torch.no_grad():
        for layer, head in ((0, 2), (1, 5)):
            model.model.decoder.layers[layer].encoder_attn.out_proj.weight[:, head * width : (head + 1) * width] = 0
        expected = [_library(model, item) for item in items]
        for layer, weight in zip(model.model.decoder.layers, kept, strict=True):
            layer.encoder_attn.out_proj.weight.copy_(weight)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.abs(found - bench.base).max() > 1e-3


def test_off_gives_out_the_mean_that_half_a_saw(cross):
    from pipeline.intervention.observers import Record
    from pipeline.intervention.rank import rank_heads

    _, items, scorer, _ = cross
    outputs = []
    for item in items:
        record = Record(scorer.layers)
        scorer.prepare([item], record)
        outputs.append(record.outputs[2][0, 4])
    means = rank_heads(scorer, items, 40).means
    np.testing.assert_allclose(means[1, 4], torch.cat(outputs).mean(0), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reads", ["cross", "joint"])
def test_layers_from_memory_change_nothing(reads, kind, request, monkeypatch):
    from pipeline.intervention.observers import Intervention
    from pipeline.intervention.scorer import Scorer

    _, _, _, bench = request.getfixturevalue(reads)
    change = Intervention(kind, ((2, 0), (2, 3)), 3 if kind in ("balanced", "tempered") else 0)
    partial = bench.losses(change)
    run = Scorer.run
    monkeypatch.setattr(Scorer, "run", lambda self, batch, observer, *, first: run(self, batch, observer, first=1))
    np.testing.assert_allclose(partial, bench.losses(change), rtol=1e-7)
    assert np.abs(partial - bench.base).max() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reads", ["cross", "joint"])
def test_padding_changes_nothing(reads, kind, request):
    from pipeline.intervention.observers import Intervention

    model, items, _, bench = request.getfixturevalue(reads)
    _, alone = _bench(model, items, tokens_per_batch=1)
    change = Intervention(kind, ((1, 1), (2, 0), (2, 3)), 3 if kind in ("balanced", "tempered") else 0)
    np.testing.assert_allclose(bench.losses(change), alone.losses(change), rtol=1e-5)


def test_a_model_without_the_attention_interface_is_refused():
    from pipeline.errors import PipelineError
    from pipeline.intervention.scorer import Scorer

    model = factory.bert()
    model.set_attn_implementation("eager")
    with pytest.raises(PipelineError, match=r"must go through the transformers attention interface.*BertForMaskedLM"):
        Scorer(model, factory.masked_items([(3, 3)])[0])
