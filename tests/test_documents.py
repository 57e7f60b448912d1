"""What the documents tell people to type runs, in the order of each page; links lead somewhere; the site is built whole.

A block that needs the network or minutes has a line before it, `<!-- not run: why -->` or `<!-- parsed only: why -->`: its commands,
targets and options must exist all the same.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.cli import app

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"(?:^<!-- (not run|parsed only): (.+) -->\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ENVIRONMENT = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
NOT_IN_TESTS = re.compile(r"^(make |source |\.venv/bin/pip )")  # set-up, and what other tests do


def blocks(language):
    """Return the code blocks of a language with where they stand, and whether and why they are not run."""
    return [
        pytest.param(match[4], match[1], id=f"{path.name}-{text[: match.start()].count(chr(10)) + 1}")
        for path in DOCUMENTS
        for text in [path.read_text(encoding="utf-8")]
        for match in BLOCK.finditer(text)
        if match[3] == language
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder that looks like the project to what runs in it, and keeps what that writes."""
    root = tmp_path_factory.mktemp("project")
    for name in ("data/demo", "params", "reports/metrics", "dvc.yaml", ".git"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "params.yaml", root)  # a block may write it
    (root / "work").mkdir()
    return root


@pytest.mark.parametrize(("code", "marked"), blocks("python"))
def test_python_runs(code, marked, folder):
    assert marked is None, "Python blocks are all run"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder, capture_output=True, text=True, check=False, env=os.environ | ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("code", "marked"), blocks("sh"))
def test_commands_and_parameter_files_exist(code, marked):
    known = {command.name or command.callback.__name__: command for command in app.registered_commands}
    options = _options()
    for line in code.splitlines():
        if said := re.search(r"python -m pipeline ([a-z]+)(.*)", line):
            assert said[1] in known
            typed = [word for word in shlex.split(said[2], comments=True) if word.startswith("-")]
            assert set(typed) <= options[said[1]], line
    targets = re.findall(r"^make (\w+)", code, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    for path in re.findall(r"params/\w+\.yaml", code):
        assert (ROOT / path).is_file(), path


def _options():
    import typer

    commands = typer.main.get_command(app).commands
    return {
        name: {o for one in found.params for o in (*one.opts, *one.secondary_opts)} for name, found in commands.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize(("code", "marked"), [one for one in blocks("sh") if one.values[1] is None])
def test_commands_run(code, marked, folder):
    lines = [line for line in code.splitlines() if line.strip() and not NOT_IN_TESTS.match(line)]
    done = subprocess.run(
        ["bash", "-euc", "\n".join(lines)],
        cwd=folder, capture_output=True, text=True, check=False, env=os.environ | ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("code", "marked"), blocks("yaml"))
def test_parameters_are_keys_that_there_are(code, marked):
    from pipeline.params import Params

    found = yaml.safe_load(code)
    for block, said in found.items():
        kind = Params.model_fields[block]
        assert said is None or kind, block
        for one in said if isinstance(said, list) else [said]:
            for name, value in one.items():
                inner = value if block == "translators" else {name: value}
                assert set(inner) <= _keys(block), inner


def _keys(block):
    from pipeline import params

    kinds = {"translators": params.Translator, "gold": params.Gold}
    default = None if block in kinds else params.Params.model_fields[block]
    kind = kinds.get(block) or default.annotation
    return set(kind.model_fields)


def test_there_is_something_to_run():
    run = [one for one in blocks("sh") if one.values[1] is None]
    assert len(blocks("python")) >= 4 and len(run) >= 8


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_are_there(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "/" not in target and "." not in target:
            continue  # mathematics, f[i](x)
        assert target.startswith("https://") or (path.parent / target).exists(), target


def test_the_notebook_runs(folder):
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(ROOT / "docs" / "quickstart.ipynb", as_version=4)
    kept = [_text(cell) for cell in book.cells]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        NotebookClient(
            book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        ).execute()
    assert [_text(cell) for cell in book.cells] == kept, "run it again and keep its outputs"


def _text(cell):
    """Return what a cell shows: pictures, warnings and counts of runs aside."""
    found = [out.get("data", {}).get("text/plain", "") for out in cell.get("outputs", [])]
    return [text for text in found if text and "Figure" not in text]


def test_tables_of_the_code_are_whole():
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / ".ci" / "docs_hooks.py")
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    marks = [name for path in DOCUMENTS for name in hooks.MADE.findall(path.read_text(encoding="utf-8"))]
    assert sorted(set(marks)) == sorted(hooks.TABLES)
    for name in marks:
        made = hooks.on_page_markdown(f"before <!-- made: {name} --> after")
        assert made.startswith("before ") and made.endswith(" after") and len(made) > 100, name
        widths = {
            row.replace("\\|", "").count("|")
            for row in made.splitlines()
            if row.startswith("| ") and name != "commands"
        }
        assert len(widths) <= 1, name


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_asks_the_network_for_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) >= 18
    fetched = re.compile(
        r"<(?:script|img|iframe)[^>]+src=\"(?:https?:)?//|<link[^>]+rel=\"(?:stylesheet|preconnect|icon)\"[^>]+href=\"(?:https?:)?//"
    )
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not fetched.search(text), page.name
        assert "<!-- made:" not in text, page.name
