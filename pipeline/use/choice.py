"""Where links come from: a matrix of a translator, by layer, and a method; sound defaults, and what is refused."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from pipeline.alignment.matching import link_mask
from pipeline.attention.store import Cosines, PairBlocks
from pipeline.conventions import VIEWS, Reads, View, names
from pipeline.errors import PipelineError
from pipeline.methods import METHODS, MatchSettings

Origin = Literal["attention", "states"]
Compare = Literal["cosine", "raw"]
COMPARED: tuple[Compare, ...] = ("cosine", "raw")
ORIGINS: tuple[Origin, ...] = ("attention", "states")


@dataclass(frozen=True)
class Ask:
    """What a user says of where links come from; what is left out has a default (`Ask.settle`).

    Attributes
    ----------
    origin : {"attention", "states"}, optional
        Attention, or cosines of word vectors.
    layer : int, optional
        Of attention from 1; of word vectors the level, 0 before the first layer.
    head : int, optional
        Of attention, from 0; the mean over heads if left out.
    method : str, optional
        One of `pipeline.methods.METHODS`; for word vectors `_cosine` (centred within each side) or `_raw` may stand
        behind it, as in the tables of the report.
    view : str, optional
        Of attention: output_step, input_step (an encoder-decoder), tgt_to_src, src_to_tgt (an encoder).
    states : str, optional
        Kind of word vectors: output_step, input_step, embeddings, encoder; together, alone.
    """

    origin: str | None = None
    layer: int | None = None
    head: int | None = None
    method: str | None = None
    view: str | None = None
    states: str | None = None

    def __post_init__(self) -> None:
        """Refuse what does not go together or is not known, before a model is loaded."""
        if self.origin not in (None, *ORIGINS):
            message = f"from: must be attention or states, but it is {self.origin!r}; choose one"
            raise PipelineError(message)
        method, _, compare = (self.method or METHODS[0]).rpartition("_")
        if (method if compare in COMPARED else self.method or METHODS[0]) not in METHODS:
            message = (
                f"method: must be one of {', '.join(METHODS)}, for states with or without _cosine or _raw behind it, but "
                f"it is {self.method!r}; choose one"
            )
            raise PipelineError(message)
        of_states = [name for name, said in (("states", self.states), ("method", compare in COMPARED)) if said]
        of_attention = [name for name in ("view", "head") if getattr(self, name) is not None]
        wrong = of_attention if self.origin == "states" else of_states if self.origin == "attention" else []
        if wrong or (of_states and of_attention):
            said = self.origin or f"{of_states[0]} beside {of_attention[0]}"
            message = (
                "from: attention takes view and head, word vectors take states and a method with _cosine or _raw, but it "
                f"is {said}{f' with {wrong[0]}' if wrong else ''}; leave one of them out"
            )
            raise PipelineError(message)

    @property
    def said_origin(self) -> Origin | None:
        """Return what is said of the origin, by itself or by the other choices."""
        if self.origin:
            return "attention" if self.origin == "attention" else "states"
        if self.view is not None or self.head is not None:
            return "attention"
        if self.states is not None or (self.method or "").rpartition("_")[2] in COMPARED:
            return "states"
        return None

    def settle(self, reads: Reads, kinds: Sequence[str]) -> "Ask":
        """Return the choice with origin, place and method by default; the layer is settled by `choose`.

        An encoder: word vectors of both sentences in one sequence, mutual best cosine (Jalili Sabet et al. 2020). A
        decoder: its attention at the step that predicts the target word, each to the source word that it looks at most (Garg et al. 2019).

        Parameters
        ----------
        reads : {"cross", "joint", "prompt"}
            How the translator is read.
        kinds : sequence of str
            Word vectors that it has.
        """
        joint, first = reads == "joint", VIEWS[reads][0]
        origin: Origin = self.said_origin or ("states" if joint else "attention")
        if origin == "states":
            # Of a decoder's own states against the encoder's, the two spaces need not be one: each side by the encoder is.
            kind = "encoder" if "encoder" in kinds else first.states
            return Ask(origin, self.layer, None, self.method or "intersection", None, self.states or kind)
        method = self.method or ("intersection" if joint else "argmax_tgt")
        return Ask(origin, self.layer, self.head, method, self.view or first.name)


@dataclass(frozen=True)
class Choice:
    """Where the links of all pairs come from.

    Attributes
    ----------
    origin, place : str
        `attention` with a view, or `states` with a kind of word vectors.
    layer : int
        Of attention from 1; of word vectors the level, 0 before the first layer.
    method : str
        One of `pipeline.methods.METHODS`.
    compare : {"cosine", "raw"}
        Cosine of word vectors centred within each side, or as they are; not read for attention.
    head : int or None
        Of attention, from 0; None is the mean over heads.
    """

    origin: Origin
    place: str
    layer: int
    method: str
    compare: Compare = "cosine"
    head: int | None = None

    def __str__(self) -> str:
        if self.origin == "attention":
            head = "" if self.head is None else f", head {self.head}"
            return f"attention, {self.place}, layer {self.layer}{head}, {self.method}"
        return f"states, {self.place}, level {self.layer}, {self.method}_{self.compare}"

    def matrix(self, block: PairBlocks, views: Sequence[View]) -> Float[np.ndarray, "src tgt"]:
        """Return the similarities of a pair, in [0, 1]: attention, or (1 + cosine) / 2; in the digits that are stored."""
        if self.origin == "states":
            cosine, raw = block.cosine[self.place], block.cosine_raw[self.place]
            return self.similarity(Cosines(cosine[self.layer], raw[self.layer]))
        view, layer = names(views).index(self.place), self.layer - 1
        if self.head is None:
            return _stored(block.attention[view, layer]).T
        assert block.heads is not None
        return _stored(block.heads[view, layer, self.head]).T

    def similarity(self, of_level: Cosines) -> Float[np.ndarray, "src tgt"]:
        """Return (1 + cosine) / 2 of the word vectors of its level, in the digits that are stored."""
        cosine = of_level.cosine if self.compare == "cosine" else of_level.cosine_raw
        # Rounding may leave a cosine just below -1.
        return np.clip((1 + (1 - _stored(1 - cosine))) / 2, 0, 1)

    def links(
        self, block: PairBlocks, views: Sequence[View], options: MatchSettings
    ) -> tuple[np.ndarray, Float[np.ndarray, " link"]] | None:
        """Return what `linked` gives of a pair's blocks."""
        return self.linked(self.matrix(block, views), options)

    def linked(
        self, matrix: Float[np.ndarray, "src tgt"], options: MatchSettings
    ) -> tuple[np.ndarray, Float[np.ndarray, " link"]] | None:
        """Return links, shape (link, 2), and the similarity of each; None where the layer cannot see every word."""
        if np.isnan(matrix).any():
            return None
        links = np.argwhere(link_mask(matrix, self.method, settings=options))
        return links, matrix[tuple(links.T)]


def _stored(array: np.ndarray) -> np.ndarray:
    """Return numbers in the precision of the blocks on disk, so that links are those of the pipeline's tables."""
    return array.astype(np.float16).astype(np.float32)


def choose(ask: Ask, block: PairBlocks, views: Sequence[View], reads: Reads) -> Choice:
    """Return where links come from, checked against the blocks of a pair.

    Layers by default: of a decoder's attention the last but one (Garg et al. 2019), of an encoder's the middle one; of
    word vectors two thirds of the way up (level 8 of 12, as Jalili Sabet et al. 2020).

    Parameters
    ----------
    ask : Ask
        Settled.
    block : PairBlocks
        Of any pair.
    views : sequence of View
        Of its reader.
    reads : {"cross", "joint", "prompt"}
        How the translator is read.

    Raises
    ------
    PipelineError
        If the translator has no such view, word vectors, layer or head.
    """
    if ask.origin == "states":
        _check_place("states", ask.states, block.cosine)
        n_levels = len(block.cosine[str(ask.states)])
        level = round(2 * (n_levels - 1) / 3) if ask.layer is None else ask.layer
        _check_number("layer", level, 0, n_levels - 1)
        method, _, compare = str(ask.method).rpartition("_")
        if compare == "raw":
            return Choice("states", str(ask.states), level, method, "raw")
        return Choice("states", str(ask.states), level, str(ask.method).removesuffix("_cosine"))
    _check_place("view", ask.view, names(views))
    n_layers = block.attention.shape[1]
    default = max(1, n_layers // 2 if reads == "joint" else n_layers - 1)
    layer = default if ask.layer is None else ask.layer
    _check_number("layer", layer, 1, n_layers)
    if ask.head is not None:
        assert block.heads is not None
        _check_number("head", ask.head, 0, block.heads.shape[2] - 1)
    return Choice("attention", str(ask.view), layer, str(ask.method), head=ask.head)


def _check_place(name: str, said: str | None, there: Iterable[str]) -> None:
    if said not in (there := list(there)):
        message = f"{name}: this translator has {', '.join(there)}, but it is {said!r}; choose one"
        raise PipelineError(message)


def _check_number(name: str, said: int, least: int, most: int) -> None:
    if not least <= said <= most:
        message = f"{name}: must be from {least} to {most} for this translator, but it is {said}; choose one of these"
        raise PipelineError(message)
