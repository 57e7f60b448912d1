"""From raw text to the report: one folder a room, in the order in which the data walks.

Axis order everywhere: `attention[view, layer, tgt, src]`, `cost[layer, src, tgt]`; indices start at 0.
Layers of attention are 1 and up in every table and figure; layer 0 of a cost is the embedding layer.

For sentences of one's own: `read` (labelled arrays), `align` (links), with `Ask` to say where links come from, and
`open_translator` to load a translator once; each is loaded when it is first used, so that `import pipeline` is light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.use.align import Aligned, align
    from pipeline.use.choice import Ask
    from pipeline.use.reading import Reading, read
    from pipeline.use.translators import Named, open_translator

__all__ = ["Aligned", "Ask", "Named", "Reading", "align", "open_translator", "read"]

_PLACES = {
    "Aligned": "align",
    "Ask": "choice",
    "Named": "translators",
    "Reading": "reading",
    "align": "align",
    "open_translator": "translators",
    "read": "reading",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"pipeline.use.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
