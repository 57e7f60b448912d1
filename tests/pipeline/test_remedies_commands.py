"""Messages of commands: what they tell the user to do is done, and then it works; what they name is there."""

import ast
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline._yaml import parse
from pipeline.cli import app, main
from pipeline.params import Params
from tests.pipeline.test_remedies import main_ok


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a project of its own, under git, with a text of two pairs and a dictionary."""
    shutil.copy(Path(__file__).parents[2] / "params" / "demo.yaml", tmp_path / "params.yaml")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    for name in ("mini-marian", "mini-mbert"):
        (tmp_path / "data" / "demo" / name).mkdir(parents=True)
        (tmp_path / "data" / "demo" / name / "config.json").touch()  # git keeps no empty folder
    (tmp_path / "a.en").write_text("the dog barks\nthe cat sleeps\n", encoding="utf-8")
    (tmp_path / "a.fr").write_text("le chien aboie\nle chat dort\n", encoding="utf-8")
    (tmp_path / "pieces.en").write_text("the do@@ g barks\nthe ca@@ t sleeps\n", encoding="utf-8")
    (tmp_path / "d").write_text("dog chien\n", encoding="utf-8")
    (tmp_path / "gold").write_text("1-1 3-3\n1-1\n", encoding="utf-8")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *arguments], check=True)
    return tmp_path


INIT = ["init", "--pair", "en-fr", "--src", "a.en", "--tgt", "a.fr", "--dictionary", "d"]


@pytest.mark.parametrize(
    ("typed", "match", "then"),
    [
        ([*INIT, "--gold", "gold"], r"--gold-base: 0 or 1, .*add it", [*INIT, "--gold", "gold", "--gold-base", "1"]),
        ([*INIT, "--gold-base", "1"], r"--gold: .*left out; add it", [*INIT, "--gold-base", "1", "--gold", "gold"]),
        ([*INIT, "--gold-base", "1"], r"--gold: .*or leave these out", INIT),
        ([*INIT, "--gold", "gold", "--gold-base", "0"], r"check base, direction and text", [*INIT, "--gold", "gold", "--gold-base", "1"]),
        (["init", "--pair", "en-xh", *INIT[3:7]], r"--dictionary: needed .*name a file, \"source target\" a line",
         ["init", "--pair", "en-xh", *INIT[3:]]),
        ([*INIT[:5], *INIT[7:]], r"corpus\.tgt: .*name the text files", INIT),
        ([*INIT, "--into", "data"], r"--into: a folder that is not there yet, .*name another", [*INIT, "--into", "new"]),
        ([*INIT[:4], "pieces.en", *INIT[5:]], r"\(in a command: --words given\)", [*INIT[:4], "pieces.en", *INIT[5:], "--words", "given"]),
        ([*INIT, "--translator", "./data", "--reads", "cross", "--positions", "restart"], r"positions: only a model that reads joint .*leave them out",
         [*INIT, "--translator", "./data", "--reads", "cross"]),
    ],
)  # fmt: skip
def test_of_init(home: Path, capsys: pytest.CaptureFixture[str], typed: list[str], match: str, then: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(typed)
    assert re.search(match, capsys.readouterr().err)
    main_ok(then)
    written = Params.model_validate(json.loads(json.dumps(parse((home / "params.yaml").read_text(encoding="utf-8")))))
    assert written.words.pretokenised is ("--words" in then or "auto")


@pytest.mark.parametrize("way", [["--force"], ["--into", "new"]])
def test_an_edited_file_is_replaced_by_force_or_left_as_it_is(
    home: Path, capsys: pytest.CaptureFixture[str], way: list[str]
) -> None:
    main_ok(INIT)
    first = Path("params.yaml").read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        main([*INIT, "--n-pairs", "1"])
    assert re.search(r"add --force, which keeps it as params.yaml.old, or --into FOLDER", capsys.readouterr().err)
    main_ok([*INIT, "--n-pairs", "1", *way])
    kept = "params.yaml.old" if way == ["--force"] else "params.yaml"
    assert Path(kept).read_text(encoding="utf-8") == first


def test_the_command_of_error_rates_says_which_option_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, base in (("gold", 1), ("links", 0)):
        lines = [" ".join(f"{i + base}-{i + base}" for i in range(n)) for n in range(3, 40)]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = ["aer", str(tmp_path / "gold"), str(tmp_path / "links")]
    with pytest.raises(SystemExit):
        main([*files, "--gold-base", "0", "--links-base", "0", "--strict"])
    message = capsys.readouterr().err
    (figure, options) = re.findall(r"but ([\d.]+) with (--[a-z-]+ \d)", message)[0]
    main_ok([*files, "--links-base", "0", *options.split(), "--strict"])
    assert json.loads(capsys.readouterr().out)["aer"] == float(figure) == 0.0
    main_ok([*files, "--gold-base", "0", "--links-base", "0"])  # or leave out --strict


# What messages say of other tools: dvc, ray, and `python -m pipeline.mini`.
FOREIGN = {"--force", "--head", "--batch"}


def messages(project: Path) -> Iterator[tuple[Path, str]]:
    """Yield every text of the source that stands in a message or is refused with, what varies as `{}`."""
    for path in sorted((project / "pipeline").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            said = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in (
                "message",
                "say",
                "remedy",
                "command",
            )
            if said or (isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("refuse", "PipelineError")):
                texts = [
                    part for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)
                ]
                yield path, " ".join(str(text.value) for text in texts)


def test_commands_options_stages_and_extras_that_messages_name_exist(project: Path) -> None:
    from typer.main import get_command

    commands = get_command(app).commands
    options = {name for command in commands.values() for option in command.params for name in option.opts}
    extras = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    stages = parse((project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    found: dict[str, set[str]] = {"command": set(), "option": set(), "extra": set(), "stage": set()}
    for _, text in messages(project):
        found["command"] |= set(re.findall(r"python -m pipeline ([a-z]+)", text))
        found["option"] |= set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - FOREIGN
        found["extra"] |= set(re.findall(r"(?:attention-transport|\.)\[(\w+)\]", text))
        found["stage"] |= set(re.findall(r"dvc repro (?:--force )?([a-z]+)", text))
    for path in sorted((project / "pipeline").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "stage" and isinstance(node.value, ast.Constant):
                found["stage"].add(str(node.value.value).partition("@")[0])
    known = {"command": commands, "option": options, "extra": extras, "stage": stages}
    assert {kind: names - set(known[kind]) for kind, names in found.items()} == {kind: set() for kind in found}
    assert [len(found[kind]) > least for kind, least in (("option", 10), ("stage", 3))] == [True, True]
