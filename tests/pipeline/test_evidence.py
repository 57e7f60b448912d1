"""The tests decided in advance, from blocks to verdicts: planted attention gets the verdict that it must and no other."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline._output import SCHEMA
from pipeline.alignment.bootstrap import IntervalRule
from pipeline.alignment.chunks import chunks
from pipeline.alignment.finding import SCORES, Content, find, fitted_width, has_content, width_mass
from pipeline.alignment.gold import score_counts
from pipeline.alignment.halves import HashedResampler, split_in_halves
from pipeline.alignment.head_tests import chosen_heads, head_plans, head_table, judged_views, read_heads
from pipeline.alignment.heads import mutual_argmax
from pipeline.alignment.inputs import GoldSet, Inputs, Split
from pipeline.alignment.measure import measure
from pipeline.alignment.plan_tests import PlanSample, plan_rows
from pipeline.alignment.planlike import PLAN, SIMILARITY, Layer, Parameters, model_rows
from pipeline.alignment.position import Geometry
from pipeline.alignment.results import write_metrics
from pipeline.attention.store import PairBlocks
from pipeline.claims import decide
from pipeline.conventions import CORRECTED, VIEWS, names
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import GoldLinks
from pipeline.params import Align
from pipeline.verdicts.evidence import PLAN as PLAN_CLAIM
from pipeline.verdicts.evidence import POINTS, RULES
from pipeline.verdicts.reading import read_translator
from pipeline.verdicts.translators import translator_estimates

N_LAYERS = 3
VIEW = VIEWS["joint"][0]
RULE = IntervalRule("percentile", 0.95)
SETTINGS = Align(transport_pairs=10, plan_pairs=70, resamples=300, methods=("argmax_tgt",))
NO_LINKS = np.empty((0, 2), dtype=np.int64)


def words_of(pair_id, side, n):
    return tuple(f"{side}{pair_id}w{i}" for i in range(n))


def text(n_pairs, seed=0):
    """Return sentence pairs and their links: all but one word of the shorter side, in shuffled order."""
    rng = np.random.default_rng(seed)
    pairs, links = [], {}
    for pair_id in range(n_pairs):
        n_src, n_tgt = rng.integers(6, 11, 2)
        src, tgt = words_of(pair_id, "s", n_src), words_of(pair_id, "t", n_tgt)
        pairs.append(SentencePair(pair_id, " ".join(src), " ".join(tgt), src, tgt))
        n_links = min(n_src, n_tgt) - 1
        links[pair_id] = np.stack([rng.permutation(n_src)[:n_links], rng.permutation(n_tgt)[:n_links]], axis=1)
    return pairs, links


def costs_of(pair, links, rng):
    """Return squared distances of word vectors, level by level: linked words are near, and some words near to all."""
    n_src, n_tgt = len(pair.src_words), len(pair.tgt_words)
    src, tgt = rng.normal(size=(N_LAYERS + 1, n_src, 6)), rng.normal(size=(N_LAYERS + 1, n_tgt, 6))
    tgt[:, links[:, 1]] = src[:, links[:, 0]] + 0.4 * rng.normal(size=(N_LAYERS + 1, len(links), 6))
    src *= rng.uniform(0.4, 1.3, (n_src, 1))
    return np.square(src[:, :, None] - tgt[:, None]).sum(-1).astype(np.float32)


def planted(kind, pairs, links, seed=1):
    """Return one block a pair whose attention is of a kind, target words looking at source words."""
    rng = np.random.default_rng(seed)
    costs = [costs_of(pair, links[pair.pair_id], rng) for pair in pairs]
    sizes = [np.array([len(getattr(pair, side)) for pair in pairs]) for side in ("src_words", "tgt_words")]
    shape = len(pairs), int(sizes[1].max()), int(sizes[0].max())
    rows = np.stack([_rows(kind, layer, costs, links, sizes, rng, shape) for layer in range(N_LAYERS)], axis=1)
    blocks = []
    for at, pair in enumerate(pairs):
        n_tgt, n_src = len(pair.tgt_words), len(pair.src_words)
        attention = rows[at, None, :, :n_tgt, :n_src].astype(np.float32)
        blocks.append(
            PairBlocks(
                pair_id=pair.pair_id,
                attention=np.concatenate([attention, attention]),
                special=np.zeros((2, N_LAYERS), dtype=np.float32),
                src_pieces=np.ones(n_src, dtype=np.float32),
                tgt_pieces=np.ones(n_tgt, dtype=np.float32),
                cost={"together": costs[at]},
                cosine={"together": 1 - costs[at] / costs[at].max()},
                cosine_raw={"together": 1 - costs[at] / costs[at].max()},
            )
        )
    return blocks


def _rows(kind, layer, costs, links, sizes, rng, shape):
    n_src, n_tgt = sizes
    geometry = Geometry(n_src, n_tgt, "tgt")
    words = geometry.words(shape[1:])
    cost = np.zeros(shape)
    linked = np.zeros(shape, dtype=bool)
    for at, own in enumerate(costs):
        cost[at, : n_tgt[at], : n_src[at]] = own[layer].T
        linked[at, links[at][:, 1], links[at][:, 0]] = True
    read = Layer.of(words.astype(float), cost, geometry, words.any(1).astype(float))
    noise = 0.2 * rng.normal(size=shape)
    if kind in ("plan", "similarity"):
        model = PLAN if kind == "plan" else SIMILARITY
        with np.errstate(divide="ignore"):
            scores = np.where(words, model_rows(model, read, Parameters(0.6)).log_rows, -np.inf)
    else:
        scores = {
            "aligning": 0.2 * (layer + 1) * linked,
            "forgetting": 0.2 * (N_LAYERS - layer) * linked,
            "position": -8.0 * np.square(geometry.distance(shape[1:]) * geometry.n_key[:, None, None] / 3),
            "uniform": np.zeros(shape),
            "fresh": 0.3 * rng.normal(size=(shape[0], 1, shape[2])) + noise,
        }[kind]
        noise = noise if kind != "uniform" else np.zeros(shape)
    weights = np.exp(np.where(words, scores + noise, -np.inf))
    total = weights.sum(-1, keepdims=True)
    return np.divide(weights, total, out=np.zeros(shape), where=total > 0)


def manifest(n_pairs, split="trained"):
    return {
        "schema": SCHEMA, "translator": "planted", "split": split, "model": "none", "revision": None, "reads": "joint",
        "views": names(VIEWS["joint"]), "n_layers": N_LAYERS, "levels": {"together": N_LAYERS + 1}, "n_pairs": n_pairs,
        "conventions": {}, "skipped": {},
    }  # fmt: skip


def inputs_of(kind, *, gold=True, n_pairs=80):
    pairs, links = text(n_pairs)
    split = Split(manifest(n_pairs), planted(kind, pairs, links))
    by_hand = {pair_id: GoldLinks(own, NO_LINKS) for pair_id, own in links.items()}
    sets = [GoldSet("own", "en-fr", by_hand, split, pairs)] if gold else []
    return Inputs(pairs=pairs, links=links, trained=split, gold_sets=sets)


def verdicts(kind, tmp_path, *, gold=True):
    """Return the verdicts of the view in which the target looks, by claim, and why."""
    write_metrics(measure(inputs_of(kind, gold=gold), SETTINGS, convention=CORRECTED), tmp_path / "planted")
    estimates = translator_estimates([read_translator(tmp_path / "planted", "planted")])
    found = [c for c in decide(estimates, level=0.95, rules=RULES) if c.role == "decides" and c.view == VIEW.name]
    return {claim.claim: (claim.verdict, claim.why) for claim in found}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "points", "rises", "plan"),
    [
        ("aligning", {"supported"}, {"supported"}, {"not supported", "untested"}),
        ("forgetting", {"supported"}, {"not supported"}, {"not supported", "untested"}),
        ("position", {"undecided", "not supported"}, {"undecided"}, {"not supported", "untested"}),
        ("plan", {"supported"}, {"supported", "undecided", "partly", "not supported"}, {"supported"}),
        ("similarity", {"supported"}, {"supported", "undecided", "partly", "not supported"}, {"not supported"}),
        ("uniform", {"undecided", "not supported"}, {"undecided"}, {"untested"}),
        ("fresh", {"undecided", "not supported"}, {"undecided"}, {"not supported", "untested"}),
    ],
)
def test_planted_attention_gets_its_verdict_and_no_other(kind, points, rises, plan, tmp_path):
    found = verdicts(kind, tmp_path)
    assert found[POINTS][0] in points
    assert found["rises"][0] in rises
    assert found[PLAN_CLAIM][0] in plan, found[PLAN_CLAIM][1]


@pytest.mark.slow
def test_a_dictionary_alone_supports_partly_at_most(tmp_path):
    verdict, why = verdicts("aligning", tmp_path, gold=False)[POINTS]
    assert (verdict, why) == ("partly", "there are no hand-made links: a dictionary alone supports it partly at most")


@pytest.fixture(scope="module")
def made():
    pairs, links = text(30)
    blocks = planted("aligning", pairs, links)
    return pairs, links, blocks


def found_in(blocks, pairs, links, **more):
    place = {pair.pair_id: row for row, pair in enumerate(pairs)}
    content = Content(
        *(
            {place[pair.pair_id]: has_content(getattr(pair, side)) for pair in pairs}
            for side in ("src_words", "tgt_words")
        )
    )
    return find(
        blocks, {"dictionary": {place[i]: own for i, own in links.items()}}, content, place,
        views=VIEWS["joint"], n_layers=N_LAYERS, **more,
    )  # fmt: skip


def test_order_and_company_of_pairs_change_nothing(made):
    pairs, links, blocks = made
    whole, backwards = found_in(blocks, pairs, links), found_in(blocks[::-1], pairs, links)
    alone = [found_in([block], pairs, links) for block in blocks]
    for name in (*SCORES.values(), "position", "uniform"):
        own = getattr(whole, name)
        np.testing.assert_allclose(getattr(backwards, name), own, rtol=0, atol=1e-9)
        np.testing.assert_allclose(np.nansum([getattr(one, name) for one in alone], axis=0), own, rtol=0, atol=1e-6)


def test_scores_of_a_pair_by_hand(made):
    pairs, links, blocks = made
    found = found_in(blocks, pairs, links)
    block, own = blocks[4], links[4]
    rows = block.attention[0, 1].astype(float)  # rows of the first view sum to 1
    assert found.mass[0, 4, 0, 1] == pytest.approx(rows[own[:, 1], own[:, 0]].mean())
    assert found.pointing[0, 4, 0, 1] == pytest.approx((rows[own[:, 1]].argmax(1) == own[:, 0]).mean())
    assert found.uniform[0, 4, 0] == pytest.approx(1 / rows.shape[1])
    columns = rows / rows.sum(0)
    assert found.mass[0, 4, 1, 1] == pytest.approx(columns[own[:, 1], own[:, 0]].mean())
    assert found.gap[4, 0, 1] == pytest.approx(0.5 * np.abs(rows.mean(0) - 1 / rows.shape[1]).sum(), abs=1e-6)


def test_a_layer_that_is_hidden_from_a_pair_is_unknown_there(made):
    pairs, links, blocks = made
    hidden = blocks[3].attention.copy()
    hidden[0, 2] = np.nan
    found = found_in([*blocks[:3], replace(blocks[3], attention=hidden), *blocks[4:]], pairs, links)
    for name in SCORES.values():
        unknown = np.isnan(getattr(found, name)[0])
        assert np.argwhere(unknown).tolist() == [[3, 0, 2]], name


def test_the_best_width_is_fitted_on_half_a_only():
    sizes = np.full(30, 8), np.full(30, 8)
    first = split_in_halves(range(30), 1)[0]
    diagonal, apart = (np.stack([np.arange(5), np.arange(5) + shift], axis=1) for shift in (0, 3))
    # Links of half A lie on the diagonal, so the narrowest Gaussian is the best, whatever the others are.
    links = {row: diagonal if row in first else apart for row in range(30)}
    sd = fitted_width(links, sizes, first, VIEW)
    mass = width_mass(links, sizes, VIEW, sd)
    assert sd < 0.2
    assert mass[first] == pytest.approx(1) and np.delete(mass, first) == pytest.approx(0)


def sample_of(blocks, links, seed=1):
    ids = [block.pair_id for block in blocks]
    first = np.isin(np.arange(len(ids)), split_in_halves(ids, seed)[0])
    return PlanSample(
        tuple(blocks), tuple(links[i] for i in ids), first, HashedResampler(ids, resamples=100, seed=seed), seed
    )


def test_a_layer_with_too_few_whole_pairs_has_no_rows(made):
    _, links, blocks = made
    hidden = [replace(block, attention=np.full_like(block.attention, np.nan)) for block in blocks[5:]]
    assert plan_rows(sample_of([*blocks[:5], *hidden], links), VIEW, 0, 1, split="trained", rule=RULE) == ([], [])


def test_every_comparison_of_a_layer_has_its_row(made):
    _, links, blocks = made
    rows, gaps = plan_rows(sample_of(blocks, links), VIEW, 0, 2, split="trained", rule=RULE)
    keys = [(row["tokens"], row["base"], row["position"], row["quantity"]) for row in rows]
    assert len(keys) == len(set(keys)) == 2 * (2 + 7 + 4) + 7
    by_key = dict(zip(keys, rows, strict=True))
    plain = {
        name: by_key["sum", "words", False, name]["value"] for name in ("plan", "similarity", "plan_minus_similarity")
    }
    assert plain["plan"] - plain["similarity"] == pytest.approx(plain["plan_minus_similarity"])
    # One token a word: both conventions, and both base measures, are the same.
    for name in ("similarity", "plan", "power"):
        for other in (("mean", "words", False, name), ("sum", "tokens", False, name)):
            assert by_key[other]["value"] == pytest.approx(by_key["sum", "words", False, name]["value"], abs=1e-6)
    names_ = {row["quantity"] for row in gaps}
    assert {"gap_attention", "gap_links", "gap_permuted", "gap_similarity", "partial_cost"} <= names_
    assert all(np.isfinite(row["value"]) for row in gaps)


def with_heads(blocks, links):
    """Return the blocks with three heads, of which the second of layer 2 goes to the links."""
    rng = np.random.default_rng(5)
    out = []
    for block in blocks:
        heads = rng.random((2, N_LAYERS, 3, *block.attention.shape[2:]))
        own = links[block.pair_id]
        heads[:, 1, 1, own[:, 1], own[:, 0]] += 3
        out.append(replace(block, heads=(heads / heads.sum(-1, keepdims=True)).astype(np.float32)))
    return out


def test_the_head_that_aligns_is_found_and_judged_where_it_was_not_chosen(made):
    pairs, links, blocks = made
    place = {pair.pair_id: row for row, pair in enumerate(pairs)}
    gold = {place[i]: GoldLinks(own, NO_LINKS) for i, own in links.items()}
    on = {place[i]: own for i, own in links.items()}
    rows, scores = read_heads(with_heads(blocks, links), on, place, VIEWS["joint"], gold=gold)
    assert rows.tolist() == list(range(30)) and judged_views(VIEWS["joint"]) == [*names(VIEWS["joint"]), "both"]
    ids = [pair.pair_id for pair in pairs]
    halves, draws = split_in_halves(ids, 1), HashedResampler(ids, resamples=200, seed=1)
    chosen = chosen_heads(scores, "gold_sure", VIEWS["joint"], halves, draws.take(halves[1]), rule=RULE)
    best = chosen.query("rank == 1")
    assert len(best) == 2 + 2 * 3 and set(zip(best["layer"], best["head"], strict=True)) == {(2, 1)}
    judged = best.query("by == 'pointing' and view == @VIEW.name").iloc[0]
    assert judged["value"] == pytest.approx(scores.pointing[halves[1], 0, 1, 1].mean())
    assert judged["n_pairs"] == len(halves[1])
    table = head_table(scores, "gold_sure", VIEWS["joint"], draws, RULE)
    error = table.query("view == @VIEW.name and layer == 2 and head == 1 and quantity == 'aer_mutual'").iloc[0]
    counts = np.zeros(5)
    for block, own in zip(with_heads(blocks, links), links.values(), strict=True):
        mask = mutual_argmax(block.heads[0, 1, 1])
        hits = mask[own[:, 1], own[:, 0]].sum()
        counts += [len(own), 0, mask.sum(), hits, hits]
    assert error["value"] == pytest.approx(float(score_counts(counts).aer))


def test_pairs_without_heads_are_passed_over(made):
    pairs, links, blocks = made
    place = {pair.pair_id: row for row, pair in enumerate(pairs)}
    on = {place[i]: own for i, own in links.items()}
    assert read_heads(blocks, on, place, VIEWS["joint"]) is None
    some = [*with_heads(blocks[:4], links), *blocks[4:]]
    assert read_heads(some, on, place, VIEWS["joint"])[0].tolist() == [0, 1, 2, 3]


def test_heads_are_fitted_where_asked_and_only_there(made):
    _, links, blocks = made
    table = head_plans(sample_of(with_heads(blocks, links), links), {VIEW.name: [(2, 1)]}, VIEWS["joint"], RULE)
    assert set(zip(table["view"], table["layer"], table["head"], strict=True)) == {(VIEW.name, 2, 1)}
    assert table["tokens"].tolist() == ["sum", "sum", "mean", "mean"]
    assert (table.query("quantity == 'power'")["value"] >= 0).all()


def test_chunks_hold_every_pair_once_in_their_order(made):
    pairs, _, blocks = made
    place = {pair.pair_id: row for row, pair in enumerate(pairs)}
    parts = list(chunks(blocks, place, "test", size=7))
    assert [len(part.rows) for part in parts] == [7, 7, 7, 7, 2]
    assert np.concatenate([part.rows for part in parts]).tolist() == list(range(30))
    assert list(chunks(blocks, {}, "test")) == []
