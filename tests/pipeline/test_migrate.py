"""Parameter files of older versions are renewed in place: comments kept, the rest byte for byte."""

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.cli import main
from pipeline.errors import PipelineError
from pipeline.migrate import STEPS, migrate, outdated
from pipeline.params import Params, load_params

OLD = Path(__file__).parent / "data_old_params"
NAMES = {"demo.yaml": "params.yaml", "newstest.yaml": "params/newstest.yaml", "paper.yaml": "params/paper.yaml"}


@pytest.fixture
def write(tmp_path: Path):
    def write_text(text: str) -> Path:
        path = tmp_path / "params.yaml"
        path.write_bytes(text.encode("utf-8"))
        return path

    return write_text


def read(text: str) -> dict:
    return YAML(typ="safe", pure=True).load(text)


def run(capsys, *args: object) -> tuple[int, list[str], list[str]]:
    code = 0
    try:
        main([str(arg) for arg in args])
    except SystemExit as end:
        code = int(end.code or 0)
    out = capsys.readouterr()
    return code, out.out.splitlines(), out.err.splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_file_of_before_becomes_the_shipped_file_of_today(name, write, project):
    text = (OLD / name).read_text(encoding="utf-8")
    path = write(text)
    with pytest.raises(
        PipelineError, match=r"params\.yaml: written for an older version \(align\.convention is"
    ) as error:
        load_params(path, check_paths=False)
    assert str(error.value).endswith(f"; run `python -m pipeline migrate {path}`")
    assert "\n" not in str(error.value)
    assert [step.was for step in migrate(path)] == ["align.convention"]
    new = path.read_text(encoding="utf-8")
    assert read(new)["convention"] == "corrected"
    comments = [re.findall(r"#.*", t) for t in (text, new)]
    assert sorted(comments[0]) == sorted(comments[1])
    moved = "convention: corrected        # corrected | paper | notebook: see docs/design.md, section 5"
    lines = new.splitlines()
    at = lines.index(moved)
    assert lines[at - 1] == lines[at + 1] == ""
    assert lines[at + 2].startswith("corpus:")
    kept = [line for line in text.splitlines() if not line.startswith("  convention:")]
    assert lines[:at] + lines[at + 2 :] == kept


@pytest.mark.parametrize("name", NAMES)
def test_a_renewed_file_loads_and_is_not_touched_again(name, write):
    from pipeline.fill import fill

    path = write((OLD / name).read_text(encoding="utf-8"))
    migrate(path)
    fill(path)
    assert isinstance(load_params(path, check_paths=False), Params)
    once = path.read_bytes()
    assert migrate(path) == []
    assert fill(path) == []
    assert path.read_bytes() == once


@pytest.mark.parametrize("name", NAMES.values())
def test_a_file_of_today_stays_byte_for_byte(name, write, project):
    text = (project / name).read_text(encoding="utf-8")
    path = write(text)
    assert outdated(read(text)) == []
    assert migrate(path) == []
    assert path.read_bytes() == text.encode("utf-8")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # the comments and blank lines around the key stay where they were; that behind it goes along
        (
            "corpus: {}\n\nalign: # a\n  # before\n  convention: paper  # mine\n  # after\n  level: 0.9\n",
            "convention: paper    # mine\n\ncorpus: {}\n\nalign: # a\n  # before\n  # after\n  level: 0.9\n",
        ),
        # last key of the block, next to the comment of the next block
        (
            "align:\n  level: 0.9\n  convention: paper\n\n# gold\ngold: null\n",
            "convention: paper\n\nalign:\n  level: 0.9\n\n# gold\ngold: null\n",
        ),
        # a block that held nothing else, at the end of a file without a last newline
        ("align:  # a\n    convention: 'notebook'", "convention: 'notebook'\n\nalign: {}  # a\n"),
        # in braces: first, last, alone, over lines
        ("align: {convention: paper, level: 0.9} # a\n", "convention: paper\n\nalign: {level: 0.9} # a\n"),
        ("align: {level: 0.9, convention: paper}\n", "convention: paper\n\nalign: {level: 0.9}\n"),
        ("align: {convention: paper}\n", "convention: paper\n\nalign: {}\n"),
        ("align: {level: 0.9,\n  convention: paper,\n}\n", "convention: paper\n\nalign: {level: 0.9,\n}\n"),
        # JSON
        (
            '{"align": {"convention": "paper", "level": 0.9}, "gold": null}',
            '{"align": {"level": 0.9}, "gold": null, "convention": "paper"}',
        ),
        # the head of the file, with and without a blank line; a comment that belongs to the first block
        ("# head\n# head\nalign:\n  convention: paper\n", "# head\n# head\nconvention: paper\n\nalign: {}\n"),
        (
            "# head\n\n# align\nalign:\n  convention: paper\n",
            "# head\n\nconvention: paper\n\n# align\nalign: {}\n",
        ),
        # line ends of Windows
        ("align:\r\n  convention: paper # é\r\n", "convention: paper   # é\r\n\r\nalign: {}\r\n"),
        # said twice in the same way
        ("convention: paper\nalign:\n  convention: paper\n  level: 0.9\n", "convention: paper\nalign:\n  level: 0.9\n"),
    ],
)  # fmt: skip
def test_convention_moves_to_the_top(old, new, write):
    path = write(old)
    assert len(migrate(path)) == 1
    assert path.read_bytes().decode("utf-8") == new


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (
            "convention: paper\nalign: {convention: notebook}\n",
            r"convention: must be said once, but it is 'paper' and align\.convention is 'notebook'; remove align\.",
        ),
        (
            "base: &base\n  convention: paper\nalign:\n  <<: *base\n",
            r"align\.convention must stand as a key of its own to become the top-level key.*; change it by hand",
        ),
        ("align: [1\ngold: 3\n", r"params\.yaml, line 2: not valid YAML in UTF-8: expected"),
        ("- 1\n", r"params\.yaml: must hold the blocks of params\.yaml, but is list"),
    ],
)
def test_what_cannot_be_renewed_is_one_line_and_left_alone(text, match, write):
    path = write(text)
    with pytest.raises(PipelineError, match=match) as error:
        migrate(path)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == text.encode("utf-8")


def test_the_command_says_what_it_changed(capsys, write):
    path = write((OLD / "demo.yaml").read_text(encoding="utf-8"))
    assert run(capsys, "migrate", path) == (0, [f"{path}: align.convention is now the top-level key convention"], [])
    assert run(capsys, "migrate", path) == (0, [f"{path}: nothing to change"], [])
    code, lines, errors = run(capsys, "migrate", path.with_name("nowhere.yaml"))
    assert (code, lines) == (1, [])
    assert len(errors) == 1
    assert "no such parameter file" in errors[0]


def test_every_step_is_met_by_an_old_file():
    met = {step.was for file in OLD.iterdir() for step in outdated(read(file.read_text(encoding="utf-8")))}
    assert met == {step.was for step in STEPS}


def test_the_demo_of_the_schema_is_not_outdated():
    assert outdated(json.loads(Params().model_dump_json())) == []
