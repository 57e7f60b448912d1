"""What the paper's text, its notebooks and good practice do differently, as data that every result carries.

A convention governs the stages corpus, extract and align; a view says whose words are queries. Nothing outside of
this module compares the name of either (docs/design.md, section 5).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from pipeline.errors import PipelineError

Side = Literal["src", "tgt"]
Reads = Literal["cross", "joint", "prompt"]
ConventionName = Literal["corrected", "paper", "notebook"]
StatesName = Literal["output_step", "input_step", "embeddings", "encoder", "together", "alone"]


@dataclass(frozen=True)
class Convention:
    """Every choice between text and score, as one value.

    Attributes
    ----------
    name : {"corrected", "paper", "notebook"}
        As in params.yaml.
    text : {"sentence", "lemmas"}
        What a model reads: the sentence, or its words in dictionary form.
    target_tokens : {"target", "source"}
        Whose tokeniser splits the target of an encoder-decoder; `source` is the notebook's mistake.
    end_token : {"dropped", "last_word"}
        What becomes of the special token after the last word of an encoder-decoder's side.
    last_word : {"kept", "dropped"}
        Whether links of the last word of a side are scored.
    key_tokens : {"sum", "mean"}
        How the attention on the tokens of a key word becomes one number; over query tokens it is always the mean.
    cost : {"squared_of_means", "mean_of_distances"}
        Squared distance of mean-pooled word vectors (eq. 1), or mean unsquared distance over pairs of tokens.
    scaled : {"as_pooled", "unit_source_words"}
        Whether each source word's attention, over all target words, is given Euclidean norm 1 before it is scored.
    score : {"mean_mass", "mass", "cosine"}
        Which score is called correspondence; every one is computed.
    level : float or None
        Of the intervals, in (0, 1); None is `align.level`.
    z : float or None
        Intervals are `z` standard errors to either side; None is a percentile bootstrap.
    """

    name: ConventionName
    text: Literal["sentence", "lemmas"]
    target_tokens: Literal["target", "source"]
    end_token: Literal["dropped", "last_word"]
    last_word: Literal["kept", "dropped"]
    key_tokens: Literal["sum", "mean"]
    cost: Literal["squared_of_means", "mean_of_distances"]
    scaled: Literal["as_pooled", "unit_source_words"]
    score: Literal["mean_mass", "mass", "cosine"]
    level: float | None
    z: float | None

    @property
    def keeps_mass(self) -> bool:
        """Return whether what is scored is still a mass, so that floors can be given the attention's."""
        return self.scaled == "as_pooled"

    @property
    def compares_with_published(self) -> bool:
        """Return whether the values drawn in the paper were made this way (its notebook's)."""
        return self == NOTEBOOK

    def signature(self) -> dict[str, Any]:
        """Return the choices by name, for manifests and summaries."""
        return asdict(self)


CORRECTED = Convention(
    name="corrected",
    text="sentence",
    target_tokens="target",
    end_token="dropped",
    last_word="kept",
    key_tokens="sum",
    cost="squared_of_means",
    scaled="as_pooled",
    score="mean_mass",
    level=None,
    z=None,
)
PAPER = Convention(
    name="paper",
    text="sentence",
    target_tokens="target",
    end_token="dropped",
    last_word="kept",
    key_tokens="mean",
    cost="squared_of_means",
    scaled="as_pooled",
    score="mass",
    level=0.8,
    z=None,
)
NOTEBOOK = Convention(
    name="notebook",
    text="lemmas",
    target_tokens="source",
    end_token="last_word",
    last_word="dropped",
    key_tokens="mean",
    cost="mean_of_distances",
    scaled="unit_source_words",
    score="cosine",
    level=None,
    z=1.282,  # drawn as 90 %; it is 80 %, what the paper says
)
_CONVENTIONS = {convention.name: convention for convention in (CORRECTED, PAPER, NOTEBOOK)}


def convention_of(name: str) -> Convention:
    """Return the convention that params.yaml or a signature names.

    Raises
    ------
    PipelineError
        If there is none of that name.

    Examples
    --------
    >>> convention_of("paper").score
    'mass'
    """
    if name not in _CONVENTIONS:
        message = f"convention: must be one of {', '.join(_CONVENTIONS)}, but it is {name!r}; choose one"
        raise PipelineError(message)
    return _CONVENTIONS[cast(ConventionName, name)]


@dataclass(frozen=True)
class View:
    """One way to look at a pair: which words are queries, so that their rows (or columns) sum to 1.

    Attributes
    ----------
    name : str
        As in tables and blocks.
    query_side : {"src", "tgt"}
        Whose words look; the words of the other side are keys. Blocks are (tgt, src) whichever it is.
    states : str
        The word vectors of the same step: attention and a plan are compared with those only.
    label, what : str
        In words, for the page.
    """

    name: str
    query_side: Side
    states: StatesName
    label: str
    what: str

    @property
    def key_side(self) -> Side:
        """Return whose words are seen."""
        return "src" if self.query_side == "tgt" else "tgt"

    @property
    def query_axis(self) -> int:
        """Return the axis of a block (..., tgt, src) along which the queries lie, counted from the end."""
        return -2 if self.query_side == "tgt" else -1

    @property
    def key_axis(self) -> int:
        """Return the axis of a block along which the keys lie: that over which a query's row sums to 1."""
        return -1 if self.query_side == "tgt" else -2


OUTPUT_STEP = View(
    "output_step", "tgt", "output_step", "output step", "the decoder step that predicts the target word; the paper’s"
)
INPUT_STEP = View(
    "input_step", "tgt", "input_step", "input step", "the decoder step that reads the target word, one later"
)
TGT_TO_SRC = View("tgt_to_src", "tgt", "together", "target to source", "target words look at source words")
SRC_TO_TGT = View("src_to_tgt", "src", "together", "source to target", "source words look at target words")

VIEWS: dict[Reads, tuple[View, ...]] = {
    "cross": (OUTPUT_STEP, INPUT_STEP),
    "joint": (TGT_TO_SRC, SRC_TO_TGT),
    "prompt": (OUTPUT_STEP, INPUT_STEP),
}
STATES: dict[Reads, tuple[StatesName, ...]] = {
    "cross": ("output_step", "input_step", "embeddings", "encoder"),
    "joint": ("together", "alone"),
    "prompt": ("output_step", "input_step"),
}
"""Where word vectors are taken, by what is read: at the step that predicts the target word or the one that reads it
(against the source word in the encoder's last states, or in the same sequence); `embeddings` against embeddings;
`encoder` and `alone`, each side by itself; `together`, both in one sequence."""
STATES_IN_WORDS: dict[StatesName, str] = {
    "output_step": "at the step that predicts the word",
    "input_step": "at the step that reads the word",
    "embeddings": "embeddings",
    "encoder": "each side alone through the encoder",
    "together": "both sentences in one sequence",
    "alone": "each sentence alone",
}
_VIEWS = {view.name: view for view in (OUTPUT_STEP, INPUT_STEP, TGT_TO_SRC, SRC_TO_TGT)}


def view_of(name: str) -> View:
    """Return the view of a name that a manifest or a table holds.

    Raises
    ------
    PipelineError
        If there is none of that name.

    Examples
    --------
    >>> view_of("src_to_tgt").query_side
    'src'
    """
    if name not in _VIEWS:
        message = f"view: must be one of {', '.join(_VIEWS)}, but it is {name!r}; run `dvc repro` to write it anew"
        raise PipelineError(message)
    return _VIEWS[name]


def names(views: Sequence[View]) -> list[str]:
    """Return the names of views, in order."""
    return [view.name for view in views]


def label_of(name: str) -> str:
    """Return a view, or a kind of states, in words.

    Examples
    --------
    >>> label_of("src_to_tgt"), label_of("alone")
    ('source to target', 'each sentence alone')
    """
    return _VIEWS[name].label if name in _VIEWS else STATES_IN_WORDS[cast(StatesName, name)]
