"""The page itself: metrics in, one offline file and its figures out; the same bytes for the same metrics."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline import failures
from pipeline._output import replacing, write_text
from pipeline.claims import Claim
from pipeline.claims_file import read_claims, read_questions
from pipeline.conventions import label_of
from pipeline.packing import packed
from pipeline.params import Params
from pipeline.report import matrix
from pipeline.report.explorer import Explorer, direction, linked_words, read_explorer, script_json
from pipeline.report.glossary import anchor, glossary
from pipeline.report.metrics import TranslatorMetrics, read_metrics
from pipeline.report.notices import Notice, notices
from pipeline.report.page import LINK, TEMPLATES, Block, Section, Table, text
from pipeline.report.paper import write_paper
from pipeline.report.sections import (
    asked,
    construction,
    depth,
    embeddings,
    learning,
    made,
    open_questions,
    plan,
    translations,
    use,
)
from pipeline.report.wording import count, listed
from pipeline.study_file import read_studies

PROJECT = "attention-transport"
EXPLORER = ("unpack", "explorer_state", "explorer_maps", "explorer_pointing", "explorer")
"""Its script, in the order in which the parts need each other."""


@dataclass(frozen=True)
class Built:
    """What was written.

    Attributes
    ----------
    page : Path
        `index.html`.
    n_bytes : int
        Its size.
    answer : str
        What the first screen says, in one sentence.
    notices : list of Notice
        What it says before.
    """

    page: Path
    n_bytes: int
    answer: str
    notices: list[Notice]


def build(params: Params, metrics_dir: Path, data_dir: Path, out_dir: Path, *, commit: str = "unknown") -> Built:
    """Write `index.html` and `figures/` below a folder.

    Parameters
    ----------
    params : Params
        The run.
    metrics_dir : Path
        `translators/NAME`, `claims.json`, `learn.json`, and what certify and learn wrote, if they have run; beside it
        stands `results/studies`, if any study has run.
    data_dir : Path
        Holds `explorer/NAME`: the single sentences that are shown.
    out_dir : Path
        Usually `reports`.
    commit : str
        Of the source, where the caller knows it.

    Raises
    ------
    PipelineError
        If a stage that the page needs has not run.
    """
    failed = failures.unmeasured(metrics_dir, params.translators)
    translators = [
        read_metrics(metrics_dir / "translators" / name, data_dir / "explorer" / name, name, spec, params.corpus)
        for name, spec in params.translators.items()
        if name not in failed
    ]
    claims = read_claims(metrics_dir / "claims.json")
    answers = matrix.answers(claims, read_questions(metrics_dir / "claims.json"), [t.name for t in translators])
    said = notices(params, claims, failed)
    demo = [t.name for t in translators if t.spec.is_demo]
    answer = matrix.sentence(answers, [t.name for t in translators], demo=bool(demo))
    found = sections_of(translators, claims, answers, metrics_dir)
    page = _page(
        params=params,
        translators=translators,
        answers=answers,
        sections=found,
        notices=said,
        explorer=_explorer(params, translators, data_dir),
        made=_made(params, translators, metrics_dir),
        answer=answer,
        commit=commit,
    )
    out_dir.mkdir(parents=True, exist_ok=True)
    with replacing(out_dir / "figures") as folder:
        for picture in (block.picture for section in found for block in section.blocks):
            picture.drawing.write(folder)
            (folder / f"{picture.drawing.stem}.csv").write_text(picture.data, encoding="utf-8", newline="\n")
        write_paper(folder, [block for section in found for block in section.blocks], claims)
    target = out_dir / "index.html"
    write_text(target, page)
    return Built(target, target.stat().st_size, answer, said)


def sections_of(
    translators: Sequence[TranslatorMetrics], claims: Sequence[Claim], answers: Sequence[matrix.Answer], metrics: Path
) -> list[Section]:
    """Return the sections in the order of their questions, then those of no question.

    Raises
    ------
    PipelineError
        If metrics are missing.
    """
    by_id = {answer.question.id: answer for answer in answers}
    own = {
        "finds_translations": lambda: translations.section(translators),
        "grows_with_depth": lambda: depth.section(asked.section(by_id["grows_with_depth"]), translators),
        "is_a_plan": lambda: plan.section(translators),
        "translator_uses_it": lambda: use.section(by_id["translator_uses_it"], metrics, [t.name for t in translators]),
        "embeddings_match": lambda: embeddings.section(translators),
        "construction": lambda: construction.section(claims, metrics),
        "training": lambda: learning.section(learning.read_learned(claims, metrics), metrics),
    }
    found = []
    for answer in answers:
        make = own.get(answer.question.id, partial(asked.section, answer))
        found.append(replace(make(), title=answer.question.text, finding=answer.finding))
    studies = open_questions.section(read_studies(metrics.parent / "results" / "studies"))
    return [*found, studies, asked.open_section(claims), Section("made", "How this was made", template="made.html.j2")]


def _page(
    *,
    params: Params,
    translators: Sequence[TranslatorMetrics],
    answers: Sequence[matrix.Answer],
    sections: Sequence[Section],
    **content: object,
) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "anchor": anchor,
        "count": count,
        "direction": direction,
        "label_of": label_of,
        "linked_words": linked_words,
        "prose": prose,
        "svg": Markup,  # of our own making, text escaped by matplotlib
    }
    environment.tests |= {"block": lambda part: isinstance(part, Block), "table": lambda part: isinstance(part, Table)}
    pictures = {block.picture.drawing.stem: block.picture for section in sections for block in section.blocks}
    return environment.get_template("page.html.j2").render(
        params=params,
        translators=translators,
        sections=sections,
        rows=matrix.matrix(answers, {t.name: t.views for t in translators}, pictures),
        basis=_basis(params, translators),
        demo_translators=[t.name for t in translators if t.spec.is_demo],
        legend=text("verdicts", "legend", interval=translators[0].interval),
        figures=script_json(
            {stem: {"csv": packed(one.data.encode()), "panels": one.drawing.lines} for stem, one in pictures.items()}
        ),
        glossary=glossary(),
        parameters_hash=made.parameters_hash(params),
        version=version(PROJECT),
        style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        scripts={name: _script(name) for name in ("unpack", "page")}
        | {"explorer": [_script(name) for name in EXPLORER[1:]]},
        **content,
    )


def _script(name: str) -> Markup:
    return Markup((TEMPLATES / f"{name}.js").read_text(encoding="utf-8"))


def _basis(params: Params, translators: Sequence[TranslatorMetrics]) -> str:
    """Return which translators were measured, on how many sentences of what."""
    texts = {"demo": "the demo text", "wmt14": "WMT14", "files": "the user’s own text"}
    counts = {t.name: t.summary["n_pairs"] for t in translators}
    if len(set(counts.values())) == 1:
        on = f"{listed(list(counts))} on {count(translators[0].summary['n_pairs'])} sentence pairs"
    else:
        on = f"{listed([f'{name} on {count(n)}' for name, n in counts.items()])} sentence pairs"
    return (
        f"Word-level attention and word vectors of {on} of {texts[params.corpus.source]} "
        f"({params.corpus.src_lang} to {params.corpus.tgt_lang}), scored on dictionary links, beside controls."
    )


def prose(plain: str) -> Markup:
    """Return a text of ours as markup: `code` in backticks, and [words](term) that lead to the glossary.

    Examples
    --------
    >>> prose("the [cheapest way](plan) <b> `dvc`")
    Markup('the <a class="term" href="#term-plan">cheapest way</a> &lt;b&gt; <code>dvc</code>')
    """
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(plain))
    known = glossary()

    def link(found: re.Match[str]) -> str:
        return f'<a class="term" href="#{anchor(found[2])}">{found[1]}</a>' if found[2] in known else found[0]

    return Markup(LINK.sub(link, marked))


def _explorer(params: Params, translators: Sequence[TranslatorMetrics], data: Path) -> Explorer:
    if params.report.explorer_pairs == 0:
        return Explorer()
    return read_explorer(translators, data / "explorer", n_wanted=params.report.explorer_pairs)


def _made(params: Params, translators: Sequence[TranslatorMetrics], metrics: Path) -> Mapping[str, object]:
    """Return what the last section shows."""
    selection, links = made.read_corpus_facts(metrics)
    manifests = {t.name: t.extraction for t in translators}
    return {
        "parameters": made.parameters_yaml(params),
        "conventions": [made.conventions_table(translators)],
        "models": made.models_table(manifests, params),
        "data": made.data_table(params, selection, links),
        "dropped": made.dropped_table(translators, manifests, selection, links),
        "versions": made.versions_table(translators, manifests),
    }
