"""Which pairs are measured, in which steps, and what is fixed before a block is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Int

from pipeline.alignment.added import ROWS, Part, Rules
from pipeline.alignment.collect import Pass, Sample, choose_sample
from pipeline.alignment.finding import fitted_width
from pipeline.alignment.halves import halves_of, hashed_order
from pipeline.alignment.inputs import Inputs
from pipeline.conventions import Convention
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import SomeLinks
from pipeline.methods import SHOWN
from pipeline.params import Align


@dataclass(frozen=True)
class Plan:
    """The pairs that can be measured, and the rules by which they are added up.

    Attributes
    ----------
    rules : Rules
        What is the same for all pairs.
    sample : Sample
        The pairs, in the order of the corpus.
    first : bool array, shape (pair,)
        Which of them are of half A.
    rows : int array, shape (pair,)
        Row of each in the corpus.
    n_rows : int
        Of the corpus.
    stored : bool array, shape (row,)
        Rows whose blocks are stored where only sums are kept: the first ones, and those of `fitted`.
    fitted : int array
        Places of the pairs that plans are fitted and judged on, in the order of their hashes.
    """

    rules: Rules
    sample: Sample
    first: Bool[np.ndarray, " pair"]
    rows: Int[np.ndarray, " pair"]
    n_rows: int
    stored: Bool[np.ndarray, " row"]
    fitted: Int[np.ndarray, " fitted"]
    pairs: Mapping[int, SentencePair] = field(repr=False)
    shuffled_links: Mapping[int, SomeLinks] = field(repr=False)
    only_stored: bool = False

    @classmethod
    def of(
        cls, inputs: Inputs, settings: Align, convention: Convention, *, only_stored: bool = False, n_first: int = SHOWN
    ) -> "Plan":
        """Return the plan of a translator.

        Parameters
        ----------
        inputs : Inputs
            Sentences, links, and the manifest of the trained blocks; no block is read.
        settings : Align
            Seed, resamples, and how many pairs are transported and fitted.
        convention : Convention
            How blocks are pooled and scored.
        only_stored : bool
            Whether the scores of single pairs are kept of the stored ones only.
        n_first : int
            How many of the first rows are stored.

        Raises
        ------
        PipelineError
            If no pair can be measured.
        """
        manifest, views = inputs.trained.manifest, inputs.trained.views
        sample = choose_sample(
            inputs.pairs,
            inputs.links,
            convention=convention,
            min_links=inputs.min_links,
            transport_pairs=settings.transport_pairs,
            seed=settings.seed,
        )
        half, _ = halves_of(sample.ids, settings.seed)
        first = np.zeros(len(sample.ids), dtype=bool)
        first[half] = True
        links, sizes = dict(enumerate(sample.links)), (sample.n_src, sample.n_tgt)
        row_of = {pair.pair_id: row for row, pair in enumerate(inputs.pairs)}
        rows = np.array([row_of[pair_id] for pair_id in sample.ids], dtype=np.int64)
        fitted = hashed_order(sample.ids, settings.seed)[: settings.plan_pairs]
        stored = np.arange(len(inputs.pairs)) < n_first
        stored[rows[fitted]] = stored[rows[sample.transported]] = True
        return cls(
            rules=Rules(
                walk=Pass(views, manifest["n_layers"], manifest["levels"], convention, settings.seed),
                joint=manifest.get("reads") == "joint",
                resamples=settings.resamples,
                seed=settings.seed,
                widths=tuple(fitted_width(links, sizes, half, view) for view in views),
                shuffled=inputs.shuffled_links is not None,
            ),
            sample=sample,
            first=first,
            rows=rows,
            n_rows=len(inputs.pairs),
            stored=stored,
            fitted=fitted,
            pairs={pair.pair_id: pair for pair in inputs.pairs},
            shuffled_links=inputs.shuffled_links or {},
            only_stored=only_stored,
        )

    @property
    def n_steps(self) -> int:
        """Return in how many steps of `ROWS` rows the corpus is added up."""
        return -(-self.n_rows // ROWS)

    def part(self, step: int) -> Part:
        """Return the pairs of a step, from 0."""
        places = np.arange(*np.searchsorted(self.rows, [step * ROWS, (step + 1) * ROWS]))
        kept = self.stored[self.rows] if self.only_stored else np.ones(len(self.rows), dtype=bool)
        return Part.of(places, self.sample, self.pairs, self.shuffled_links, (self.first, kept))
