"""The page itself: metrics in, one offline file and its figures out; the same bytes for the same metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline._output import replacing
from pipeline.claims import read_claims
from pipeline.conventions import view_of
from pipeline.params import Params
from pipeline.report import provenance, sections, tables, theory
from pipeline.report.explorer import Explorer, linked_words, read_explorer
from pipeline.report.in_short import Line, in_short, view_name
from pipeline.report.learning_blocks import learning_section, read_learned
from pipeline.report.metrics import TranslatorMetrics, read_metrics
from pipeline.report.wording import count, listed, with_interval

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Built:
    """What was written.

    Attributes
    ----------
    page : Path
        `index.html`.
    n_bytes : int
        Its size.
    lines : list of Line
        What "In short" says.
    """

    page: Path
    n_bytes: int
    lines: list[Line]


def build(params: Params, metrics_dir: Path, data_dir: Path, out_dir: Path) -> Built:
    """Write `index.html` and `figures/*.{svg,pdf}` below a folder.

    Parameters
    ----------
    params : Params
        The run.
    metrics_dir : Path
        `translators/NAME`, `claims.json`, `learn.json`, and what certify and learn wrote, if they have run.
    data_dir : Path
        Holds `explorer/NAME`: the single sentences that are shown.
    out_dir : Path
        Usually `reports`.

    Raises
    ------
    PipelineError
        If a stage that the page needs has not run.
    """
    translators = [
        read_metrics(metrics_dir / "translators" / name, data_dir / "explorer" / name, name, spec, params.corpus)
        for name, spec in params.translators.items()
    ]
    claims = read_claims(metrics_dir / "claims.json")
    lines = in_short(claims, list(params.translators))
    blocks = sections.blocks_of(translators)
    certificate = theory.certificate_section(claims, metrics_dir)
    learning = learning_section(read_learned(claims, metrics_dir), metrics_dir)
    page = _page(
        params=params,
        translators=translators,
        lines=lines,
        blocks=blocks,
        certificate=certificate,
        learning=learning,
        explorer=_explorer(params, translators, data_dir),
        made=_made(params, translators, metrics_dir),
    )
    out_dir.mkdir(parents=True, exist_ok=True)
    with replacing(out_dir / "figures") as folder:
        drawn = [*blocks.values(), certificate.blocks, certificate.after, learning.blocks, learning.after]
        for block in chain.from_iterable(drawn):
            block.drawing.write(folder)
    target = out_dir / "index.html"
    part = target.with_name(".index.html.part")
    part.write_text(page, encoding="utf-8", newline="\n")
    part.replace(target)
    return Built(target, target.stat().st_size, lines)


def _page(*, params: Params, translators: Sequence[TranslatorMetrics], **content: object) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": count,
        "data_uri": lambda text: "data:text/csv;charset=utf-8," + quote(text, safe=""),
        "linked_words": linked_words,
        "svg": Markup,  # of our own making, text escaped by matplotlib
        "view_name": view_name,
    }
    return environment.get_template("page.html.j2").render(
        params=params,
        translators=translators,
        summary=_summary(params, translators),
        demo=provenance.is_demo(params),
        demo_translators=provenance.demo_translators(params),
        style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        script=Markup((TEMPLATES / "explorer.js").read_text(encoding="utf-8")),
        difference=lambda claim: with_interval(claim.difference, claim.low, claim.high, sign=True),
        view_of=view_of,
        **content,
    )


def _summary(params: Params, translators: Sequence[TranslatorMetrics]) -> str:
    """Return the sentence under the title: which translators, how many sentences of what."""
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


def _explorer(params: Params, translators: Sequence[TranslatorMetrics], data: Path) -> Explorer:
    if params.report.explorer_pairs == 0:
        return Explorer()
    folders = {t.name: data / "explorer" / t.name for t in translators}
    return read_explorer(folders, n_wanted=params.report.explorer_pairs)


def _made(params: Params, translators: Sequence[TranslatorMetrics], metrics: Path) -> dict[str, object]:
    """Return what section 6 shows."""
    selection, links = provenance.read_corpus_facts(metrics)
    manifests = {t.name: t.extraction for t in translators}
    return {
        "parameters": provenance.parameters_yaml(params),
        "conventions": [provenance.conventions_table(t) for t in translators],
        "models": provenance.models_table(manifests, params),
        "data": provenance.data_table(params, selection, links),
        "dropped": provenance.dropped_table(translators, manifests, selection, links),
        "versions": provenance.versions_table(translators, manifests),
        "errors": tables.best_error_table(translators),
        "all_errors": [tables.error_table(t) for t in translators if len(t.aer)],
    }
