"""All metrics of one translator, from made-up blocks with a known answer."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline._output import SCHEMA
from pipeline.alignment.collect import choose_sample
from pipeline.alignment.controls import position_block
from pipeline.alignment.halves import split_in_halves
from pipeline.alignment.inputs import GoldSet, Inputs, Split
from pipeline.alignment.measure import measure
from pipeline.alignment.results import write_metrics
from pipeline.alignment.scores import SCORES, score_links
from pipeline.alignment.transport import word_plan
from pipeline.attention.store import PairBlocks, sha256, write_shard
from pipeline.columns import TRANSLATOR
from pipeline.conventions import CORRECTED, OUTPUT_STEP, VIEWS, convention_of, names
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import GoldLinks
from pipeline.errors import PipelineError
from pipeline.methods import MatchSettings
from pipeline.params import Align

N_LAYERS = 3
LEVELS = {"input_step": N_LAYERS + 1, "output_step": N_LAYERS + 1}
SETTINGS = Align(transport_pairs=20, plan_pairs=0, resamples=200, level=0.9)


def sentence(pair_id, n_src, n_tgt):
    src, tgt = (tuple(f"{side}{i}" for i in range(n)) for side, n in (("s", n_src), ("t", n_tgt)))
    return SentencePair(pair_id, " ".join(src), " ".join(tgt), src, tgt)


def make_blocks(pair, links, strength, rng, views=2):
    """Return blocks whose attention goes to the links as the layer rises, and costs that find them."""
    n_src, n_tgt = len(pair.src_words), len(pair.tgt_words)
    peak = np.zeros((n_tgt, n_src))
    peak[links[:, 1], links[:, 0]] = 1
    rise = strength * np.arange(1, N_LAYERS + 1)[:, None, None]
    weight = rng.random((views, N_LAYERS, n_tgt, n_src)) + rise * peak
    cosine = 0.3 * rng.normal(size=(N_LAYERS + 1, n_src, n_tgt)) + 0.9 * strength * peak.T
    cosine = np.clip(cosine, -1, 1).astype(np.float32)
    # Of two heads the first goes to the links, and the second somewhere.
    heads = rng.random((views, N_LAYERS, 2, n_tgt, n_src)) + 2 * rise[:, None] * peak * [[[1]], [[0]]]
    return PairBlocks(
        pair_id=pair.pair_id,
        heads=(heads / heads.sum(-1, keepdims=True)).astype(np.float32),
        attention=(0.9 * weight / weight.sum(-1, keepdims=True)).astype(np.float32),
        # Levels in reverse: the two kinds of states must not be mistaken for each other.
        cost={"output_step": 2 - 2 * cosine, "input_step": 2 - 2 * cosine[::-1]},
        cosine=dict.fromkeys(LEVELS, cosine),
        cosine_raw=dict.fromkeys(LEVELS, cosine),
        special=np.full((views, N_LAYERS), 0.1, dtype=np.float32),
        src_pieces=np.full(n_src, 2, dtype=np.float32),
        tgt_pieces=np.ones(n_tgt, dtype=np.float32),
    )


def manifest(split="trained", **more):
    return {
        "schema": SCHEMA, "levels": LEVELS, "translator": "tiny", "split": split, "model": "data/demo/tiny", "revision": None, "reads": "cross",
        "views": names(VIEWS["cross"]), "n_layers": N_LAYERS, "conventions": {"heads": "mean"},
        "skipped": {"too_long": 2}, **more,
    }  # fmt: skip


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(4)
    pairs = [sentence(10 + 3 * i, *rng.integers(5, 9, 2)) for i in range(40)]
    links = {}
    for pair in pairs:
        n_src, n_tgt = len(pair.src_words), len(pair.tgt_words)
        links[pair.pair_id] = np.stack([rng.permutation(n_src)[:4], rng.permutation(n_tgt)[:4]], axis=1)
    trained = [make_blocks(pair, links[pair.pair_id], 1.0, rng) for pair in pairs]
    fresh = [make_blocks(pair, links[pair.pair_id], 0.0, rng) for pair in pairs]
    gold = {pair.pair_id: GoldLinks(links[pair.pair_id], links[pair.pair_id][:0]) for pair in pairs[::4]}
    return Inputs(
        pairs=pairs,
        links=links,
        trained=Split(manifest(n_pairs=40), trained),
        controls={"random_init": Split(manifest("random_init", n_pairs=40), fresh)},
        gold_sets=[GoldSet("own", "en-fr", gold, Split(manifest("gold-own", n_pairs=10), trained[::4]), pairs[::4])],
        link_policy="one_to_one",
    )


@pytest.fixture(scope="module")
def metrics(inputs):
    return measure(inputs, SETTINGS)


@pytest.fixture(scope="module")
def unaligned(inputs):
    """The same without hand-made links, which take most of the time."""
    return replace(inputs, gold_sets=[])


def whole(metrics):
    """Return the paired differences over all pairs."""
    return metrics.tables["paired"].query("half == 'all'")


def test_tables_hold_every_combination_once(metrics):
    assert set(metrics.tables) == set(TRANSLATOR)
    keys = {
        "curves": ["control", "view", "layer", "score"], "matches": ["control", "states", "layer"],
        "plan_correlation": ["control", "view", "layer"], "paired": ["half", "view", "layer", "score", "against"],
        "aer": ["set", "source", "view", "layer", "method"],
        "pointing": ["links", "score", "view", "layer", "control"],
        "above": ["half", "links", "score", "view", "layer", "against"],
        "trend": ["links", "view", "range", "quantity", "layer"],
        "plan_test": ["split", "view", "layer", "tokens", "base", "position", "quantity"],
        "gap": ["split", "view", "layer", "quantity"], "heads": ["links", "view", "layer", "head", "quantity"],
        "heads_chosen": ["links", "view", "by", "rank"],
        "heads_plan": ["view", "layer", "head", "tokens", "quantity"],
    }  # fmt: skip
    n_rows = {
        "curves": 5 * 2 * 3 * 4, "matches": 4 * 2 * 4, "plan_correlation": 3 * 2 * 3,
        "paired": 2 * (4 * 2 * 3 * 4 + 2 * 2 * 4 + 3 * 2 * 4 + 2 * 2 * 3), "aer": 2 * 3 * 6 + 2 * 4 * 2 * 6 + 3,
        # 6 views and layers; of the dictionary 14 values with their controls, of either kind of hand-made links 7.
        "pointing": 6 * (14 + 2 * 7), "above": 2 * 6 * (11 + 2 * 4), "trend": 2 * 2 * 3,
        "plan_test": 0, "gap": 0, "heads_plan": 0, "heads": 12 * (3 + 5), "heads_chosen": 12 * (1 + 3),
    }  # fmt: skip
    for name, table in metrics.tables.items():
        assert not table.duplicated(keys[name]).any(), name
        assert len(table) == n_rows[name], name
    assert set(metrics.tables["curves"]["control"]) == {
        "trained",
        "random_init",
        "mispaired",
        "uniform",
        "position",
    }
    assert set(metrics.tables["matches"]["control"]) == {"trained", "random_init", "position", "chance"}
    assert (metrics.tables["curves"]["layer"].min(), metrics.tables["matches"]["layer"].min()) == (1, 0)


def test_curves_are_means_over_the_blocks(inputs, metrics):
    table = metrics.tables["curves"].set_index(["control", "view", "layer", "score"])
    for control, split in (("trained", inputs.trained), ("random_init", inputs.controls["random_init"])):
        scores = np.mean([score_links(b.attention, inputs.links[b.pair_id]) for b in split.blocks], axis=0)
        for v, view in enumerate(names(VIEWS["cross"])):
            for s, score in enumerate(SCORES):
                row = table.loc[(control, view, 2, score)]
                assert row["value"] == pytest.approx(scores[v, 1, s])
                assert row["low"] <= row["value"] <= row["high"]
                assert row["n_pairs"] == 40
    # The floors have the mass that the trained attention has on the other side.
    mass = {block.pair_id: block.attention[0, 0].sum(1).mean() for block in inputs.trained.blocks}
    uniform = table.loc[("uniform", "output_step", 1, "mean_mass"), "value"]
    assert uniform == pytest.approx(np.mean([mass[p.pair_id] / len(p.src_words) for p in inputs.pairs]))
    assert table.loc[("uniform", "output_step", 1, "cosine"), "value"] == pytest.approx(0.5)
    position = [
        score_links(position_block(len(p.src_words), len(p.tgt_words), OUTPUT_STEP), inputs.links[p.pair_id])[2]
        for p in inputs.pairs
    ]
    assert table.loc[("position", "output_step", 3, "cosine"), "value"] == pytest.approx(np.mean(position))


def test_a_translator_that_aligns_beats_every_control_and_one_that_does_not_beats_none(unaligned):
    paired = whole(measure(unaligned, SETTINGS)).set_index(["score", "against", "view", "layer"])
    best = paired.loc["mean_mass"].query("layer == 3")
    assert (best["low"] > 0).all()
    assert (best["p"] < 1e-6).all()
    fresh = replace(unaligned, trained=unaligned.controls["random_init"], controls={})
    paired = whole(measure(fresh, SETTINGS)).set_index(["score", "against", "view", "layer"])
    better = paired.loc["mean_mass"].query("difference > 0 and against != 'position'")
    assert (better["p"] * len(paired.loc["mean_mass"]) > 0.01).all()


def test_paired_differences_are_those_of_the_curves(metrics):
    curves = metrics.tables["curves"].set_index(["control", "view", "layer", "score"])["value"]
    matched = metrics.tables["matches"].set_index(["control", "states", "layer"])["value"]
    plans = metrics.tables["plan_correlation"].set_index(["control", "view", "layer"])["value"]
    for row in whole(metrics).itertuples():
        if row.score == "match":
            expected = matched["trained", row.view, row.layer] - matched[row.against, row.view, row.layer]
        elif row.score == "plan_correlation":
            expected = plans["trained", row.view, row.layer] - plans[row.against, row.view, row.layer]
        elif row.against == "first_layer":
            expected = curves["trained", row.view, row.layer, row.score] - curves["trained", row.view, 1, row.score]
        else:
            of = (row.view, row.layer, row.score)
            expected = curves[("trained", *of)] - curves[(row.against, *of)]
        if row.against != "mispaired":  # those without a partner are in one of the two only
            assert row.difference == pytest.approx(expected, abs=1e-9)  # sums are of whole multiples of 2^-32
        assert row.low <= row.difference <= row.high


def test_a_chosen_layer_is_judged_on_pairs_that_did_not_choose_it(inputs, metrics):
    ids = [pair.pair_id for pair in inputs.pairs]
    second = {ids[row] for row in split_in_halves(ids, SETTINGS.seed)[1]}
    scores = [
        score_links(block.attention, inputs.links[block.pair_id])[0, :, 1]
        for block in inputs.trained.blocks
        if block.pair_id in second
    ]
    expected = np.mean(scores, axis=0)
    rows = metrics.tables["paired"].query(
        "half == 'second' and against == 'first_layer' and view == 'output_step' and score == 'mean_mass'"
    )
    assert set(rows["n_pairs"]) == {len(second)} and 10 <= len(second) <= 30
    np.testing.assert_allclose(rows["difference"], expected[1:] - expected[0], atol=1e-9)


def test_transport_is_computed_for_as_many_pairs_as_asked_and_no_more(metrics):
    assert set(metrics.tables["matches"]["n_pairs"]) == {20}
    assert set(metrics.tables["plan_correlation"]["n_pairs"]) == {20}
    assert metrics.summary["n_transport_pairs"] == 20
    trained = metrics.tables["matches"].query("control == 'trained'")
    chance = metrics.tables["matches"].query("control == 'chance'")
    assert (chance["value"] == 0.25).all()
    assert (trained["low"] > 0.5).all()


def test_plan_correlation_pools_word_pairs(unaligned):
    table = measure(unaligned, SETTINGS.model_copy(update={"transport_pairs": 99})).tables["plan_correlation"]
    attention, plan, alone = [], [], []
    for block in unaligned.trained.blocks:
        rows = word_plan(block.cost["output_step"][1]).T
        rows = rows / rows.sum(1, keepdims=True)
        attention.append(block.attention[0, 1].ravel())
        plan.append(rows.ravel())
        alone.append(np.corrcoef(attention[-1], plan[-1])[0, 1])
    row = table.query("control == 'trained' and view == 'output_step' and layer == 2").iloc[0]
    assert row["value"] == pytest.approx(np.corrcoef(np.concatenate(attention), np.concatenate(plan))[0, 1], abs=1e-6)
    assert row["sentence_mean"] == pytest.approx(np.mean(alone), abs=1e-6)
    assert (row["n_pairs"], row["n_undefined"]) == (40, 0)


def test_a_plan_is_of_the_states_of_the_views_own_step(unaligned):
    measured = measure(unaligned, SETTINGS)
    (block,) = (b for b in unaligned.trained.blocks if b.pair_id == measured.example["pair_id"])
    for view, level in (("output_step", 2), ("input_step", 1)):  # the third layer reads level 2
        plan = word_plan(block.cost["output_step"][level]).T
        np.testing.assert_allclose(measured.example["plan"][view]["3"], plan / plan.sum(1, keepdims=True), atol=1e-6)


def test_layers_that_cannot_see_a_pair_are_left_out_of_it(unaligned):
    blocks = list(unaligned.trained.blocks)
    hidden = blocks[0].attention.copy()
    hidden[:, 2] = np.nan
    first = replace(blocks[0], attention=hidden)
    gold = {blocks[0].pair_id: GoldLinks(unaligned.links[blocks[0].pair_id], np.empty((0, 2), dtype=int))}
    changed = replace(
        unaligned,
        trained=replace(unaligned.trained, blocks=[first, *blocks[1:]]),
        gold_sets=[GoldSet("own", "en-fr", gold, Split(manifest("gold-own"), [first]), unaligned.pairs)],
    )
    got = measure(changed, SETTINGS.model_copy(update={"transport_pairs": 99}))
    for table in ("curves", "plan_correlation"):
        rows = got.tables[table].query("control == 'trained'").groupby("layer")["n_pairs"].agg(["min", "max"])
        assert rows.values.tolist() == [[40, 40], [40, 40], [39, 39]]
    aer = got.tables["aer"].query("source == 'attention'").groupby("layer")["aer"].count()
    assert aer.tolist() == [12, 12, 0], "no error rate of a layer that saw nothing"


def test_a_layer_is_compared_with_the_plan_of_the_states_that_it_reads(unaligned):
    measured = measure(unaligned, SETTINGS)
    assert measured.example["cost_level"] == {"1": 0, "2": 1, "3": 2}
    assert measured.summary["signature"]["plan"].endswith("states that it reads, level l - 1")


def test_methods_and_their_options_are_chosen_and_signed(metrics, unaligned, inputs):
    assert metrics.summary["signature"]["matching"] == {
        "itermax": {"alpha": 0.9, "rounds": 2},
        "partial": {"share": 0.8, "threshold": 0.3},
    }
    own = SETTINGS.model_copy(
        update={"methods": ("sinkhorn_mutual", "partial"), "method_settings": MatchSettings(share=1.0, sweeps=5)}
    )
    measured = measure(inputs, own)
    signed = measured.summary["signature"]
    assert signed["methods"] == ["sinkhorn_mutual", "partial"]
    assert signed["matching"] == {
        "sinkhorn_mutual": {"sweeps": 5, "temperature": 1.0},
        "partial": {"share": 1.0, "threshold": 0.3},
    }
    table = measured.tables["aer"].query("source == 'attention'")
    assert table["method"].unique().tolist() == ["sinkhorn_mutual", "partial"]
    before = metrics.tables["aer"].query("source == 'attention' and method == 'partial'")["recall"].to_numpy()
    now = table.query("method == 'partial'")["recall"].to_numpy()
    assert not np.array_equal(now, before), "another share finds other links"


def test_alignment_error_of_blocks_and_baselines(metrics):
    table = metrics.tables["aer"].set_index(["source", "view", "layer", "method"])
    assert table.loc[("embedding", "input_step", 2, "transport_cosine"), "aer"] < 0.4
    assert (table["n_pairs"] == 10).all()
    assert (table["aer_low"] <= table["aer"]).all()
    assert (table["aer"] <= table["aer_high"]).all()
    best = metrics.summary["best"]["aer"]
    assert best["attention"]["aer"] < best["baseline"]["aer"]
    gain = best["attention"]["below_position"]
    assert 0 < gain["low"] <= gain["value"] <= gain["high"]
    # the best baseline is position itself, or one that beat it on the first half
    position = best["baseline"]["aer"] + best["baseline"]["below_position"]["value"]
    assert position == pytest.approx(best["attention"]["aer"] + gain["value"])


def test_best_layers_are_chosen_on_one_half_and_reported_on_the_other(inputs, metrics):
    first, second = split_in_halves([pair.pair_id for pair in inputs.pairs], SETTINGS.seed)
    assert sorted([*first, *second]) == list(range(40))
    scores = np.array([score_links(b.attention, inputs.links[b.pair_id]) for b in inputs.trained.blocks])
    for row in metrics.summary["best"]["scores"]:
        at = names(VIEWS["cross"]).index(row["view"]), SCORES.index(row["score"])
        chosen = scores[first][:, at[0], :, at[1]].mean(0).argmax()
        assert row["layer"] == chosen + 1
        assert row["value"] == pytest.approx(scores[second][:, at[0], chosen, at[1]].mean())
        assert row["n_pairs"] == len(second)
    assert 3 < metrics.summary["best"]["match"][0]["n_pairs"] < 17
    assert [row["view"] for row in metrics.summary["best"]["plan_correlation"]] == names(VIEWS["cross"])


def test_dropped_pairs_are_counted_by_reason(inputs):
    pairs = inputs.pairs
    links = {**inputs.links, pairs[0].pair_id: inputs.links[pairs[0].pair_id][:1]}
    del links[pairs[1].pair_id]
    there = [block for block in inputs.trained.blocks if block.pair_id not in {pairs[2].pair_id}]
    changed = replace(inputs, links=links, min_links=2, trained=replace(inputs.trained, blocks=there))
    summary = measure(changed, SETTINGS).summary
    assert summary["dropped"] == {"no_links": 1, "too_few_links": 1, "too_long": 2}
    assert summary["n_pairs"] == 37
    assert summary["gold"] == {
        "set": "own", "languages": "en-fr", "n_pairs": 10, "n_without_blocks": 0, "skipped": {"too_long": 2}, "doubt": None,
    }  # fmt: skip
    assert summary["more_gold"] == []


def test_mispaired_pairs_read_the_links_of_another_that_their_words_have():
    small = [sentence(1, 5, 8), sentence(2, 8, 5), sentence(3, 8, 8), sentence(4, 8, 8)]
    links = {1: np.array([[4, 7]]), 2: np.array([[7, 4]]), 3: np.array([[7, 7]]), 4: np.array([[7, 6], [1, 0]])}
    rng = np.random.default_rng(0)
    blocks = [make_blocks(pair, links[pair.pair_id], 1.0, rng) for pair in small]
    got = measure(Inputs(small, links, Split(manifest(), blocks)), SETTINGS)
    sample = choose_sample(small, links, convention=CORRECTED, min_links=1, transport_pairs=4, seed=SETTINGS.seed)
    there = [len(own) for own in sample.partner_links]
    assert got.summary["without_partner"] == there.count(0)
    rows = got.tables["curves"].query("control == 'mispaired'")
    assert (
        set(rows["n_pairs"])
        == {4 - there.count(0)}
        == set(got.tables["paired"].query("against == 'mispaired' and half == 'all'")["n_pairs"])
    )
    for pair, own in zip(small, sample.partner_links, strict=True):
        others = np.concatenate([links[other] for other in links if other != pair.pair_id])
        assert all((others == link).all(1).any() for link in own)


def test_conventions_change_blocks_links_and_intervals(unaligned):
    by_name = {
        name: measure(unaligned, SETTINGS, convention=convention_of(name))
        for name in ("corrected", "paper", "notebook")
    }
    at = "control == 'trained' and view == 'output_step' and layer == 3 and score == 'mass'"
    rows = {name: got.tables["curves"].query(at).iloc[0] for name, got in by_name.items()}
    mean_at = at.replace("'mass'", "'mean_mass'")
    means = {name: got.tables["curves"].query(mean_at).iloc[0] for name, got in by_name.items()}
    # every source word has two pieces: the mean over tokens is half of the sum
    assert rows["paper"]["value"] == pytest.approx(rows["corrected"]["value"] / 2, rel=1e-6)
    wide = rows["corrected"]["high"] - rows["corrected"]["low"]
    narrow = rows["paper"]["high"] - rows["paper"]["low"]
    assert narrow < wide / 2
    low, middle, high = rows["notebook"][["low", "value", "high"]]
    assert high - middle == pytest.approx(middle - low)
    links = {name: rows[name]["value"] / means[name]["value"] for name in rows}
    assert links["notebook"] < links["paper"], "links of the last words are gone"
    assert means["notebook"]["value"] > means["paper"]["value"], "values of a source word have norm 1"
    signatures = {name: got.summary["signature"] for name, got in by_name.items()}
    assert [s["convention"]["score"] for s in signatures.values()] == ["mean_mass", "mass", "cosine"]
    assert {
        name
        for name, s in signatures.items()
        if s["convention"]["scaled"] == "unit_source_words" and "norm 1" in s["floors"]
    } == {"notebook"}
    assert signatures["notebook"]["interval"] == "normal, z = 1.282 (80%), over sentences"
    assert signatures["corrected"]["extraction"] == {"heads": "mean"}


def test_without_gold_and_without_fresh_weights(unaligned, tmp_path):
    got = measure(replace(unaligned, controls={}), SETTINGS)
    assert got.tables["aer"].empty
    assert got.summary["gold"] is None
    write_metrics(got, tmp_path / "tiny")
    assert (tmp_path / "tiny" / "aer.csv").read_text().startswith("set,source,view,layer,method,aer,precision")
    assert "random_init" not in set(got.tables["curves"]["control"])


def test_the_example_is_the_pair_asked_for_or_the_next_that_was_measured(unaligned):
    assert measure(unaligned, SETTINGS, example=5).example["pair_id"] == unaligned.pairs[5].pair_id
    links = {key: value for key, value in unaligned.links.items() if key != unaligned.pairs[39].pair_id}
    there = [block for block in unaligned.trained.blocks if block.pair_id != unaligned.pairs[0].pair_id]
    changed = replace(unaligned, links=links, trained=replace(unaligned.trained, blocks=there))
    example = measure(changed, SETTINGS, example=39).example
    assert (example["pair_id"], example["position"]) == (unaligned.pairs[1].pair_id, 1)
    pair = unaligned.pairs[1]
    assert example["src_words"] == list(pair.src_words)
    assert np.array(example["attention"]["output_step"]["1"]).shape == (
        len(pair.tgt_words),
        len(pair.src_words),
    )
    np.testing.assert_allclose(np.sum(example["plan"]["input_step"]["3"], axis=1), 1)


def test_files_are_the_same_bytes_each_time_and_hold_what_was_measured(inputs, metrics, tmp_path):
    write_metrics(metrics, tmp_path / "one" / "tiny")
    write_metrics(measure(inputs, SETTINGS), tmp_path / "two" / "tiny")
    files = sorted(path.name for path in (tmp_path / "one" / "tiny").iterdir())
    assert files == sorted([*(f"{t}.csv" for t in TRANSLATOR), "headline.json", "summary.json"])
    for name in files:
        one, two = ((tmp_path / run / "tiny" / name).read_bytes() for run in ("one", "two"))
        assert one == two, name
    curves = pd.read_csv(tmp_path / "one" / "tiny" / "curves.csv")
    pd.testing.assert_frame_equal(curves, metrics.tables["curves"], atol=1e-6, rtol=0, check_dtype=False)
    headline = json.loads((tmp_path / "one" / "tiny" / "headline.json").read_text())
    assert set(headline) == {"aer", "correspondence", "match", "n_pairs", "plan_correlation", "pointing"}
    assert headline["correspondence"]["output_step"]["layer"] == 3


def test_blocks_on_disk_give_what_blocks_in_memory_give(inputs, metrics, tmp_path):
    def store(split):
        folder = tmp_path / split.manifest["split"]
        folder.mkdir()
        write_shard(folder / "a.arrow", list(split.blocks))
        full = {**split.manifest, "shards": {"a.arrow": sha256(folder / "a.arrow")}}
        (folder / "manifest.json").write_text(json.dumps(full))
        return Split.read(folder)

    (own,) = inputs.gold_sets
    stored_gold = store(own.split)
    stored = replace(
        inputs,
        trained=store(inputs.trained),
        controls={name: store(split) for name, split in inputs.controls.items()},
        gold_sets=[replace(own, split=stored_gold)],
    )
    got = measure(stored, SETTINGS)
    for name in ("curves", "matches"):  # attention is float16 on disk
        np.testing.assert_allclose(got.tables[name]["value"], metrics.tables[name]["value"], atol=2e-3)
    assert got.summary["n_pairs"] == 40


def test_what_does_not_fit_together_is_refused(inputs):
    with pytest.raises(PipelineError, match=r"links: some of 40 pairs must have 9 dictionary links, but none has"):
        measure(replace(inputs, min_links=9), SETTINGS)
    with pytest.raises(PipelineError, match=r"blocks: must hold one or more of the 20 pairs to transport.*of all 40"):
        measure(replace(inputs, trained=replace(inputs.trained, blocks=[])), SETTINGS)
    swapped = [replace(inputs.pairs[0], src_words=(*inputs.pairs[0].src_words, "x")), *inputs.pairs[1:]]
    with pytest.raises(PipelineError, match=r"blocks: pair 10 must have view, layer, tgt, src \(2, 3, .*but has"):
        measure(replace(inputs, pairs=swapped), SETTINGS)
    far = {**inputs.links, 10: np.array([[0, 99]])}
    with pytest.raises(PipelineError, match=r"links of pair 10: must lie within .*is 0-99; make blocks"):
        measure(replace(inputs, links=far), SETTINGS)
    (own,) = inputs.gold_sets
    outside = {**own.links, 10: GoldLinks(np.array([[99, 0]]), np.empty((0, 2), dtype=np.int64))}
    with pytest.raises(
        PipelineError, match=r"gold: links of pair 10 must lie within its .* source and .* run `dvc repro extract`"
    ):
        measure(replace(inputs, gold_sets=[replace(own, links=outside)]), SETTINGS)
    with pytest.raises(
        PipelineError, match=r"gold: some pair must have both blocks and hand-made links, but none of 1"
    ):
        measure(replace(inputs, gold_sets=[replace(own, links={999: own.links[10]})]), SETTINGS)


def test_the_sample_follows_from_the_seed(inputs):
    def choose(seed):
        return choose_sample(
            inputs.pairs, inputs.links, convention=CORRECTED, min_links=1, transport_pairs=20, seed=seed
        )

    one, again, other = choose(1), choose(1), choose(2)
    np.testing.assert_array_equal(one.transported, again.transported)
    assert all(np.array_equal(a, b) for a, b in zip(one.partner_links, again.partner_links, strict=True))
    assert (one.transported != other.transported).any()
    assert one.transported.sum() == 20


def test_metrics_do_not_print_their_bulk(metrics):
    text = repr(replace(metrics, tables={}))
    assert text == "Metrics(tables={})"
