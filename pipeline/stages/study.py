"""Stage `study@NAME`: one experiment on an open question of the paper; continued if it was stopped."""

import shutil
from pathlib import Path
from typing import cast

import typer

from pipeline.errors import PipelineError
from pipeline.params import StudyName, load_params
from pipeline.stages import run_stage, say
from pipeline.study_file import write_study
from pipeline.synthetic.studies import StudySettings
from pipeline.synthetic.studies.catalogue import RUNS, run_study

WORK, RESULTS = Path("work"), Path("reports/results/studies")


def main(name: str) -> None:
    """Write `reports/results/studies/NAME.json` and the tables in the folder `NAME` beside it."""
    if name not in RUNS:
        message = f"study: one of {', '.join(RUNS)}, but {name!r} was asked for; correct the name"
        raise PipelineError(message)
    params = load_params(check_paths=False)
    chosen = params.studies.model_dump(include={"size", "seeds", "seed"})
    work = WORK / f"study-{name}"
    result = run_study(cast(StudyName, name), StudySettings(**chosen, work=work, say=say))
    write_study(result, RESULTS)
    shutil.rmtree(work, ignore_errors=True)
    for claim in (claim for claim in result.claims if claim.role == "decides"):
        say(f"study: {name}: {claim.verdict}: {claim.statement}")


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
