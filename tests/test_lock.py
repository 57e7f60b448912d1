"""constraints.txt pins every package of a set-up, and nothing that only some machines can install."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def lock(project: Path):
    spec = importlib.util.spec_from_file_location("lock", project / ".ci/lock.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(*packages: str) -> dict:
    pairs = [package.split("==") for package in packages]
    return {"install": [{"metadata": {"name": name, "version": version}} for name, version in pairs]}


def test_the_lock_of_a_report(lock):
    found = report(
        "pydantic_core==2.0", "torch==2.13.0+cu130", "nvidia-cublas==13.0", "nvidia-cudnn-cu13==9", "cuda-bindings==13",
        "triton==3.7", "nvidia-ml-py==13.6", "setuptools==84", "attention-transport==0.1.0", "pydantic==2.1", "POT==0.9.7.post1",
    )  # fmt: skip
    lines = lock.constraints(found).splitlines()
    assert lines == [lock.HEADER, "nvidia-ml-py==13.6", "POT==0.9.7.post1", "pydantic==2.1", "pydantic_core==2.0", "torch==2.13.0"]  # fmt: skip


def test_the_committed_file_is_one_that_the_lock_writes(lock, project):
    text = (project / "constraints.txt").read_text(encoding="utf-8")
    assert lock.constraints(report(*text.splitlines()[1:])) == text
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in text.splitlines()[1:])
    assert "\ntorch==2.13.0\n" in text


def test_every_package_that_the_project_names_is_pinned(project):
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = about["optional-dependencies"]
    named = [*about["dependencies"], *extras["docs"], *extras["dev"]]
    named.remove("attention-transport[docs]")  # the project itself, for the line before
    pinned = (project / "constraints.txt").read_text().splitlines()[1:]
    assert {_normal(name) for name in named} - {_normal(line) for line in pinned} == set()


def _normal(requirement: str) -> str:
    """Return the name in the one spelling that registries compare: `language_data` is `language-data`."""
    return re.sub(r"[._-]+", "-", re.match(r"[A-Za-z0-9._-]+", requirement)[0]).lower()
