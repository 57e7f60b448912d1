"""Losses against the library's, changes against weights changed by hand, partial passes against whole ones."""

import numpy as np
import pytest
import torch

from tests.pipeline import intervention_factory as factory

LENGTHS = [(6, 6), (5, 9), (9, 4), (7, 7)]
NORMALISED = ["balanced", "tempered", "tempered_by_row"]
REPLACED = ["uniform", "position", "mispaired", "links", "permuted", *NORMALISED]
KINDS = ["off", "zero", *REPLACED]
READS = {
    "cross": (factory.marian, factory.random_items),
    "joint": (factory.bert, factory.masked_items),
    "prompt": (factory.llama, factory.prompted_items),
}


def _bench(model, items, reads, tokens_per_batch=4096):
    from pipeline.intervention.rank import rank_heads
    from pipeline.intervention.run import Bench
    from pipeline.intervention.scorer import Scorer

    scorer = Scorer(factory.translator(model, reads))
    ranking = rank_heads(scorer, items, tokens_per_batch)
    return scorer, Bench(scorer, items, ranking, tokens_per_batch=tokens_per_batch, seed=1)


@pytest.fixture(scope="module")
def benches():
    made = {}
    for reads, (make, draw) in READS.items():
        model, items = make(), draw(LENGTHS)
        made[reads] = (model, items, *_bench(model, items, reads))
    return made


def _change(kind, heads):
    from pipeline.intervention.observers import Intervention

    return Intervention(kind, heads, 3 if kind in NORMALISED else 0)


def _library(model, item, **arguments):
    """Return the library's own loss of one pair, in nats, summed over its tokens."""
    names = {"src": "input_ids", "tgt": "decoder_input_ids", "ids": "input_ids", "types": "token_type_ids"}
    rows = item.example.rows
    inputs = {names.get(name, "position_ids"): torch.tensor([ids]) for name, ids in rows.items()}
    labels = torch.tensor([item.labels])
    if "decoder_input_ids" not in inputs and "token_type_ids" not in inputs:
        # A language model moves the labels itself.
        labels = torch.nn.functional.pad(labels, (1, 0), value=-100)[:, :-1]
    with torch.no_grad():
        return float(model(**inputs, labels=labels, **arguments).loss) * int((labels >= 0).sum())


@pytest.mark.parametrize("reads", READS)
def test_nothing_changed_is_the_library_s_loss(reads, benches):
    model, items, scorer, bench = benches[reads]
    model.set_attn_implementation("eager")
    try:
        expected = [_library(model, item) for item in items]
    finally:
        model.set_attn_implementation("observed")
    np.testing.assert_allclose(bench.base, expected, rtol=1e-9 if reads != "prompt" else 1e-6)
    assert list(scorer.layers.values()) == [1, 2] and scorer.n_heads == 6


def test_a_head_at_zero_is_a_head_without_its_columns_in_the_output_projection(benches):
    model, items, _, bench = benches["cross"]
    found = bench.losses(_change("zero", ((1, 2), (2, 5))))
    width = model.config.d_model // 6
    kept = [layer.encoder_attn.out_proj.weight.detach().clone() for layer in model.model.decoder.layers]
    with torch.no_grad():
        for layer, head in ((0, 2), (1, 5)):
            model.model.decoder.layers[layer].encoder_attn.out_proj.weight[:, head * width : (head + 1) * width] = 0
        expected = [_library(model, item) for item in items]
        for layer, weight in zip(model.model.decoder.layers, kept, strict=True):
            layer.encoder_attn.out_proj.weight.copy_(weight)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.abs(found - bench.base).max() > 1e-3


def test_off_gives_out_the_mean_that_half_a_saw(benches):
    from pipeline.intervention.rank import rank_heads

    model, items, scorer, _ = benches["cross"]
    outputs = []
    attention = model.model.decoder.layers[1].encoder_attn.out_proj
    hook = attention.register_forward_pre_hook(lambda module, args: outputs.append(args[0]))
    for item in items:
        _library(model, item)
    hook.remove()
    means = rank_heads(scorer, items, 40).means
    by_hand = torch.cat([output[0] for output in outputs]).mean(0)
    np.testing.assert_allclose(means[2].flatten(), by_hand, atol=1e-9)


@pytest.mark.parametrize("reads", ["joint", "prompt"])
def test_a_cut_is_a_mask_between_target_and_source(reads, benches):
    """All heads cut is the library's own model with a mask that hides the source from the target."""
    model, items, _, bench = benches[reads]
    found = bench.losses(_change("off", tuple((layer, head) for layer in (1, 2) for head in range(6))))
    model.set_attn_implementation("eager")
    expected = []
    for item in items:
        size = len(item.labels)
        seen = torch.ones(size, size) if reads == "joint" else torch.ones(size, size).tril()
        for row in item.rows:
            seen[row, item.columns] = 0
        mask = torch.zeros(1, 1, size, size).double().masked_fill(seen == 0, -1e30)
        expected.append(_library(model, item, attention_mask=mask))
    model.set_attn_implementation("observed")
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reads", READS)
def test_layers_from_memory_change_nothing(reads, kind, benches, monkeypatch):
    from pipeline.intervention.scorer import Scorer

    _, _, _, bench = benches[reads]
    change = _change(kind, ((2, 0), (2, 3)))
    partial = bench.losses(change)
    run = Scorer.run
    monkeypatch.setattr(Scorer, "run", lambda self, batch, observer, *, first: run(self, batch, observer, first=1))
    np.testing.assert_allclose(partial, bench.losses(change), rtol=1e-6)
    assert np.abs(partial - bench.base).max() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reads", READS)
def test_padding_and_order_of_the_pairs_change_nothing(reads, kind, benches):
    model, items, _, bench = benches[reads]
    _, alone = _bench(model, items[::-1], reads, tokens_per_batch=1)
    change = _change(kind, ((1, 1), (2, 0), (2, 3)))
    np.testing.assert_allclose(bench.losses(change), alone.losses(change)[::-1], rtol=1e-5)


@pytest.mark.parametrize("kind", REPLACED)
@pytest.mark.parametrize("reads", READS)
def test_a_replacement_moves_mass_among_source_words_only(reads, kind, benches):
    """Seen in the attention itself: row sums, everything off the source, and other heads are as they were."""
    from pipeline.intervention.observers import Edit

    _, _, scorer, bench = benches[reads]
    (batch, shares), *_ = bench._batches
    n_queries = batch.labels.shape[1]
    generator = torch.Generator().manual_seed(0)
    n_keys = max(item.keys.shape[1] for item in batch.items)
    weights = torch.rand(len(batch.items), 6, n_queries, n_keys, generator=generator).softmax(-1)
    edit = Edit(
        scorer.layers, _change(kind, ((1, 1),)), batch.place, shares,
        means={1: torch.zeros(6, 4)}, cuts=scorer.cuts, causal=scorer.causal,
    )  # fmt: skip
    changed = weights.clone()
    edit.attend(1, changed, torch.zeros(len(batch.items), 6, n_keys, 4))
    torch.testing.assert_close(changed.sum(-1), weights.sum(-1))
    for row, item in enumerate(batch.items):
        same = torch.ones(n_queries, n_keys, dtype=torch.bool)
        same[item.rows[:, None], item.columns] = False
        torch.testing.assert_close(changed[row, 1][same], weights[row, 1][same], rtol=0, atol=0)
    torch.testing.assert_close(changed[:, [0, 2, 3, 4, 5]], weights[:, [0, 2, 3, 4, 5]], rtol=0, atol=0)
    assert (changed[:, 1] - weights[:, 1]).abs().max() > 1e-3
