"""Implausible scores are said: planted wrong bases, sides and lines, and nothing where all is right."""

import json

import numpy as np
import pytest

from pipeline.alignment.gold import AlignmentCounts, Compared
from pipeline.alignment.plausible import READINGS, Said, doubt_of_set, doubts, no_first_word, read_otherwise
from pipeline.cli import main
from pipeline.corpus.pharaoh import GoldLinks, LinkForm, write_links_file

NONE = np.empty((0, 2), dtype=int)


@pytest.fixture
def planted(rng):
    """Links of 30 sentences in an order that is not the source's, and an aligner that finds four in five of them."""
    gold, found = {}, {}
    for i in range(30):
        n = int(rng.integers(6, 12))
        links = np.stack([np.arange(n), rng.permutation(n)], axis=1)
        gold[i] = GoldLinks(links[1:], links[:1])
        found[i] = links[rng.random(n) < 0.8]
    return gold, found


PLAIN = LinkForm()


def files(tmp_path, gold, found, gold_form=PLAIN, links_form=PLAIN):
    paths = tmp_path / "gold", tmp_path / "links"
    write_links_file(paths[0], [gold[i] for i in sorted(gold)], gold_form)
    write_links_file(paths[1], [GoldLinks(found[i], NONE) for i in sorted(found)], links_form)
    return [str(path) for path in paths]


def aer(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["aer", *map(str, arguments)])
    out, err = capsys.readouterr()
    return stop.value.code, json.loads(out) if out else None, err


BASES = ("--gold-base", 0, "--links-base", 0)


def test_what_is_right_is_passed_in_silence(tmp_path, capsys, planted):
    code, scores, err = aer(capsys, *files(tmp_path, *planted), *BASES, "--strict")
    assert (code, err) == (0, "")
    assert scores["aer"] < 20


@pytest.mark.parametrize(
    ("gold_form", "links_form", "advice"),
    [
        (LinkForm(1), LinkForm(0), "with --gold-base 1"),
        (LinkForm(0), LinkForm(1), "with --links-base 1"),
        (LinkForm(0), LinkForm(0, reverse=True), "with --reverse"),
        (LinkForm(1), LinkForm(0, reverse=True), "with --reverse and with --gold-base 1"),
        (LinkForm(0), LinkForm(1, reverse=True), "with --reverse and with --links-base 1"),
    ],
)
def test_a_wrong_base_or_direction_is_said_with_the_figure(tmp_path, capsys, planted, gold_form, links_form, advice):
    """The advice is followed, and the score is the one foretold."""
    paths = files(tmp_path, *planted, gold_form, links_form)
    code, scores, err = aer(capsys, *paths, *BASES)
    right = f"{100 * float(AlignmentCounts.compare(*planted).score().aer):.2f}"
    assert code == 0 and scores["aer"] > 30
    assert err.splitlines()[0] == (
        f"warning: {paths[0]}, {paths[1]}: the error rate is {scores['aer']:.2f}, but {right} {advice}; which is right?"
    )
    options = [word for word in advice.split() if word not in ("with", "and")]
    _, again, err = aer(capsys, *paths, *BASES, *options)
    assert (f"{again['aer']:.2f}", err) == (right, "")
    code, scores, err = aer(capsys, *paths, *BASES, "--strict")
    assert (code, scores) == (1, None)
    assert err.startswith(f"error: {paths[0]}, {paths[1]}: the error rate is ") and err.count("\n") == 1
    assert err.endswith("Correct the options, or leave out --strict\n")


@pytest.mark.parametrize(
    ("gold_base", "links_base", "by", "advice"),
    [
        (1, 1, 1, "--gold-base 0"),
        (1, 0, 1, "--links-base 1"),
        (1, 1, -1, "--links-base 0"),
        (0, 1, -1, "--links-base 0"),
        (1, 0, -1, "every word of LINKS numbered one higher"),
        (0, 1, 1, "every word of LINKS numbered one lower"),
    ],
)
def test_every_pair_of_bases_has_an_option_or_says_that_none_helps(planted, gold_base, links_base, by, advice):
    gold, _ = planted
    found = {i: GoldLinks(own.all + by, NONE) for i, own in gold.items()}
    first = doubts(Compared(gold, found, None), Said(LinkForm(gold_base), LinkForm(links_base)))[0]
    assert first.endswith(f", but 0.00 with {advice}; which is right?")


@pytest.mark.parametrize(("by", "advice"), [(1, "up"), (-1, "down")])
def test_a_line_too_many_or_too_few_is_said(tmp_path, capsys, planted, by, advice):
    gold, found = planted
    moved = {i: found[(i - by) % len(found)] for i in found}
    _, _, err = aer(capsys, *files(tmp_path, gold, moved), *BASES)
    assert f"with every line of LINKS set one line {advice}; which is right?" in err


def test_a_poor_aligner_is_not_doubted(planted, rng):
    gold, _ = planted
    for _ in range(20):
        found = {i: rng.integers(0, len(own.all), (8, 2)) for i, own in gold.items()}
        assert doubt_of_set(gold, found) is None
    diagonal = {i: np.repeat(np.arange(len(own.all))[:, None], 2, axis=1) for i, own in gold.items()}
    assert doubt_of_set(gold, diagonal) is None


def test_a_handful_of_links_is_not_doubted():
    one = {0: GoldLinks(np.array([[0, 1], [1, 2]]), NONE)}
    assert doubt_of_set(one, {0: np.array([[1, 0], [2, 1]])}) is None


def test_files_that_start_at_one_are_said_even_where_the_score_stays(tmp_path, capsys, planted):
    paths = files(tmp_path, *planted, LinkForm(1), LinkForm(1))
    code, scores, err = aer(capsys, *paths, *BASES)
    assert code == 0 and scores["aer"] < 20
    assert "no link of either file touches word 0; the error rate stays" in err
    assert err.endswith("then say --gold-base 1 --links-base 1\n")


def test_no_first_word_beside_a_good_score(tmp_path, capsys, planted):
    gold, found = planted
    silent = {i: own[own.min(1) > 0] for i, own in found.items()}
    assert no_first_word({i: GoldLinks(own, NONE) for i, own in silent.items()})
    _, _, err = aer(capsys, *files(tmp_path, gold, silent), *BASES)
    assert "no link of LINKS touches word 0, though it is said to start there; the error rate is " in err
    assert err.endswith(" with --links-base 1\n")


def test_exchanged_files_are_said(tmp_path, capsys, planted):
    gold, found = planted
    paths = files(tmp_path, gold, found)
    _, scores, err = aer(capsys, paths[1], paths[0], *BASES)
    _, right, _ = aer(capsys, *paths, *BASES)
    assert (
        f"possible links (p) are in LINKS alone; the error rate is {scores['aer']:.2f}, and {right['aer']:.2f}" in err
    )
    assert err.endswith("with the two files exchanged; which is hand-made?\n")


@pytest.mark.parametrize("name", READINGS)
def test_a_doubt_of_a_set_says_what_to_look_at(planted, name):
    gold, found = planted
    wrong = {"up": "down", "down": "up", "later": "earlier", "earlier": "later", "turned": "turned"}
    wrong |= {"turned up": "turned up", "turned down": "turned down"}
    if name.startswith("turned "):  # to turn and to move by one is undone by turning and moving back
        wrong[name] = "turned down" if name == "turned up" else "turned up"
    doubt = doubt_of_set(gold, READINGS[wrong[name]](found))
    assert doubt is not None and doubt["reading"] == name
    words = {
        "up": "base: 1",
        "down": "base: 0",
        "turned": "sides exchanged",
        "later": "line down",
        "earlier": "line up",
    }
    assert all(words[part] in doubt["says"] for part in name.split())
    now, others = read_otherwise(gold, READINGS[wrong[name]](found))
    assert (doubt["aer"], doubt["aer_read_so"]) == (now, others[name].aer)
    if name in ("up", "down", "turned"):
        assert others[name].aer == float(AlignmentCounts.compare(gold, found).score().aer)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("gold_base", "options", "figures"),
    [
        (0, (), "43.72, but 4.07 with --gold-base 1"),
        (1, ("--reverse",), "but 4.07 without --reverse"),
    ],
)
def test_the_hansards_read_wrongly(shared_data, capsys, gold_base, options, figures):
    folder = shared_data / "gold" / "hansards"
    paths = folder / "enfr.gold", folder / "enfr.awesome-align.out"
    code, _, err = aer(capsys, *paths, "--gold-base", gold_base, "--links-base", 0, *options)
    assert code == 0 and figures in err


@pytest.mark.realdata
def test_every_published_alignment_is_plausible(shared_data, capsys):
    folder = shared_data / "gold" / "hansards"
    for path in sorted([*folder.glob("*.talp"), folder / "enfr.awesome-align.out"]):
        options = ["--reverse"] if "reverse" in path.name else []
        code, _, err = aer(
            capsys, folder / "enfr.gold", path, "--gold-base", 1, "--links-base", 0, *options, "--strict"
        )
        assert (code, err) == (0, ""), path.name
