"""`python -m pipeline aer`: one JSON object, or one line that says what is wrong."""

import json
import subprocess
import sys

import pytest

from pipeline.alignment.gold import compare_files
from pipeline.cli import main
from pipeline.corpus.pharaoh import LinkForm


@pytest.fixture
def run(tmp_path, capsys):
    """Write files and run the command in this process: exit code, standard output, standard error output."""

    def run(gold, links, *options, gold_name="gold"):
        (tmp_path / gold_name).write_text(gold, encoding="utf-8")
        (tmp_path / "links").write_text(links, encoding="utf-8")
        with pytest.raises(SystemExit) as stop:
            main(["aer", str(tmp_path / gold_name), str(tmp_path / "links"), *map(str, options)])
        out, err = capsys.readouterr()
        return stop.value.code, out, err.replace(str(tmp_path) + "/", "")

    return run


BASES = ("--gold-base", 1, "--links-base", 0)


def test_scores_as_one_json_object(run):
    code, out, err = run("1-1 2p2\n\n1-1\n", "0-0 1-1 1-0\n0-0\n\n", *BASES)
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "aer": 50.0, "precision": 50.0, "recall": 50.0, "f1": 50.0,
        "sure": 2, "possible": 1, "predicted": 4, "sentences": 3,
    }  # fmt: skip
    assert out.count("\n") == 1


def test_reverse_swaps_the_sides(run):
    _, out, _ = run("1-2\n", "1-0\n", *BASES, "--reverse")
    assert json.loads(out)["aer"] == 0
    _, out, _ = run("1-2\n", "1-0\n", *BASES)
    assert json.loads(out)["aer"] == 100


def test_a_table_of_pairs_is_a_gold_set(run):
    table = "pair_id\tsrc\ttgt\tlinks\nd1\ta b\tc d\t0-0 1p1\nd2\ta\tb\t\n"
    _, out, _ = run(table, "0-0\n0-0\n", "--gold-base", 0, "--links-base", 0, gold_name="pairs.tsv")
    assert json.loads(out)["sentences"] == 1
    assert json.loads(out)["aer"] == 0


@pytest.mark.parametrize(
    ("gold", "links", "says"),
    [
        ("1-1\n", "0-0\n0-0\n", "error: links: must have one line a sentence pair, but has 2 for 1 pairs; "),
        ("1-1\n1-1\n", "0-0\n0;0\n", "error: links, line 2: links are i-j (sure) or ipj (possible)"),
        ("1-1\n0-1\n", "0-0\n\n", "error: gold, line 2: words are numbered from 1, but there is 0-1; "),
        ("\n", "0-0\n", "error: gold: a gold set needs a sure link"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_that_names_the_line(run, gold, links, says):
    code, out, err = run(gold, links, *BASES)
    assert (code, out) == (1, "")
    assert err.startswith(says)
    assert err.count("\n") == 1


def test_links_beyond_the_sentences_are_refused(run, tmp_path):
    text = tmp_path / "text"
    text.write_text("a b ||| c\nd ||| e\n")
    code, _, err = run("1-1\n1-1\n", "0-0\n0-1\n", *BASES, "--text", text)
    assert code == 1
    assert "links, line 2: the pair has 1 source and 1 target words, numbered from 0, but a link joins" in err
    code, _, err = run("1-1\n1-2\n", "0-0\n0-0\n", *BASES, "--text", text)
    assert code == 1
    assert "gold, line 2: the pair has 1 source and 1 target words, numbered from 1, but a link joins" in err


def test_percentages_have_four_digits(run, tmp_path):
    _, out, _ = run("1-1 2-2 3-3\n", "0-0 1-0 2-0\n", *BASES)
    found = json.loads(out)
    assert (found["aer"], found["precision"], found["recall"], found["f1"]) == (66.6667, 33.3333, 33.3333, 33.3333)


def test_the_source_word_comes_first_unless_it_is_said(tmp_path):
    path = tmp_path / "gold"
    path.write_text("0-1\n", encoding="utf-8")
    assert compare_files(path, path, gold_form=LinkForm(0), links_form=LinkForm(0)).scores()["aer"] == 0


@pytest.mark.parametrize(
    ("gold", "links", "bases"),
    [
        ("7 1 1 S\n7 2 2 P\n9 1 1 S\n", "0-0 1-1 1-0\n0-0\n\n", BASES),
        ("7 1 1 S\n7 2 2 P\n9 1 1 S\n", "7 1 1\n7 2 2\n7 2 1\n8 1 1\n", ("--gold-base", 1, "--links-base", 1)),
        ("1-1 2p2\n\n1-1\n", "1\t0-0:0.9 1-1:0.5 1-0:.1\n2\t0-0:1\n3\t\n", BASES),
        ("a b\tx y\t0-0 1p1\na\tx\t\na\tx\t0-0\n", "1 0 0\n1 1 1\n1 1 0\n2 0 0\n", ("--gold-base", 0, "--links-base", 0)),
    ],
)  # fmt: skip
def test_forms_may_differ(run, tmp_path, gold, links, bases):
    """Sentences without a link are missing in NAACL form: the text says how many there are."""
    text = [tmp_path / name for name in ("text.en", "text.fr")]
    numbered = gold.startswith("7 ")
    for path, words in zip(text, ("a b", "x y"), strict=True):
        path.write_text("".join(f"<s snum={n}> {words} </s>\n" if numbered else f"{words}\n" for n in (7, 8, 9)))
    code, out, err = run(gold, links, *bases, "--text", text[0], "--text", text[1])
    assert (code, err) == (0, "")
    scores = json.loads(out)
    assert {key: scores[key] for key in ("aer", "sure", "possible", "predicted", "sentences")} == {
        "aer": 50.0, "sure": 2, "possible": 1, "predicted": 4, "sentences": 3,
    }  # fmt: skip
    # by hand: both words of either side in the second sentence, the second ones in the third
    assert (scores["unaligned"], scores["left_out"]) == (6, 6)
    assert scores["unaligned_precision"] == scores["unaligned_recall"] == pytest.approx(100 * 4 / 6, abs=1e-4)


def test_sentences_are_matched_by_number_where_both_files_have_them(run):
    _, out, _ = run("4 1 1 S\n9 1 1 S\n", "9 1 1\n12 1 1\n", "--gold-base", 1, "--links-base", 1)
    assert {key: json.loads(out)[key] for key in ("aer", "predicted", "sentences")} == {
        "aer": 50.0, "predicted": 2, "sentences": 3,
    }  # fmt: skip


def test_an_unknown_form_and_too_many_texts_are_one_line(run, tmp_path):
    code, _, err = run("1-1\n", "(0,0)\n", *BASES)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(
        "error: links, line 1: links must be in a form that is known, but the line is '(0,0)'; known: "
    )
    code, _, err = run("1-1\n", "0-0\n", *BASES, *["--text", tmp_path / "x"] * 3)
    assert (code, err) == (
        1,
        "error: --text: one file with both sides, or two, but there are 3; leave the others out\n",
    )


def test_a_missing_file(run, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["aer", str(tmp_path / "no"), str(tmp_path / "no"), "--gold-base", "0", "--links-base", "0"])
    assert stop.value.code == 1
    assert "must be a text file that can be read" in capsys.readouterr().err


def test_the_bases_must_be_said(run):
    code, _, err = run("1-1\n", "0-0\n")
    assert code == 2
    assert "--gold-base" in err


def test_the_command_of_the_readme_imports_no_model_library(tmp_path):
    (tmp_path / "gold").write_text("1-1\n")
    command = (
        "import sys; from pipeline.cli import main\n"
        "try:\n    main(sys.argv[1:])\nfinally:\n    print('torch' in sys.modules)"
    )
    files = [str(tmp_path / "gold")] * 2
    arguments = ["aer", *files, "--gold-base", "1", "--links-base", "1"]
    done = subprocess.run([sys.executable, "-c", command, *arguments], capture_output=True, text=True, check=True)
    scores, torch_is_there = done.stdout.splitlines()
    assert json.loads(scores)["aer"] == 0
    assert torch_is_there == "False"


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "options", "printed"),
    [
        ("enfr.awesome-align.out", (), 4.1),
        ("giza.test.enfr.grow-diagonal.talp", (), 5.9),
        ("fastalign.test.enfr.grow-diagonal.talp", (), 10.5),
        ("fastalign.test.enfr.talp", (), 16.4),
        ("fastalign.test.enfr.reverse.talp", ("--reverse",), 15.9),
    ],
)
def test_parity_on_hansards_from_the_command_line(shared_data, capsys, name, options, printed):
    folder = shared_data / "gold" / "hansards"
    files = [str(folder / "enfr.gold"), str(folder / name), "--text", str(folder / "enfr.src-tgt")]
    with pytest.raises(SystemExit) as stop:
        main(["aer", *files, *map(str, BASES), *options])
    assert stop.value.code == 0
    result = json.loads(capsys.readouterr().out)
    assert round(result["aer"], 1) == printed
    assert [key for key in result if "un" not in key] == [
        "aer", "f1", "left_out", "possible", "precision", "predicted", "recall", "sentences", "sure",
    ]  # fmt: skip
    assert result["unaligned"] == 676
