"""The command line: `python -m pipeline COMMAND`. Heavy imports live inside the commands."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.errors import PipelineError

app = typer.Typer(
    name="python -m pipeline",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Base = Literal["0", "1"]


@app.callback()
def _commands() -> None:
    """Ask whether trained translators align words by optimal transport."""


@app.command()
def aer(
    gold: Annotated[Path, typer.Argument(help="Hand-made links: i-j sure, ipj possible; or the demo's .tsv table.")],
    links: Annotated[Path, typer.Argument(help="Links to score, i-j, a line a sentence.")],
    *,
    gold_base: Annotated[Base, typer.Option(help="Number of the first word in GOLD.")],
    links_base: Annotated[Base, typer.Option(help="Number of the first word in LINKS.")],
    reverse: Annotated[bool, typer.Option("--reverse", help="LINKS has the target word first.")] = False,
    text: Annotated[
        Path | None, typer.Option(help="The sentences, `source ||| target`: no link may go beyond them.")
    ] = None,
) -> None:
    """Print the alignment error rate of LINKS against GOLD as one JSON object.

    Percentages: aer, precision, recall, f1. Counts: sure, possible (beside the sure), predicted, sentences.
    A sentence of a .tsv table without hand-made links is not scored.
    """
    from pipeline.alignment.gold import score_files

    result = score_files(gold, links, gold_base=int(gold_base), links_base=int(links_base), reverse=reverse, text=text)
    typer.echo(json.dumps(result, sort_keys=True))


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="The parameters to check.")] = Path("params.yaml"),
    complete: Annotated[
        bool, typer.Option("--fill", help="First add the keys that are left out, with defaults and comments.")
    ] = False,
) -> None:
    """Check a parameter file; every problem is one line that names the key, the rule and what to do."""
    from pipeline.doctor import advise
    from pipeline.fill import fill, left_out
    from pipeline.params import load_params

    for key in fill(file) if complete else ():
        typer.echo(f"{file}: added {key}")
    params = load_params(file)
    # DVC reads an entry of translators whole; of other blocks it wants the keys that a stage names.
    if keys := [key for key in left_out(file) if not key.startswith("translators.")]:
        typer.echo(f"{file}: note: {', '.join(keys)}: left out, and dvc may miss it; --fill adds what is left out")
    for note in advise(params):
        typer.echo(f"{file}: note: {note}")
    typer.echo(f"{file}: every key is right")


@app.command()
def migrate(
    file: Annotated[Path, typer.Argument(help="The parameters to renew.")] = Path("params.yaml"),
) -> None:
    """Rewrite a parameter file of an older version in place, comments kept, and say what has changed."""
    from pipeline.migrate import migrate as renew

    steps = renew(file)
    for step in steps:
        typer.echo(f"{file}: {step.was} is now {step.now}")
    if not steps:
        typer.echo(f"{file}: nothing to change")


@app.command()
def doctor(
    file: Annotated[Path, typer.Argument(help="The parameters of the run.")] = Path("params.yaml"),
    probe: Annotated[bool, typer.Option(help="Read ten sentences with each model, to estimate time.")] = True,
) -> None:
    """Say what is installed and cached, and what a run would download, need and take.

    The exit code is 1 if something stands in its way.
    """
    from pipeline.doctor import examine
    from pipeline.params import load_params

    findings = examine(load_params(file), probe=probe, say=lambda line: typer.echo(line, err=True))
    for finding in findings:
        typer.echo(f"{'PROBLEM' if finding.problem else 'ok':8}{finding.about}: {finding.says}")
    if any(finding.problem for finding in findings):
        raise SystemExit(1)


@app.command()
def convert(
    model: Annotated[str, typer.Argument(help="A folder, or owner/name on the hub, with pytorch_model.bin.")],
    target: Annotated[Path, typer.Argument(help="The folder to write, to be named as `model:`.")],
    revision: Annotated[str | None, typer.Option(help="Commit hash or branch on the hub.")] = None,
) -> None:
    """Rewrite a model's weights as safetensors; the old ones are read as plain tensors, never as code."""
    from pipeline.attention.convert import convert as rewrite

    rewrite(model, target, revision=revision, say=lambda line: typer.echo(line, err=True))


def main(args: list[str] | None = None) -> None:
    """Run one command; a `PipelineError` becomes one line on the standard error output and exit code 1."""
    try:
        app(args=args, prog_name="python -m pipeline")
    except PipelineError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None
