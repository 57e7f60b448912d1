"""The command line: `python -m pipeline COMMAND`. Heavy imports live inside the commands."""

import json
from functools import partial
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
Origin = Literal["attention", "states"]
Words = Literal["auto", "given", "split"]
Reads = Literal["cross", "joint", "prompt"]
Positions = Literal["continue", "restart"]


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
def align(  # noqa: PLR0913 - each is an option
    *,
    translator: Annotated[str, typer.Option(help="An entry of params.yaml, a folder, or owner/name on the hub.")],
    src: Annotated[Path | None, typer.Option(help="Source sentences, one a line.")] = None,
    tgt: Annotated[Path | None, typer.Option(help="Their translations, line by line.")] = None,
    text: Annotated[Path | None, typer.Option(help="Instead of both: lines `source ||| target`.")] = None,
    pair: Annotated[str, typer.Option(help="Languages of the text, source-target.")] = "en-fr",
    origin: Annotated[Origin | None, typer.Option("--from", help="Attention, or word vectors.")] = None,
    layer: Annotated[
        int | None, typer.Option(help="Of attention from 1; of word vectors, 0 is before layer 1.")
    ] = None,
    head: Annotated[int | None, typer.Option(help="Of attention, from 0; the mean over heads if left out.")] = None,
    method: Annotated[str | None, typer.Option(help="As in params.yaml; for states, _raw may stand behind it.")] = None,
    view: Annotated[str | None, typer.Option(help="Of attention: output_step, input_step; tgt_to_src …")] = None,
    states: Annotated[str | None, typer.Option(help="Word vectors: together, alone; encoder, embeddings …")] = None,
    gold: Annotated[
        Path | None, typer.Option(help="Hand-made links: what is left open has the lowest error on all of them.")
    ] = None,
    gold_text: Annotated[
        list[Path] | None, typer.Option(help="The sentences of --gold, if it does not hold them: one file, or two.")
    ] = None,
    gold_base: Annotated[Base, typer.Option(help="Number of the first word in --gold.")] = "0",
    scores: Annotated[
        Path | None, typer.Option(help="Also write each link with its score in [0, 1], i-j:0.93.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Where links go; the standard output if left out.")
    ] = None,
    words: Annotated[Words, typer.Option(help="Whether words stand between spaces already.")] = "auto",
    reads: Annotated[Reads | None, typer.Option(help="Of a folder or hub name: how it is read.")] = None,
    positions: Annotated[Positions | None, typer.Option(help="Of a folder or hub name that reads joint.")] = None,
    revision: Annotated[str | None, typer.Option(help="Of a hub name: the commit to read.")] = None,
    params: Annotated[Path, typer.Option(help="The parameter file that names translators.")] = Path("params.yaml"),
) -> None:
    """Write the word links of sentence pairs, `i-j` from 0, a line a pair.

    Left out, the choices are: for an encoder (joint) word vectors of both sentences in one sequence, two thirds of the
    way up, mutual best cosine; for a decoder (cross) attention of the last layer but one where the word is predicted,
    each target word with the source word that it looks at most. A blank line, and a pair that cannot be read (too long, say), have an empty line; the latter are
    counted on the standard error output.
    """
    from pipeline.use.choice import Ask
    from pipeline.use.command import Outputs, write_links
    from pipeline.use.develop import best, read_development
    from pipeline.use.text import read_texts
    from pipeline.use.translators import Named, open_translator

    say = partial(typer.echo, err=True)
    ask = Ask(origin, layer, head, method, view, states)
    texts = read_texts(src, tgt, text)
    known = read_development(gold, gold_text, base=int(gold_base), languages=pair) if gold else None
    opened = open_translator(translator, pair, named=Named(reads, positions, revision), params=params, say=say)
    developed = best(opened, ask, known) if known else None
    if developed:
        say(str(developed))
    write_links(
        opened,
        texts,
        developed.choice if developed else ask,
        Outputs(out, scores),
        words=words if words == "auto" else words == "given",
        say=say,
    )


@app.command()
def explore(  # noqa: PLR0913 - each is an option
    sentence: Annotated[str | None, typer.Argument(help="A source sentence.")] = None,
    translation: Annotated[str | None, typer.Argument(help="Its translation.")] = None,
    *,
    translator: Annotated[list[str], typer.Option(help="As in align; more than one stand beside each other.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The page: one HTML file that needs no network.")],
    src: Annotated[Path | None, typer.Option(help="Instead of typed sentences: a file, one a line.")] = None,
    tgt: Annotated[Path | None, typer.Option(help="Their translations, line by line.")] = None,
    text: Annotated[Path | None, typer.Option(help="Instead of both: lines `source ||| target`.")] = None,
    pair: Annotated[str, typer.Option(help="Languages of the text, source-target.")] = "en-fr",
    words: Annotated[Words, typer.Option(help="Whether words stand between spaces already.")] = "auto",
    reads: Annotated[Reads | None, typer.Option(help="Of folders or hub names: how they are read.")] = None,
    positions: Annotated[Positions | None, typer.Option(help="Of folders or hub names that read joint.")] = None,
    revision: Annotated[str | None, typer.Option(help="Of a hub name: the commit to read.")] = None,
    params: Annotated[Path, typer.Option(help="The parameter file that names translators.")] = Path("params.yaml"),
) -> None:
    """Write a page to look at a pair, or at some, word by word: attention by layer beside the transport plan."""
    from pipeline.use.explore import write_page
    from pipeline.use.text import Texts, read_texts
    from pipeline.use.translators import Named, open_translator

    say = partial(typer.echo, err=True)
    typed = [one for one in (sentence, translation) if one is not None]
    if len(typed) == 1 or (typed and (src or tgt or text)):
        message = (
            "SENTENCE, TRANSLATION: must be both typed, or neither beside a file, but there is "
            f"{'one' if len(typed) == 1 else 'a file too'}; type both, or name --src and --tgt, or --text"
        )
        raise PipelineError(message)
    texts = Texts(typed[:1], typed[1:]) if typed else read_texts(src, tgt, text)
    named = Named(reads, positions, revision)
    opened = [open_translator(name, pair, named=named, params=params, say=say) for name in translator]
    given = words if words == "auto" else words == "given"
    n = write_page(opened, texts, out, words=given, say=say)
    say(f"{out}: {n} pair{'s' if n > 1 else ''}")


@app.command()
def init(  # noqa: PLR0913 - each is an option
    *,
    pair: Annotated[str, typer.Option(help="Languages of the text, source-target: de-en.")],
    src: Annotated[
        list[str] | None, typer.Option(help="Source sentences, one a line; more than once: more files.")
    ] = None,
    tgt: Annotated[list[str] | None, typer.Option(help="Their translations, line by line.")] = None,
    file: Annotated[str | None, typer.Option(help="Instead of both: one .tsv, .parquet, .jsonl or .tmx.")] = None,
    dictionary: Annotated[
        str | None, typer.Option(help='"source target" a line; MUSE\'s, which is downloaded, if left out.')
    ] = None,
    gold: Annotated[str | None, typer.Option(help="Hand-made links, in any form that aer reads.")] = None,
    gold_text: Annotated[
        list[str] | None, typer.Option(help="Their sentences, one file or two, if they are not those of the text.")
    ] = None,
    gold_base: Annotated[Base | None, typer.Option(help="Number of the first word in --gold.")] = None,
    translator: Annotated[
        list[str] | None,
        typer.Option(
            help="A folder, owner/name on the hub, or one of the demo's; more than once: more. The demo's two."
        ),
    ] = None,
    reads: Annotated[Reads | None, typer.Option(help="How these are read, where their files do not say.")] = None,
    positions: Annotated[Positions | None, typer.Option(help="Of those that read joint.")] = None,
    words: Annotated[Words, typer.Option(help="Whether words stand between spaces already.")] = "auto",
    n_pairs: Annotated[int | None, typer.Option(min=1, help="Pairs to read; all, if left out.")] = None,
    into: Annotated[
        Path | None, typer.Option(help="First copy the project into this new folder, for this run.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an edited params.yaml, kept as params.yaml.old.")
    ] = False,
) -> None:
    """Write a params.yaml for text of your own: complete, commented, and checked against the files that it names.

    With --into the run has a folder, a git branch and results of its own, and those of this folder stay as they are.
    """
    from pipeline.init.command import Options, begin

    begin(
        Options(
            pair=pair,
            src=src or [],
            tgt=tgt or [],
            file=file,
            dictionary=dictionary,
            gold=gold,
            gold_text=gold_text or [],
            gold_base=None if gold_base is None else int(gold_base),
            translators=translator or [],
            reads=reads,
            positions=positions,
            words=words if words == "auto" else words == "given",
            n_pairs=n_pairs,
        ),
        into=into,
        force=force,
        say=partial(typer.echo, err=True),
    )


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="The parameters to check.")] = Path("params.yaml"),
    complete: Annotated[
        bool, typer.Option("--fill", help="First add the keys that are left out, with defaults and comments.")
    ] = False,
) -> None:
    """Check a parameter file; every problem is one line that names the key, the rule and what to do."""
    from pipeline.advice import advise
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
