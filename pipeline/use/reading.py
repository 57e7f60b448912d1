"""What a translator does with a pair of one's own: labelled arrays, links, a picture."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np
import xarray as xr

from pipeline.attention.store import PairBlocks
from pipeline.attention.word_map import UnmappableError
from pipeline.conventions import VIEWS, Reads, names
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import Links
from pipeline.corpus.pretokenised import Pretokenised
from pipeline.errors import PipelineError
from pipeline.methods import MatchSettings
from pipeline.use.align import Aligned, blocks_of
from pipeline.use.choice import Ask, choose
from pipeline.use.text import Texts, pairs_of
from pipeline.use.translators import Opened, open_translator

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Reading:
    """One pair, as a translator read it.

    Attributes
    ----------
    pair : SentencePair
        Text and words of both sides.
    reads : {"cross", "joint", "prompt"}
        How it was read.
    blocks : PairBlocks
        The arrays without labels, as the stage extract stores them.
    options : MatchSettings
        Options of the methods that take links.
    """

    pair: SentencePair
    reads: Reads
    blocks: PairBlocks
    options: MatchSettings

    @property
    def attention(self) -> xr.DataArray:
        """Return attention, mean over heads, in [0, 1]: dims (view, layer, tgt, src), layers from 1, words as coordinates."""
        return self._labelled(self.blocks.attention, "attention", ("view", "layer", "tgt", "src"))

    @property
    def heads(self) -> xr.DataArray:
        """Return attention of every head, dims (view, layer, head, tgt, src), heads from 0.

        Raises
        ------
        PipelineError
            If the pair was read without them.
        """
        if self.blocks.heads is None:
            message = "heads: must be asked for, but the pair was read without them; call read(..., heads=True)"
            raise PipelineError(message)
        return self._labelled(self.blocks.heads, "attention", ("view", "layer", "head", "tgt", "src"))

    @property
    def cosine(self) -> dict[str, xr.DataArray]:
        """Return cosines of word vectors by kind, centred within each side, in [-1, 1]: dims (level, src, tgt)."""
        return {
            kind: self._labelled(array, "cosine", ("level", "src", "tgt")) for kind, array in self.blocks.cosine.items()
        }

    @property
    def cost(self) -> dict[str, xr.DataArray]:
        """Return squared distances of word vectors (eq. 1) by kind: dims (level, src, tgt)."""
        return {
            kind: self._labelled(array, "cost", ("level", "src", "tgt")) for kind, array in self.blocks.cost.items()
        }

    def _labelled(self, array: np.ndarray, name: str, dims: tuple[str, ...]) -> xr.DataArray:
        labels = {
            "view": names(VIEWS[self.reads]),
            "src": list(self.pair.src_words),
            "tgt": list(self.pair.tgt_words),
        }
        first = {"layer": 1, "head": 0, "level": 0}
        coords = {
            dim: labels[dim] if dim in labels else range(first[dim], first[dim] + size)
            for dim, size in zip(dims, array.shape, strict=True)
        }
        return xr.DataArray(array, dims=dims, coords=coords, name=name)

    def align(self, ask: Ask | None = None, /, **said: str | int | None) -> Aligned:
        """Return the links with their scores.

        Parameters
        ----------
        ask : Ask, optional
            Where links come from.
        **said
            Or its fields: origin, layer, head, method, view, states.

        Raises
        ------
        PipelineError
            If there is no such layer, view, head or kind of word vectors.
        """
        wanted = (ask or Ask(**said)).settle(self.reads, tuple(self.blocks.cosine))  # type: ignore[arg-type]
        if wanted.head is not None:
            _ = self.heads  # says what to do where there are none
        choice = choose(wanted, self.blocks, VIEWS[self.reads], self.reads)
        linked = choice.links(self.blocks, VIEWS[self.reads], self.options)
        return Aligned(left_out="cannot_see") if linked is None else Aligned(*linked)

    def links(self, ask: Ask | None = None, /, **said: str | int | None) -> Links:
        """Return the links, shape (link, 2), source word then target word, from 0; options as in `align`."""
        return self.align(ask, **said).links

    def to_pharaoh(self, ask: Ask | None = None, /, **said: str | int | None) -> str:
        """Return the links as `i-j`, separated by spaces; options as in `align`."""
        return self.align(ask, **said).to_pharaoh()

    def plot(self, layer: int | None = None, view: str | None = None, *, ax: "Axes | None" = None) -> "Axes":
        """Return the axes with the attention of one layer as a map, source words across and target words down.

        Parameters
        ----------
        layer : int, optional
            From 1; the default of `choose`.
        view : str, optional
            The first one, if left out.
        ax : Axes, optional
            Where to draw; a new figure if left out.

        Raises
        ------
        PipelineError
            If there is no such layer or view.
        """
        from matplotlib import pyplot

        wanted = Ask("attention", layer=layer, view=view).settle(self.reads, ())
        choice = choose(wanted, self.blocks, VIEWS[self.reads], self.reads)
        of_layer = self.attention.sel(view=choice.place, layer=choice.layer)
        n_tgt, n_src = of_layer.shape
        if ax is None:
            _, ax = pyplot.subplots(figsize=(1.5 + 0.35 * n_src, 1.2 + 0.3 * n_tgt), layout="constrained")
        shown = ax.imshow(of_layer.to_numpy(), vmin=0, cmap="viridis", aspect="auto")
        ax.set_xticks(range(n_src), self.pair.src_words, rotation=60, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(n_tgt), self.pair.tgt_words)
        ax.set_title(f"{choice.place}, layer {choice.layer}")
        ax.figure.colorbar(shown, ax=ax, label="attention")
        return ax


@overload
def read(
    translator: str | Opened,
    src: str,
    tgt: str,
    *,
    languages: str = ...,
    pretokenised: Pretokenised = ...,
    heads: bool = ...,
) -> Reading: ...


@overload
def read(
    translator: str | Opened,
    src: list[str] | tuple[str, ...],
    tgt: list[str] | tuple[str, ...],
    *,
    languages: str = ...,
    pretokenised: Pretokenised = ...,
    heads: bool = ...,
) -> list[Reading]: ...


def read(
    translator: str | Opened,
    src: str | list[str] | tuple[str, ...],
    tgt: str | list[str] | tuple[str, ...],
    *,
    languages: str = "en-fr",
    pretokenised: Pretokenised = "auto",
    heads: bool = False,
) -> Reading | list[Reading]:
    """Return what a translator does with a pair, or with each of several, in their order; all of it stays in memory.

    Parameters
    ----------
    translator : str or Opened
        An entry of params.yaml, a folder, a name on the hub, or what `open_translator` returned, which knows its
        languages itself.
    src, tgt : str, or list or tuple of str
        A sentence and its translation, or as many on either side.
    languages : str
        Of the text, source-target.
    pretokenised : {"auto", True, False}
        Whether words stand between spaces already; `auto` decides by the first sentences.
    heads : bool
        Whether every head's attention is kept too.

    Raises
    ------
    PipelineError
        If the translator cannot be opened, sides differ in length, or a pair is blank or cannot be read: says which.

    Examples
    --------
    >>> from pipeline import read
    >>> pair = read("mini-mbert", "A dog barks.", "Un chien aboie.")
    >>> pair.attention.dims, pair.attention["src"].values.tolist()
    (('view', 'layer', 'tgt', 'src'), ['A', 'dog', 'barks', '.'])
    >>> pair.links(layer=4, method="intersection").tolist()
    [[0, 0], [1, 1], [2, 2], [3, 3]]
    """
    alone = isinstance(src, str)
    if alone != isinstance(tgt, str):
        message = (
            "src, tgt: must be two sentences or two lists of them, but there is one of each kind; "
            "put the sentence in a list"
        )
        raise PipelineError(message)
    texts = Texts([src], [str(tgt)]) if isinstance(src, str) else Texts(list(src), list(tgt))
    opened = open_translator(translator, languages) if isinstance(translator, str) else translator
    found = _read(opened, texts, pretokenised, heads=heads)
    return found[0] if alone else found


def _read(opened: Opened, texts: Texts, pretokenised: Pretokenised, *, heads: bool) -> list[Reading]:
    reader = opened.reader()
    pairs, examples = {}, []
    for number, pair in enumerate(pairs_of(texts, texts.sides(opened.languages, pretokenised))):
        try:
            if pair is None:
                message = "one of its sides is blank"
                raise UnmappableError("blank", message)
            examples.append(reader.tokenise(pair))
            pairs[pair.pair_id] = pair
        except UnmappableError as error:
            message = (
                f"src, tgt: every pair must be one that {opened.name} can read, but pair {number} is not ({error}); "
                "leave it out, or call align, which gives it no links"
            )
            raise PipelineError(message) from None
    blocks = {
        block.pair_id: block for block in blocks_of(reader, examples, opened.settings.tokens_per_batch, heads=heads)
    }
    return [Reading(pair, opened.reads, blocks[number], opened.options) for number, pair in pairs.items()]
