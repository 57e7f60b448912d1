"""Files of links in every form in which they are published: found by content, read alike, or refused in one line."""

import re
import subprocess
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.gold import read_gold_set
from pipeline.corpus.link_formats import TO_PHARAOH, read_link_file, read_links_file
from pipeline.corpus.pharaoh import GoldLinks, LinkForm, format_links
from pipeline.corpus.word_files import read_lengths, read_sentences
from pipeline.errors import PipelineError
from pipeline.params import Gold

SURE = [[[0, 0], [1, 2]], [], [[2, 1]]]
POSSIBLE = [[[1, 0]], [], []]
SAME = {
    "pharaoh": "0-0 1p0 1-2\n\n2-1\n",
    "question marks": "0-0 1?0 1-2\n\n2-1\n",
    "talp": "0-0 1p0 1-2 \n \n2-1 \n",
    "confidences": "0-0:0.93 1p0:.5 1-2:1\n\n2-1:1e-05\n",
    "confidences behind a dash": "0-0-0.93 1p0-0.5 1-2-1.0\n\n2-1-1e-5\n",
    "ids": "1\t0-0 1p0 1-2\n2\t\n3\t2-1\n",
    "ids in another order": "7\t\n9\t2-1\n3\t0-0 1p0 1-2\n",
    "names": "dev.a\t0-0 1p0 1-2\ndev.b\t\ndev.c\t2-1\n",
    "naacl": "1 0 0 S\n1 1 0 P\n1 1 2\n3 2 1 S\n",
    "naacl with confidences, tabs and zeros": "0001\t1\t2\t0.4\n0001\t0\t0\tS\t0.9\n0001\t1\t0\tP\n0003\t2\t1\tS\n",
    "naacl from sentence 0": "0 0 0 S\n0 1 0 P\n0 1 2 S\n2 2 1 S\n",
    "xlwa": "a b c\td e f\t0-0 1p0 1-2\t\t\t\na b c\td e f\t\na b c\td e f\t2-1\n",
    "table": "src\tlinks\tnote\nx\t0-0 1p0 1-2\tn\nx\t\tn\nx\t2-1\tn\n",
}


@pytest.fixture
def write(tmp_path):
    def write(text, name="links"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write


@pytest.mark.parametrize("form", SAME)
def test_every_form_is_found_by_its_content_and_says_the_same(write, form):
    links = read_links_file(write(SAME[form]), LinkForm(), lengths=[(3, 3)] * 3)
    assert [own.sure.tolist() for own in links] == SURE
    assert [own.possible.tolist() for own in links] == POSSIBLE


def test_base_and_direction_hold_for_every_form(write):
    for text in ("1-2\n", "1\t1-2\n", "1 1 2 S\n", "a b\tc d\t1-2\n", "links\tx\n1-2\tx\n"):
        (links,) = read_links_file(write(text), LinkForm(1, reverse=True))
        assert links.sure.tolist() == [[1, 0]], text


def test_a_form_that_is_named_is_the_only_one_read(write):
    path = write("1 1 2 S\n")
    assert read_link_file(path, LinkForm(format="naacl")).form.format == "naacl"
    with pytest.raises(PipelineError, match=r"links, line 1: links are i-j \(sure\).*there is '1'; write it as 3-4"):
        read_link_file(path, LinkForm(format="pharaoh"))
    with pytest.raises(
        PipelineError, match=r"line 1: links must be in the form xlwa, but the line is '1 1 2 S'; known"
    ):
        read_link_file(path, LinkForm(format="xlwa"))
    with pytest.raises(PipelineError, match=r"line 2: links must be in the form naacl, but the line is '0-0'"):
        read_link_file(write("1 1 2 S\n0-0\n"), LinkForm())


def test_the_empty_word_of_naacl_is_no_link(write):
    (links,) = read_links_file(write("1 0 2 S\n1 3 0 S\n1 22 -99 S\n1 1 1 S\n"), LinkForm(1))
    assert links.sure.tolist() == [[0, 0]]
    (links,) = read_links_file(write("1 0 2 S\n1 2 -99 S\n"), LinkForm(0))
    assert links.sure.tolist() == [[0, 2]]
    with pytest.raises(
        PipelineError, match=r"line 1: words are numbered from 1, but there is 0-0; is the file's first"
    ):
        read_links_file(write("1 0 0 S\n"), LinkForm(1))


@pytest.mark.parametrize(
    ("numbers", "n", "places"),
    [
        ((1, 2, 3), 3, (0, 1, 2)),
        ((0, 1, 2), 3, (0, 1, 2)),
        ((62, 64, 153), 3, (0, 1, 2)),  # as many as sentences: numbers were left out
        ((1, 3), 3, (0, 2)),
        ((0, 2), 3, (0, 2)),
        ((2, 3), 4, (1, 2)),
    ],
)
def test_numbered_sentences_find_their_place(write, numbers, n, places):
    text = "".join(f"{number} 1 1 S\n" for number in numbers)
    links = read_link_file(write(text), LinkForm(1)).links(n=n)
    assert tuple(i for i, own in enumerate(links) if len(own.sure)) == places


def test_numbers_of_the_text_place_sentences(write, tmp_path):
    text = {"src": "<s snum=0007> a b </s>\n<s snum=0009> c </s>\n", "tgt": "<s snum=7>x</s>\n\n<S snum='9'>y z</S>\n"}
    files = [write(own, name) for name, own in text.items()]
    assert read_sentences(files).numbers == [7, 9]
    assert read_lengths(*files) == [(2, 1), (1, 2)]
    links = write("0009 1 2 S\n")
    gold = Gold(name="a", pair="en-fr", text=tuple(map(str, files)), links=str(links), base=1)
    first, second = read_gold_set(gold)
    assert (first.pair.src_words, first.links.sure.tolist()) == (("a", "b"), [])
    assert (second.pair.tgt_words, second.links.sure.tolist()) == (("y", "z"), [[0, 1]])
    with pytest.raises(
        PipelineError, match=r"sentence numbers must be those of the 2 .*\(7 to 9\), but there is 8; name"
    ):
        read_gold_set(gold.model_copy(update={"links": str(write("8 1 1 S\n"))}))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "0:1 2:3\n",
            r"links, line 1: links must be in a form that is known, but the line is '0:1 2:3'; known: pharaoh",
        ),
        ("\n[[0, 1]]\n", r"line 2: .*the line is '\[\[0, 1\]\]'.*where its numbers come in pairs, `sed -E"),
        (f"{'le chat ' * 20}\n", r"the line is '(le chat ){7}le c\.\.\.'; known: "),
        ("0-1-2\n", r"the line is '0-1-2'"),
        ("0-9999999999\n", r"the line is '0-9999999999'"),
        ("1\t0-0\n1\t0-0\n", r"links: every sentence must be there once, but 1 is there twice; remove one"),
        ("1\t0-0\n2 0-0\n", r"line 2: links must be in the form ids, but the line is '2 0-0'"),
        ("5 1 1 S\n9 1 1 S\n", r"sentence numbers must be those of the 3 .*\(1 to 3\), but there is 5; name the text"),
    ],
)
def test_what_is_in_no_known_form_is_one_line(write, text, says):
    with pytest.raises(PipelineError, match=says) as error:
        read_link_file(write(text), LinkForm()).links(n=3)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("line", ["0:1 2:3", "(0,1) (2,3)", "[[0, 1], [2, 3]]", "0/1;2/3", "0_1 2_3"])
def test_the_hint_makes_pharaoh_of_pairs_of_numbers(line):
    done = subprocess.run(["bash", "-c", TO_PHARAOH], input=f"{line}\n", capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0-1", "2-3"]


@pytest.mark.parametrize(
    ("src", "tgt", "says"),
    [
        ("a\nb\n", "x\n", r"src, .*tgt: must hold the same sentences, a line each, but have 2 and 1; name files"),
        ("<s snum=1>a</s>\n", "<s snum=2>x</s>\n", r"but have 1 and 1, of other numbers; name files"),
        ("<s snum=1>a</s>\nb\n", "x\n", r"src, line 2: must be `<s snum=N> words </s>`, but it is 'b'; correct it"),
        ("<s snum=1>a</s>\n<s snum=1>a</s>\n", "x\n", r"src: every snum must be there once, but one is .*; correct it"),
    ],
)
def test_two_files_of_words_that_do_not_fit(write, src, tgt, says):
    with pytest.raises(PipelineError, match=says):
        read_sentences([write(src, "src"), write(tgt, "tgt")])


def test_the_words_of_xlwa_stand_between_blanks(write):
    assert read_lengths(write("a b\tc\t0-0\t\t\nd\te f\t\n")) == [(2, 1), (1, 2)]
    with pytest.raises(PipelineError, match=r"links, line 2: must be source<TAB>target<TAB>links, but has no tab"):
        read_lengths(write("a b\tc\t0-0\nd e\n"))
    path = str(write("a b\tc\t1-0\nd\te f\t\n"))
    gold = read_gold_set(Gold(name="x", pair="en-it", text=(path,), links=path))
    assert [(item.languages, item.pair.src_words, len(item.links.sure)) for item in gold] == [
        ("en-it", ("a", "b"), 1),
        ("en-it", ("d",), 0),
    ]


# Writers of our own for the forms that the project only reads.
def _naacl(number, links, form):
    marked = [(own, "S") for own in links.sure.tolist()] + [(own, "P") for own in links.possible.tolist()]
    ordered = [((own[::-1] if form.reverse else own), kind) for own, kind in marked]
    return "".join(f"{number} {first + form.base} {second + form.base} {kind}\n" for (first, second), kind in ordered)


WRITERS = {
    "pharaoh": lambda n, links, form: f"{format_links(links, form)}\n",
    "ids": lambda n, links, form: f"{n}\t{format_links(links, form)}\n",
    "naacl": _naacl,
    "xlwa": lambda n, links, form: f"a\tb\t{format_links(links, form)}\n",
    "confidence": lambda n, links, form: "".join(f"{one}:0.{n} " for one in format_links(links, form).split()) + "\n",
    "question": lambda n, links, form: format_links(links, form).replace("p", "?") + "\n",
}
pairs_of_links = st.lists(
    st.tuples(*[st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), unique=True, max_size=8)] * 2),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(pairs_of_links, st.booleans(), st.sampled_from([0, 1]), st.sampled_from(sorted(WRITERS)))
def test_what_is_written_in_any_form_is_read_back(tmp_path_factory, pairs, reverse, base, form):
    how = LinkForm(base, reverse)
    first = GoldLinks(np.array([[1, 1]]), np.empty((0, 2), dtype=int))  # so that the form shows in the first line
    links = [first, *(_gold(*own) for own in pairs)]
    path = tmp_path_factory.getbasetemp() / "written"
    path.write_text("".join(WRITERS[form](n, own, how) for n, own in enumerate(links, start=1)), encoding="utf-8")
    again = read_links_file(path, how, lengths=[(31, 31)] * len(links))
    for own, read in zip(links, again, strict=True):
        np.testing.assert_array_equal(read.sure, own.sure)
        np.testing.assert_array_equal(read.possible, own.possible)


def _gold(sure, possible):
    kinds = sorted(sure), sorted(set(possible) - set(sure))
    return GoldLinks(*(np.array(own, dtype=np.int64).reshape(-1, 2) for own in kinds))


@pytest.mark.parametrize("rounds", [240, pytest.param(2400, marks=pytest.mark.slow)])
def test_no_input_ends_in_a_traceback(write, rng, rounds):
    """Broken files of every form: each is read or refused in one line."""
    alphabet = [
        *"0123456789-p?:.SPx \t\n\r\u00e9\u0664\u2028|<>[]",
        " 1 1 S\n",
        "0-0 ",
        "1\t",
        "links\t",
        "99999999999",
        "-99",
    ]
    outcomes = set()
    for round_ in range(rounds):
        seed = [*SAME.values()][round_ % len(SAME)]
        text = list(seed) if rng.random() < 0.8 else []
        for _ in range(rng.integers(1, 6)):
            place = int(rng.integers(0, len(text) + 1))
            text[place : place + int(rng.integers(0, 3))] = [alphabet[rng.integers(len(alphabet))]]
        path = write("".join(text), "fuzz.tsv" if rng.random() < 0.2 else "fuzz")
        form = LinkForm(int(rng.integers(2)), bool(rng.integers(2)))
        lengths = [None, [(3, 3)] * int(rng.integers(0, 4))][rng.integers(2)]
        for read in (partial(read_links_file, path, form, lengths=lengths), partial(read_lengths, path)):
            try:
                read()
                outcomes.add("read")
            except PipelineError as error:
                outcomes.add("refused" if not re.search(r"[\n\r]", str(error)) else str(error))
    assert outcomes == {"read", "refused"}


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "langs", "n", "sure", "possible"),
    [("de-en", ("de", "en"), 508, 9612, 921), ("ro-en", ("ro", "en"), 199, 5033, 0)],
)
def test_the_published_naacl_sets_are_whole(shared_data, name, langs, n, sure, possible):
    """De-en has a word without partner (-99), ro-en a link that is there twice."""
    folder = shared_data / "gold" / name
    files = {"text": tuple(str(folder / f"test.{lang}") for lang in langs), "links": str(folder / "align.naacl")}
    gold = read_gold_set(Gold(name=name, pair=name, **files, base=1))
    assert [item.pair.pair_id for item in gold] == list(range(n))
    assert sum(len(item.links.sure) for item in gold) == sure
    assert sum(len(item.links.possible) for item in gold) == possible
    with pytest.raises(PipelineError, match=r"the pair has .* words, numbered from .*check base, direction and text"):
        read_gold_set(Gold(name=name, pair=name, **files, base=1, direction="reverse"))
