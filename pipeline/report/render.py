"""The page itself: metrics in, one offline file and its figures out; the same bytes for the same metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline._output import replacing
from pipeline.alignment.gold import GoldLinks, read_gold
from pipeline.claims import read_claims
from pipeline.corpus.pairs import read_pairs
from pipeline.lexicon.links import read_links
from pipeline.params import Params
from pipeline.report import provenance, sections, tables, theory
from pipeline.report.explorer import Explorer, build_explorer, linked_words
from pipeline.report.in_short import Line, in_short, view_name
from pipeline.report.learning_blocks import learning_section, read_learned
from pipeline.report.metrics import TranslatorMetrics, read_metrics
from pipeline.report.wording import VIEWS, count, listed, with_interval

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
        corpus, links and attention: for the explorer and for what was dropped.
    out_dir : Path
        Usually `reports`.

    Raises
    ------
    PipelineError
        If a stage that the page needs has not run.
    """
    translators = [
        read_metrics(metrics_dir / "translators" / name, name, spec, params.corpus)
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
        made=_made(params, translators, data_dir),
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
        views=VIEWS,
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
    return build_explorer(
        read_pairs(data / "corpus" / "pairs.parquet"),
        read_links(data / "links" / "links.parquet"),
        _gold_by_words(params, data),
        {t.name: data / "attention" / t.name / "trained" for t in translators},
        convention=params.align.convention,
        n_pairs=params.report.explorer_pairs,
    )


def _gold_by_words(params: Params, data: Path) -> dict[tuple[tuple[str, ...], tuple[str, ...]], GoldLinks]:
    """Return hand-made links by the words of their sentences: the text that is explored need not be the gold set."""
    if params.gold is None:
        return {}
    links = read_gold(params.gold.links, base=params.gold.base)
    pairs = read_pairs(data / "corpus" / "gold.parquet")
    return {(pair.src_words, pair.tgt_words): links[pair.pair_id] for pair in pairs if pair.pair_id in links}


def _made(params: Params, translators: Sequence[TranslatorMetrics], data: Path) -> dict[str, object]:
    """Return what section 6 shows."""
    selection, links = provenance.read_corpus_facts(data)
    manifests = provenance.read_manifests(data, [t.name for t in translators])
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
