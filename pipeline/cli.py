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
    gold: Annotated[Path, typer.Argument(help="Hand-made links: i-j sure, ipj possible; or another known form.")],
    links: Annotated[Path, typer.Argument(help="Links to score, the same sentences in the same or another form.")],
    *,
    gold_base: Annotated[Base, typer.Option(help="Number of the first word in GOLD.")],
    links_base: Annotated[Base, typer.Option(help="Number of the first word in LINKS.")],
    reverse: Annotated[bool, typer.Option("--reverse", help="LINKS has the target word first.")] = False,
    text: Annotated[
        list[Path] | None,
        typer.Option(
            help="The sentences, `source ||| target`, or an XL-WA table; or twice, a file of words a side. "
            "No link may go beyond them, and words without a link are scored."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse what is implausible instead of warning.")] = False,
) -> None:
    """Print the alignment error rate of LINKS against GOLD as one JSON object.

    Percentages: aer, precision, recall, f1; with --text those of words without a link, unaligned_precision and so on.
    Counts: sure, possible (beside the sure), predicted, sentences; with --text words unaligned by hand and left_out.

    Known forms: pharaoh (and .talp; 0-1, 0p1, 0?1, 0-1:0.93), ids (name, tab, links), naacl (sentence, source, target,
    S or P a line), xlwa (source, target, links between tabs), table (a .tsv with a column links, where an empty cell is
    not scored). Where the links would fit far better with another base, direction or line, a warning says so.
    """
    from pipeline.alignment.gold import compare_files
    from pipeline.alignment.plausible import Said, doubts
    from pipeline.corpus.pharaoh import LinkForm

    if text and len(text) > 2:
        message = f"--text: one file with both sides, or two, but there are {len(text)}; leave the others out"
        raise PipelineError(message)
    said = Said(LinkForm(int(gold_base)), LinkForm(int(links_base), reverse))
    compared = compare_files(gold, links, gold_form=said.gold, links_form=said.links, text=text or ())
    found = doubts(compared, said)
    if found and strict:
        message = f"{gold}, {links}: {' '.join(found)} Correct the options, or leave out --strict"
        raise PipelineError(message)
    for doubt in found:
        typer.echo(f"warning: {gold}, {links}: {doubt}", err=True)
    typer.echo(json.dumps(compared.scores(), sort_keys=True))


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="A folder of metrics, as reports/metrics, or a git revision.")],
    b: Annotated[str, typer.Argument(help="Another; differences are B - A.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write an HTML page instead.")] = None,
) -> None:
    """Print two runs side by side: verdicts that changed, parameters that differ, and numbers with their differences.

    Differences are over the same sentences where both folders have data/scores beside them or two folders above.
    """
    from pipeline.compare.show import save, show
    from pipeline.compare.sides import read_side
    from pipeline.compare.tables import compare as tables

    found = list(tables(read_side(a, "A"), read_side(b, "B")))
    if out is None:
        show(found)
    else:
        save(found, out)


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
