"""A translator with the head that it was trained with, and the way its loss is taken."""

from collections.abc import Callable, Sequence

from pipeline.attention.extract import make_reader
from pipeline.attention.load import MissingHeadError, Translator, load_spec
from pipeline.attention.reader import Asked
from pipeline.conventions import Reads
from pipeline.corpus.pairs import SentencePair
from pipeline.intervention.hook import NAME
from pipeline.intervention.items import Encode
from pipeline.params import Extract
from pipeline.params import Translator as TranslatorSpec

SCORES: dict[Reads, str] = {
    "cross": "teacher-forced loss of the reference, nats a target word",
    "joint": "loss of masked target words (40 % of them, whole), nats a masked word",
    "prompt": "teacher-forced loss of the reference after the prompt, nats a target word",
}


def load_with_head(
    spec: TranslatorSpec,
    settings: Extract,
    *,
    languages: str,
    shots: Sequence[SentencePair],
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Translator, Encode] | None:
    """Return the model in float32 and how it reads a pair; `None` where there is no head that tells words from states.

    Parameters
    ----------
    spec : Translator
    settings : Extract
        Its device.
    languages : str
        Of the text, source-target.
    shots : sequence of SentencePair
        Examples in the prompt of a language model.
    seed : int
        Of the words that are masked.
    say : callable
        Gets a line before a download, with its size.

    Raises
    ------
    PipelineError
        If the model cannot be loaded or does not fit `spec.reads`.
    """
    exact = settings.model_copy(update={"dtype": "float32"})
    try:
        translator = load_spec(spec, exact, pair=languages, head=True, say=say)
    except MissingHeadError:
        return None
    if spec.reads == "joint" and translator.tokenizer.mask_token_id is None:
        return None
    translator.model.set_attn_implementation(NAME)
    reader = make_reader(translator, spec, asked=Asked(states=()), languages=languages, shots=shots)
    return translator, Encode(reader, spec.reads, translator.tokenizer.mask_token_id, seed)
