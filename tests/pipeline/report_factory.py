"""A project in miniature for the tests of the page: made-up sentences and attention, measured by the real alignment room."""

import subprocess
import sys
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline._output import SCHEMA, write_json
from pipeline.alignment.explorer import Wanted, explore, write_shown
from pipeline.alignment.inputs import GoldSet, Inputs, Split
from pipeline.alignment.measure import measure
from pipeline.alignment.results import write_metrics
from pipeline.attention.store import PairBlocks, sha256, write_shard
from pipeline.conventions import CORRECTED, STATES, VIEWS, convention_of, names
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import GoldLinks
from pipeline.lexicon.links import PairLinks
from pipeline.params import Params
from pipeline.report import curves
from pipeline.report.metrics import TranslatorMetrics, read_metrics
from pipeline.report.sections import construction, heads, learning_figures, plan, plan_test
from pipeline.report.style import Drawing
from pipeline.verdicts.join import write_verdicts
from tests.pipeline.intervened_factory import write_intervened

HOSTILE = [
    "<script>alert(1)</script>", "</script>", '"quoted"', "it's", "$x^2$", "&amp;", "مرحبا", "שלום", "a\u2028b", "漢字",
    "<img src=http://evil.example/x>", "${`}", "--><b>", "x" * 300, "👩‍👩‍👧‍👦", "\\u003c",
]  # fmt: skip
N_LINKS = 5
SMALL = {
    "sample": {"n_pairs": 48},
    "align": {"resamples": 50, "transport_pairs": 30, "plan_pairs": 20},
    "report": {"explorer_pairs": 6},
}


@dataclass
class Project:
    """Folders of a project whose stages up to `report` have run."""

    root: Path
    params: Params
    n_layers: int = 4
    hostile: bool = False
    words: list[tuple[list[str], list[str]]] = field(default_factory=list)

    @property
    def metrics(self) -> Path:
        return self.root / "reports" / "metrics"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    def make(self) -> "Project":
        """Write sentences, links, blocks and metrics."""
        rng = np.random.default_rng(7)
        pairs = self._pairs(rng)
        linked = [PairLinks(p.pair_id, _links(p, rng), 1, 5, 4, 3) for p in pairs]
        write_json(self.metrics / "corpus.json", {"schema": SCHEMA, **_selection(len(pairs))})
        write_json(self.metrics / "links.json", {"schema": SCHEMA, **_link_summary(len(pairs))})
        links = {item.pair_id: item.links for item in linked}
        gold = None
        if self.params.gold:
            gold = {p.pair_id: GoldLinks(links[p.pair_id], links[p.pair_id][:0]) for p in pairs[::2]}
        for name, spec in self.params.translators.items():
            self._translator(name, spec.reads, pairs, links, gold, rng)
            write_intervened(self.metrics / "intervene" / name, name)
        write_verdicts(self.metrics, list(self.params.translators), level=self.params.align.level)
        return self

    def _pairs(self, rng: np.random.Generator) -> list[SentencePair]:
        if self.words:
            return [
                SentencePair(k, " ".join(src), " ".join(tgt), tuple(src), tuple(tgt))
                for k, (src, tgt) in enumerate(self.words)
            ]
        pairs = []
        for k in range(self.params.sample.n_pairs):
            n = int(rng.integers(N_LINKS, 9))
            src = [HOSTILE[(k + i) % len(HOSTILE)] if self.hostile else f"word{i}" for i in range(n)]
            tgt = [HOSTILE[(k + 3 * i) % len(HOSTILE)] if self.hostile else f"mot{i}" for i in range(n)]
            pairs.append(SentencePair(3 * k + 1, " ".join(src), " ".join(tgt), tuple(src), tuple(tgt)))
        return pairs

    def _translator(self, name, reads, pairs, links, gold, rng) -> None:
        folder = self.data / "attention" / name
        splits = {"trained": (pairs, 1.0), "random_init": (pairs, 0.0), "gold-demo": (pairs[::2], 1.0)}
        read = {}
        for split, (of, strength) in splits.items():
            if split == "gold-demo" and gold is None:
                continue
            self._write_split(folder / split, name, reads, split, of, links, strength, rng)
            read[split] = Split.read(folder / split)
        sets = [GoldSet("demo", "en-fr", gold, read["gold-demo"], pairs[::2])] if gold else []
        inputs = Inputs(
            pairs=pairs,
            links=links,
            shuffled_links={p.pair_id: links[p.pair_id][::-1, :1].repeat(2, axis=1) for p in pairs[:6]},
            trained=read["trained"],
            controls={"random_init": read["random_init"]},
            gold_sets=sets,
            link_policy="one_to_one",
        )
        metrics = measure(inputs, self.params.align, example=self.params.report.pair or 0)
        write_metrics(metrics, self.metrics / "translators" / name)
        by_words = {(p.src_words, p.tgt_words): gold[p.pair_id] for p in pairs if gold and p.pair_id in gold}
        wanted = Wanted(pairs[: self.params.report.explorer_pairs], len(pairs), links, by_words)
        shown = explore(wanted, read["trained"], metrics.scores, CORRECTED)
        write_shown(shown, metrics.example, self.data / "explorer" / name)

    def _write_split(self, folder, name, reads, split, pairs, links, strength, rng) -> None:
        folder.mkdir(parents=True)
        blocks = [_blocks(p, links[p.pair_id], self.n_layers, strength, reads, rng) for p in pairs]
        write_shard(folder / "blocks-000.arrow", blocks)
        manifest = {
            "schema": SCHEMA, "levels": dict.fromkeys(STATES[reads][:2], self.n_layers + 1),
            "translator": name, "split": split, "control": split, "model": f"data/demo/{name}",
            "model_class": "MarianMTModel", "revision": None, "n_parameters": 5_312_000, "reads": reads,
            "views": names(VIEWS[reads]), "n_layers": self.n_layers, "n_heads": 6,
            "conventions": {"tokens_to_words": "sum over source tokens", "heads": "mean"}, "dtype": "float32",
            "device": "cpu", "tokens_per_batch": 4096, "seed": 2026,
            "versions": {"torch": "2.13.0", "transformers": "5.23.0"}, "n_pairs": len(pairs),
            "skipped": {"too_long": 1}, "shards": {"blocks-000.arrow": sha256(folder / "blocks-000.arrow")},
        }  # fmt: skip
        write_json(folder / "manifest.json", manifest)


def _links(pair: SentencePair, rng: np.random.Generator) -> np.ndarray:
    src, tgt = (np.sort(rng.permutation(len(words))[:N_LINKS]) for words in (pair.src_words, pair.tgt_words))
    tgt[[1, 2]] = tgt[[2, 1]]
    return np.stack([src, tgt], axis=1)


def _blocks(pair, links, n_layers, strength, reads, rng) -> PairBlocks:
    n_src, n_tgt = len(pair.src_words), len(pair.tgt_words)
    peak = np.zeros((n_tgt, n_src))
    peak[links[:, 1], links[:, 0]] = 1
    attention = np.empty((2, n_layers, n_tgt, n_src))
    for view in range(2):
        for layer in range(n_layers):
            rise = (layer + 1 - (layer == n_layers - 1) * 0.5) if view == 0 else n_layers - layer
            weight = rng.random((n_tgt, n_src)) + strength * rise * 0.25 * peak
            axis = 0 if reads == "joint" and view == 1 else 1
            attention[view, layer] = 0.9 * weight / weight.sum(axis, keepdims=True)
    cosine = np.clip(rng.normal(0, 0.3, (n_layers + 1, n_src, n_tgt)) + 0.5 * strength * peak.T, -1, 1)
    # Two heads whose mean is the attention: the first has what lies on links.
    first = attention * (0.5 + peak)
    return PairBlocks(
        pair_id=pair.pair_id,
        attention=attention.astype(np.float32),
        heads=np.stack([first, 2 * attention - first], axis=2).astype(np.float32),
        cost={kind: (2 - 2 * cosine).astype(np.float32) for kind in STATES[reads][:2]},
        cosine={kind: cosine.astype(np.float32) for kind in STATES[reads][:2]},
        cosine_raw={kind: cosine.astype(np.float32) for kind in STATES[reads][:2]},
        special=np.full((2, n_layers), 0.1, dtype=np.float32),
        src_pieces=np.ones(n_src, dtype=np.float32),
        tgt_pieces=np.ones(n_tgt, dtype=np.float32),
    )


def _selection(n: int) -> dict:
    return {
        "source": "demo", "revision": None, "files": [{"name": "pairs.tsv", "sha256": "0" * 64}], "n_rows": 274,
        "seed": 2026, "wanted": n, "kept": n, "looked_at": n + 3, "short_by": 0,
        "dropped": {"empty": 0, "too_long": 2, "duplicate": 1}, "sha256_rows": "1" * 64, "sha256_text": "2" * 64,
    }  # fmt: skip


def _link_summary(n: int) -> dict:
    return {
        "lexicon": {"source": "demo", "entries": 2693, "entries_of_several_words": 0, "sha256": "3" * 64},
        "policy": "one_to_one", "lemmas": "none", "min_links": 3, "n_pairs": n, "n_pairs_used": n,
        "dropped": {"too_few_links": 0}, "n_links": 5 * n, "n_ambiguous": n,
        "links_a_pair": {"0%": 4.0, "50%": 5.0, "100%": 7.0}, "content_words": {"n": 60, "with_hit": 50, "linked": 44},
    }  # fmt: skip


@dataclass
class Measured:
    """A small project and its metrics as the page reads them."""

    project: Project
    translators: list[TranslatorMetrics]

    @staticmethod
    def as_paper(t: TranslatorMetrics, model: str, convention: str) -> TranslatorMetrics:
        """Return the metrics as if another model had been measured by another convention, on the paper's sentences."""
        corpus = t.corpus.model_copy(update={"source": "wmt14", "pair": "en-fr"})
        changed = replace(t, spec=t.spec.model_copy(update={"model": model}), corpus=corpus)
        signature = {**t.summary["signature"], "convention": convention_of(convention).signature(), "min_links": 8}
        return Measured.with_summary(changed, signature=signature)

    @staticmethod
    def with_summary(t: TranslatorMetrics, **changed: object) -> TranslatorMetrics:
        return replace(t, summary={**t.summary, **changed})

    @staticmethod
    def with_tables(t: TranslatorMetrics, **changed: pd.DataFrame) -> TranslatorMetrics:
        return replace(t, **changed)


@pytest.fixture
def undrawn(monkeypatch):
    """Leave out the drawing, where a test is about words and numbers: it takes most of the time."""
    for module in (curves, plan, plan_test, heads, construction, learning_figures):
        monkeypatch.setattr(module, "draw", lambda stem, make, *, alt: Drawing(stem, {}, "<svg></svg>"))


@cache
def small_project(root: Path, *, hostile: bool = False) -> Measured:
    """Make the project in a process of its own, as stages do: measuring under shape checks is tested elsewhere."""
    subprocess.run(
        [sys.executable, "-m", __name__, str(root), *(["--hostile"] if hostile else [])],
        check=True,
        cwd=Path(__file__).parents[2],
    )
    project = Project(root, Params.model_validate(SMALL), hostile=hostile)
    translators = [
        read_metrics(
            project.metrics / "translators" / name, project.data / "explorer" / name, name, spec, project.params.corpus
        )
        for name, spec in project.params.translators.items()
    ]
    return Measured(project, translators)


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """A small project, made once: nobody may write to it."""
    return small_project(tmp_path_factory.getbasetemp() / "measured")


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """The same of words that try to break the page."""
    return small_project(tmp_path_factory.getbasetemp() / "hostile", hostile=True)


if __name__ == "__main__":
    Project(Path(sys.argv[1]), Params.model_validate(SMALL), hostile="--hostile" in sys.argv).make()
