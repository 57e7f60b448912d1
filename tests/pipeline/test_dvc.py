"""dvc.yaml says what the code does: parameters read, code imported, outputs written."""

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from tests.pipeline.imports import closure

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def stages():
    """Return the stages of dvc.yaml, templates as written."""
    found = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return {name: stage.get("do", stage) for name, stage in found.items()}


def _script(stage):
    return Path(*stage["cmd"].split()[2].split(".")).with_suffix(".py")


def _covers(dep, file):
    return file == Path(dep) or Path(dep) in file.parents


def test_every_stage_lists_the_code_that_it_imports(stages):
    for name, stage in stages.items():
        code = [dep for dep in stage["deps"] if dep.startswith(("pipeline", "otcore"))]
        imported = {file for file in closure(_script(stage)) if file.name != "__init__.py" or "stages" in file.parts}
        missing = sorted(str(file) for file in imported if not any(_covers(dep, file) for dep in code))
        assert not missing, f"stage {name} imports what it does not list: {missing}"


def test_no_stage_lists_code_that_it_does_not_import(stages):
    for name, stage in stages.items():
        imported = closure(_script(stage))
        idle = [
            dep
            for dep in stage["deps"]
            if dep.startswith(("pipeline", "otcore")) and not any(_covers(dep, file) for file in imported)
        ]
        assert not idle, f"stage {name} lists code that it does not import: {idle}"


def test_what_a_stage_depends_on_is_there_or_made_before(stages):
    made = [str(next(iter(out)) if isinstance(out, dict) else out) for s in stages.values() for out in _outs(s)]
    made = [out.replace("${key}", "*").replace("${item}", "*") for out in made]
    for name, stage in stages.items():
        for dep in stage["deps"]:
            dep = dep.replace("${key}", "*").replace("${item}", "*")
            inside = any(fnmatch(dep, out) or dep.startswith(f"{out}/") for out in made)
            holds = any(out.startswith(f"{dep}/") for out in made)
            assert (ROOT / dep).exists() or inside or holds, f"stage {name}: nobody makes {dep}"


def _outs(stage):
    return [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]


def test_stage_scripts_are_thin():
    for script in (ROOT / "pipeline" / "stages").glob("[a-z]*.py"):
        assert len(script.read_text(encoding="utf-8").splitlines()) <= 60, script.name


@pytest.mark.slow
def test_dvc_reads_the_file():
    dvc = Path(sys.executable).parent / "dvc"
    done = subprocess.run([dvc, "stage", "list", "--name-only"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"corpus", "links", "extract@mini-marian", "align@mini-mbert", "certify", "claims", "report"} <= set(
        done.stdout.split()
    )


def test_heavy_libraries_are_not_imported_where_no_tensor_is_touched():
    code = (
        "import sys; import pipeline.params, pipeline.corpus.words, pipeline.corpus.select, pipeline.lexicon, "
        "pipeline.attention.store, pipeline.cli, pipeline.report.render; "
        "print(sorted({'torch', 'transformers', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rooms_import_only_to_their_left():
    order = [
        "corpus", "lexicon", "attention", "alignment", "sums", "intervention", "synthetic", "verdicts", "compare", "report", "stages",
    ]  # fmt: skip
    plumbing = {
        "claims.py",
        "claims_file.py",
        "columns.py",
        "errors.py",
        "failures.py",
        "methods.py",
        "study_file.py",
        "migrate.py",
        "packing.py",
        "params",
        "_messages.py",
        "_kept.py",
        "_output.py",
        "_queue.py",
        "_fetch.py",
        "_hub.py",
        "_digests.py",
        "_yaml.py",
        "conventions.py",
        "__init__.py",
    }
    from tests.pipeline.imports import direct

    for place, room in enumerate(order):
        for file in (ROOT / "pipeline" / room).rglob("*.py"):
            for imported in direct(file.relative_to(ROOT)):
                if imported.parts[0] == "otcore" or imported.name == "__init__.py":
                    continue
                if imported.parent == Path("pipeline") and imported.name in plumbing:
                    continue
                assert imported.parts[1] in order[: place + 1], f"{file.relative_to(ROOT)} imports {imported}"
    for file in (ROOT / "otcore").rglob("*.py"):
        assert all(imported.parts[0] == "otcore" for imported in direct(file.relative_to(ROOT)))


def test_an_edit_of_the_mathematics_draws_the_page_again_only_if_a_metric_changes(stages):
    code = ("otcore", "pipeline/synthetic", "pipeline/verdicts")
    assert not [str(file) for file in closure(_script(stages["report"])) if str(file).startswith(code)]
    assert not [str(file) for file in closure(_script(stages["claims"])) if str(file).startswith(code[:2])]


DERIVED = {
    "corpus.src_lang": "corpus.pair",
    "corpus.tgt_lang": "corpus.pair",
    "extract.splits": "extract.controls",
}
"""What a script may read that follows from a key of the file."""


def test_every_stage_lists_the_parameters_that_it_reads(stages):
    """Blocks, and single keys where the script names them, in both directions."""
    for name, stage in stages.items():
        if name in {"report", "certify", "sources"}:
            continue  # shows all of params.yaml, which it depends on as a file; sources runs every time
        code = (ROOT / _script(stage)).read_text(encoding="utf-8")
        read = set(re.findall(r"\bparams\.([a-z_]+(?:\.[a-z_]+)?)", code))
        listed = {re.sub(r"\.?\$\{\w+\}", "", param) for param in stage["params"]}
        blocks = {key.split(".")[0] for key in read}
        assert blocks == {key.split(".")[0] for key in listed}, f"stage {name}"
        for key in read:
            block = key.split(".")[0]
            assert block in listed or key in listed or any(k.startswith(f"{key}.") for k in listed) or block == key or (
                DERIVED.get(key) in listed
            ), f"stage {name} reads {key}"  # fmt: skip
