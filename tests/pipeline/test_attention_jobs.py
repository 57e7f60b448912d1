"""Which sentences a translator reads with which weights, codes and words."""

import numpy as np
import pytest

from pipeline.attention.jobs import jobs
from pipeline.corpus.gold import GoldPair
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import GoldLinks
from pipeline.errors import PipelineError
from pipeline.params import Extract, Translator


def pair(number: int) -> SentencePair:
    return SentencePair(number, "a", "b", ("a",), ("b",))


def gold(name: str, languages: str, number: int) -> GoldPair:
    return GoldPair(name, languages, pair(number), GoldLinks(np.array([[0, 0]]), np.empty((0, 2), dtype=np.int64)))


def test_the_corpus_is_read_with_every_weight_and_each_gold_set_with_the_trained_ones() -> None:
    settings = Extract(controls=("trained", "random_init"), seeds=2, heads_pairs=1)
    sets = [gold("demo", "en-fr", 0), gold("ro-en", "ro-en", 0), gold("ro-en", "ro-en", 1)]
    found = jobs(settings, [pair(5)], sets, "en-fr")
    assert [(job.split, job.control, job.languages, len(job.pairs)) for job in found] == [
        ("trained", "trained", "en-fr", 1),
        ("random_init", "random_init", "en-fr", 1),
        ("random_init_2", "random_init", "en-fr", 1),
        ("gold-demo", "trained", "en-fr", 1),
        ("gold-ro-en", "trained", "ro-en", 2),
    ]
    assert [job.settings.seed for job in found] == [2026, 2026, 2027, 2026, 2026]
    assert [job.settings.heads_pairs for job in found] == [1, 1, 1, 1, 2], "every head of every gold pair is kept"


def test_an_error_names_the_gold_set() -> None:
    corpus, of_gold = jobs(Extract(controls=("trained",)), [pair(5)], [gold("old", "ro-en", 0)], "en-fr")
    message = "translators.src_code: must be one of the 3 language codes"
    with pytest.raises(PipelineError, match=r"^translators"), corpus.named():
        raise PipelineError(message)
    with (
        pytest.raises(
            PipelineError, match=r"^gold set old \(ro-en\): translators\.src_code: .*; or leave the set out$"
        ),
        of_gold.named(),
    ):
        raise PipelineError(message)


def test_codes_stay_where_their_language_does() -> None:
    spec = Translator(model="a/b", reads="cross", src_code="eng_Latn", tgt_code="fra_Latn", prefix="translate: ")
    assert spec.for_pair("en-fr", "en-fr") is spec
    other = spec.for_pair("en-de", "en-fr")
    assert (other.src_code, other.tgt_code, other.prefix) == ("eng_Latn", None, None)
    other = spec.for_pair("ro-en", "en-fr")
    assert (other.src_code, other.tgt_code) == (None, None)
    bare = Translator(model="a/b", reads="cross", prefix="")
    assert bare.for_pair("de-en", "en-fr").prefix == "", "none at all stays none"
    prompt = Translator(model="a/b", reads="prompt", template="English: {src}\nFrench: {tgt}", shots=3)
    assert (prompt.for_pair("de-en", "en-fr").template, prompt.for_pair("de-en", "en-fr").shots) == (None, 0)
    joint = Translator(model="a/b", reads="joint", positions="restart")
    assert joint.for_pair("de-en", "en-fr") == joint
