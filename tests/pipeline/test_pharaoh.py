"""Links in Pharaoh form: read and written in one place, and what cannot be right refused by file and line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus.gold import read_gold_links
from pipeline.corpus.link_formats import read_links_file
from pipeline.corpus.pharaoh import GoldLinks, LinkForm, format_links, parse_links, write_links_file
from pipeline.corpus.word_files import read_lengths
from pipeline.errors import PipelineError


@pytest.fixture
def write(tmp_path):
    def write(text, name="links.txt"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_reading_sure_and_possible_links_of_either_base(write):
    first, second = read_links_file(write("2-2 1p1 1p1\n\n"), LinkForm(1))
    np.testing.assert_array_equal(first.sure, [[1, 1]])
    np.testing.assert_array_equal(first.possible, [[0, 0]])
    assert second.sure.shape == second.possible.shape == (0, 2)
    (zero,) = read_links_file(write("2-2 1p1"), LinkForm(0))
    np.testing.assert_array_equal(zero.sure, [[2, 2]])


def test_a_link_that_is_sure_once_is_sure(write):
    (links,) = read_links_file(write("0p1 0-1 0p0"), LinkForm(0))
    np.testing.assert_array_equal(links.sure, [[0, 1]])
    np.testing.assert_array_equal(links.possible, [[0, 0]])


def test_the_other_direction(write):
    (links,) = read_links_file(write("0-3 2p1\r\n"), LinkForm(0, reverse=True), lengths=[(4, 3)])
    np.testing.assert_array_equal(links.sure, [[3, 0]])
    np.testing.assert_array_equal(links.possible, [[1, 2]])


@pytest.mark.parametrize(
    ("text", "base", "says"),
    [
        ("0-0\n0:1\n", 0, r"links\.txt, line 2: links are i-j \(sure\) or ipj \(possible\).*there is '0:1'"),
        ("0-0\n1--1", 0, r"line 2: links are i-j"),
        ("1-1\n0p1", 1, r"line 2: words are numbered from 1, but there is 0p1; is the file's first"),
        ("1-1\n3-1", 1, r"line 2: the pair has 2 source and 3 target words, numbered from 1, but a link "
         r"joins source 3 and target 1; check base"),
        ("1-1", 1, r"must have one line a sentence pair, but has 1 for 2 pairs; align the same text"),
        (b"\xe90-0\n\n", 0, r"links\.txt: must be UTF-8, but line 1"),
    ],
)  # fmt: skip
def test_bad_lines_are_named(write, text, base, says):
    with pytest.raises(PipelineError, match=says) as caught:
        read_links_file(write(text), LinkForm(base), lengths=[(2, 2), (2, 3)])
    assert "\n" not in str(caught.value)


def test_the_table_leaves_out_what_nobody_annotated(write):
    text = "pair_id\tsrc\ttgt\tlinks\na\tx y\tu v\t0-1 1p0\nb\tx\tu\t\nc\tx\tu\t0-0\n"
    gold = read_gold_links(write(text, "pairs.tsv"), LinkForm(0))
    assert sorted(gold) == [0, 2]
    np.testing.assert_array_equal(gold[0].possible, [[1, 0]])
    with pytest.raises(PipelineError, match=r"pairs\.tsv, line 2: words are numbered from 1"):
        read_gold_links(write(text, "pairs.tsv"), LinkForm(1))
    with pytest.raises(PipelineError, match=r"must name a column links, but it names \['a', 'b'\]; name it so"):
        read_gold_links(write("a\tb\n", "pairs.tsv"), LinkForm(0))


def test_a_gold_set_without_sure_links_is_refused(write):
    with pytest.raises(PipelineError, match=r"a gold set needs a sure link \(i-j\) or more.*right file"):
        read_gold_links(write("1p1\n\n"), LinkForm(1))


def test_lengths_of_a_text(write):
    assert read_lengths(write("a b ||| c  \n||| d\n")) == [(2, 1), (0, 1)]
    with pytest.raises(PipelineError, match=r"line 2: must be `source \|\|\| target`, but it is 'a \|\| b'"):
        read_lengths(write("a ||| b\na || b\n"))


places = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), unique=True)


@given(places, places, st.booleans(), st.sampled_from([0, 1]))
def test_what_is_written_is_read_back(sure, possible, reverse, base):
    form = LinkForm(base, reverse)
    only_possible = sorted(set(possible) - set(sure))
    links = GoldLinks(*(np.array(sorted(of), dtype=np.int64).reshape(-1, 2) for of in (sure, only_possible)))
    again = parse_links(format_links(links, form), form, where="here", size=(7, 7))
    np.testing.assert_array_equal(again.sure, links.sure)
    np.testing.assert_array_equal(again.possible, links.possible)
    np.testing.assert_array_equal(again.all, np.concatenate([links.sure, links.possible]))


def test_a_file_keeps_sentences_without_links(tmp_path):
    pairs = [parse_links(line, LinkForm(), where="here") for line in ("0-1 1p0", "", "2-2")]
    write_links_file(tmp_path / "links", pairs, LinkForm(1, reverse=True))
    assert (tmp_path / "links").read_text() == "1p2 2-1\n\n3-3\n"
    again = read_links_file(tmp_path / "links", LinkForm(1, reverse=True))
    assert [links.all.tolist() for links in again] == [links.all.tolist() for links in pairs]


def test_masks_tell_sure_from_allowed():
    sure, allowed = parse_links("0-1 1p0", LinkForm(), where="here").masks(2, 3)
    np.testing.assert_array_equal(sure, [[0, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(allowed, [[0, 1, 0], [1, 0, 0]])
