"""What the documents tell people to type runs: Python blocks as they stand, commands and parameter files by name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import app

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language):
    """Return the code blocks of a language with where they stand."""
    return [
        pytest.param(match[2], id=f"{path.name}-{path.read_text(encoding='utf-8')[: match.start()].count(chr(10)) + 1}")
        for path in DOCUMENTS
        for match in BLOCK.finditer(path.read_text(encoding="utf-8"))
        if match[1] == language
    ]


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", blocks("sh"))
def test_commands_and_parameter_files_exist(code):
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    named = set(re.findall(r"python -m pipeline (\w+)", code))
    assert named <= known
    targets = re.findall(r"^make (\w+)", code, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    for path in re.findall(r"params/\w+\.yaml", code):
        assert (ROOT / path).is_file(), path


def test_there_is_something_to_run():
    assert len(blocks("python")) >= 1 and len(blocks("sh")) >= 2
