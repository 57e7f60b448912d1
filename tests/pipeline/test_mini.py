"""The trainer of the demo translators: batches, losses, resume, the command line."""

import json
import math
from functools import cache

import numpy as np
import pytest
import torch


@pytest.fixture
def recipe():
    from pipeline.mini.train import Recipe

    return Recipe(steps=12, minutes=10.0, batch=2, rate=1e-2, warmup=2, seed=5, every=4)


@pytest.fixture
def pairs(rng):
    draw = lambda: [int(i) for i in rng.integers(4, 30, rng.integers(2, 9))]  # noqa: E731
    return [(draw(), [*draw(), 0]) for _ in range(200)]


@cache
def _tokenizer():
    """Return a tokeniser of 30 entries."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    vocab = {token: i for i, token in enumerate(["</s>", "[CLS]", "[SEP]", "[PAD]", *map(str, range(26))])}
    words = Tokenizer(WordLevel(vocab, unk_token="</s>"))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", eos_token="</s>")


def _translation():
    from pipeline.mini.models import Translation, marian_model

    torch.manual_seed(1)
    return Translation(marian_model(_tokenizer(), dim=12, encoder_layers=1))


def _masked():
    from pipeline.mini.models import MaskedPair, bert_model

    torch.manual_seed(1)
    return MaskedPair(bert_model(_tokenizer(), dim=12, layers=2), cls=1, sep=2, mask=0)


def test_an_epoch_reads_every_pair_at_most_once_and_batches_are_of_like_length(pairs, recipe):
    from pipeline.mini.train import BUCKET, batch_at

    per_epoch = len(pairs) // (recipe.batch * BUCKET) * BUCKET
    epoch = [batch_at(pairs, step, recipe) for step in range(per_epoch)]
    keys = [json.dumps(pair) for batch in epoch for pair in batch]
    assert len(set(keys)) == len(keys) == per_epoch * recipe.batch
    assert batch_at(pairs, per_epoch, recipe) != epoch[0], "another order in the next epoch"
    spread = [abs(len(a[0]) + len(a[1]) - len(b[0]) - len(b[1])) for a, b in epoch]
    assert np.mean(spread) < 1.5


def test_too_few_pairs_are_refused(pairs, recipe):
    from pipeline.errors import PipelineError
    from pipeline.mini.train import batch_at

    with pytest.raises(PipelineError, match=r"at least 64 training pairs .* got 10; give more sentences"):
        batch_at(pairs[:10], 0, recipe)


def test_translation_loss_is_that_of_the_library(pairs):
    task = _translation().model.eval()
    from pipeline.mini.models import Translation

    src, tgt = pairs[0]
    ours = Translation(task).loss([pairs[0]], torch.Generator(), smooth=False)
    theirs = task(input_ids=torch.tensor([src]), labels=torch.tensor([tgt])).loss
    torch.testing.assert_close(ours, theirs)


def test_translation_loss_does_not_depend_on_padding(pairs):
    task = _translation()
    task.model.eval()
    alone = [task.loss([pair], torch.Generator(), smooth=True).item() for pair in pairs[:3]]
    tokens = [len(tgt) for _, tgt in pairs[:3]]
    together = task.loss(pairs[:3], torch.Generator(), smooth=True).item()
    assert together == pytest.approx(np.average(alone, weights=tokens), rel=1e-5)


def test_only_one_side_is_masked_and_positions_restart(pairs):
    task = _masked()
    (ids, positions, types), chosen = task.arrange(pairs[:50], torch.Generator().manual_seed(0))
    sides = set()
    for row, (src, tgt) in enumerate(pairs[:50]):
        n = len(src) + len(tgt) + 3
        assert ids[row, :n].tolist() == [1, *src, 2, *tgt, 2]
        assert positions[row, 1].item() == positions[row, len(src) + 2].item() == 1
        assert types[row, :n].sum().item() == len(tgt) + 1
        masked = chosen[row].nonzero().ravel().tolist()
        in_src = [1 <= i <= len(src) for i in masked]
        assert all(in_src) or not any(in_src)
        assert all(i not in (0, len(src) + 1, n - 1) and i < n for i in masked)
        sides |= set(in_src)
    assert sides == {True, False}
    share = chosen.sum().item() / sum((len(s) + len(t)) / 2 for s, t in pairs[:50])
    assert 0.3 < share < 0.5


@pytest.mark.parametrize("make", [_translation, _masked])
def test_training_lowers_the_loss_and_a_cut_run_ends_with_the_same_weights(tmp_path, make, pairs, recipe):
    from pipeline.mini.train import Recipe, train

    torch.set_num_threads(1)
    whole = make()
    (tmp_path / "whole").mkdir()
    record = train(whole, pairs[:-20], pairs[-20:], tmp_path / "whole", recipe)
    assert record["step"] == recipe.steps
    assert record["log"][-1]["held_out"] < math.log(30) + 0.5

    cut = make()
    (tmp_path / "cut").mkdir()
    original, calls = cut.loss, []

    def dies(batch, generator, *, smooth):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return original(batch, generator, smooth=smooth)

    cut.loss = dies
    with pytest.raises(KeyboardInterrupt):
        train(cut, pairs[:-20], pairs[-20:], tmp_path / "cut", recipe)
    resumed = make()
    again = train(resumed, pairs[:-20], pairs[-20:], tmp_path / "cut", recipe)
    assert again["step"] == recipe.steps
    assert isinstance(recipe, Recipe)
    for (name, a), b in zip(whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_minute_budget_ends_the_training_and_lowers_the_rate_to_zero():
    from pipeline.mini.train import Recipe, _learning_rate

    recipe = Recipe(steps=1000, minutes=1.0, batch=2, rate=1.0, warmup=10, seed=0)
    assert recipe.fraction(10, 30.0) == pytest.approx(0.5)
    assert recipe.fraction(1000, 1.0) == recipe.fraction(1, 99.0) == 1.0
    assert _learning_rate(500, 0.5, recipe) == pytest.approx(0.5)
    assert _learning_rate(0, 0.0, recipe) == pytest.approx(0.1)


def test_sides_of_unequal_length_are_refused(tmp_path):
    from typer.testing import CliRunner

    from pipeline.errors import PipelineError
    from pipeline.mini.__main__ import app

    (tmp_path / "a.en").write_text("One.\nTwo.\n")
    (tmp_path / "a.fr").write_text("Un.\n")
    arguments = ["marian", "--src", str(tmp_path / "a.en"), "--tgt", str(tmp_path / "a.fr"), "--out", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, PipelineError)
    assert "one sentence a line in the same order, got 2 and 1 lines" in str(result.exception)


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize("kind", ["marian", "mbert"])
def test_the_command_makes_a_folder_that_from_pretrained_reads(tmp_path, shared_data, kind):
    import gzip

    from transformers import AutoModel, AutoTokenizer
    from typer.testing import CliRunner

    from pipeline.mini.__main__ import app

    for side in ("en", "fr"):
        with gzip.open(shared_data / "training" / f"hansard.{side}.gz", "rt", encoding="utf-8") as lines:
            (tmp_path / side).write_text("".join(line for line, _ in zip(lines, range(6000), strict=False)))
    arguments = [kind, "--src", str(tmp_path / "en"), "--tgt", str(tmp_path / "fr"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(
        app, [*arguments, "--steps", "3", "--threads", "1", "--pieces", "500", "--batch", "4", "--longest", "60"]
    )
    assert result.exit_code == 0, result.output
    model = AutoModel.from_pretrained(tmp_path / "out")
    assert model.dtype == torch.float16
    assert AutoTokenizer.from_pretrained(tmp_path / "out")("Yes.")["input_ids"]
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["step"] == 3
    assert not (tmp_path / "out" / "checkpoint.pt").exists()
