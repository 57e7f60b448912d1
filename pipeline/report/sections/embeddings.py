"""Do embeddings match? Figure 7: the share of linked words that transport between word vectors pairs."""

from collections.abc import Sequence

from pipeline.conventions import STATES_IN_WORDS, label_of, view_of
from pipeline.report.curves import (
    PUBLISHED,
    Curves,
    all_layers,
    published_values,
    rests_on,
    short,
    with_columns,
    with_published,
)
from pipeline.report.metrics import TranslatorMetrics
from pipeline.report.page import Block, Picture, Section, Table, caption, text
from pipeline.report.wording import count


def section(translators: Sequence[TranslatorMetrics]) -> Section:
    """Return the section: a figure a translator."""
    lead = [text("embeddings", "lead")]
    return Section("embeddings_match", lead=lead, parts=[block(t) for t in translators])


def block(t: TranslatorMetrics) -> Block:
    """Return Figure 7 of a translator."""
    words = caption("embeddings", name=t.name)
    floors = {"position": text("embeddings", "position")}
    words.append(rests_on(t, t.summary["n_transport_pairs"], t.matches, **floors))
    if published_values(t, "figure7"):
        words.append(f"Open circles: {PUBLISHED['source']}")
    extraction = t.summary["signature"].get("extraction", {})
    if "cost" in extraction:
        words.append(f"Costs: {extraction['cost']}.")
    words += [
        f"Vectors {label_of(kind)}: {extraction[f'states_{kind}']}."
        for kind in states_of(t)
        if f"states_{kind}" in extraction
    ]
    best = t.summary["best"]["match"][0]
    kinds = states_of(t)
    tables = dict(zip(kinds, all_tables(t), strict=True))
    first = best["states"] if best["states"] in tables else kinds[0]
    layers = sorted(set(t.matches[t.matches["states"] == first]["layer"]))
    return Block(
        f"Figure 7 · {t.name}",
        picture(t),
        words,
        f"reports/metrics/translators/{t.name}/matches.csv",
        short(tables[first], layers.index(best["layer"])),
        [("Every level, and word vectors taken elsewhere", list(tables.values()))],
    )


def picture(t: TranslatorMetrics) -> Picture:
    """Return the share of linked words that transport between word vectors matches, by level."""
    published = published_values(t, "figure7")
    titles = {kind: STATES_IN_WORDS[kind] for kind in STATES_IN_WORDS if kind in states_of(t)}
    panels = {title: t.matches[t.matches["states"] == kind] for kind, title in titles.items()}
    curves = Curves(
        panels,
        "share of linked words that transport matches",
        xlabel="level (0: what enters layer 1)",
        published={titles[view_of(t.views[-1]).states]: published} if published else {},
    )
    what = {title: f"{t.name}, {title}: share of linked words matched by transport" for title in panels}
    return curves.picture(f"figure7_{t.name}", what, with_published(t.matches, published, None))


def states_of(t: TranslatorMetrics) -> list[str]:
    """Return the kinds of states that were matched, in the order in which they are shown."""
    there = set(t.matches["states"])
    return [kind for kind in STATES_IN_WORDS if kind in there]


def all_tables(t: TranslatorMetrics) -> list[Table]:
    """Return every level's share of matched words with floors, ties and n, a table a kind of states."""
    tables = []
    dropped = count(sum(t.dropped.values()))
    for kind in states_of(t):
        frame = t.matches[t.matches["states"] == kind]
        table = all_layers(frame, text("embeddings", "table", states=label_of(kind)))
        tied = [count(n) for n in frame[frame["control"] == "trained"].sort_values("layer")["n_tied"]]
        tables.append(with_columns(table, tied=tied, dropped=[dropped] * len(tied)))
    return tables
