"""The blocks of params.yaml about models: translators and how they are run."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from pipeline.conventions import STATES, VIEWS, StatesName
from pipeline.params.base import Block, Count, Seed, Text, as_tuple, only_for, refuse, unique

ControlName = Literal["trained", "random_init", "weight_shuffled"]
_ALL_STATES = tuple(dict.fromkeys(kind for kinds in STATES.values() for kind in kinds))


def means_folder(model: str) -> bool:
    """Return whether a model's name is a folder, there or mistyped, rather than `owner/name` on the hub."""
    path = Path(model).expanduser()
    in_folder = "/" in model and path.parent.is_dir()
    return (
        path.is_dir() or in_folder or model.startswith((".", "/", "~")) or model.endswith("/") or model.count("/") > 1
    )


class Family(Block):
    """Where a model that families.yaml does not know keeps the attention that is read."""

    module: Annotated[str, Field(pattern=r"^[^{}]*\{layer\}[^{}]*$")]
    position: Annotated[int, Field(ge=0)] | Literal["padding_idx + 1"] | None = None


class Translator(Block):
    """One model whose attention is read.

    `cross` reads from decoder to encoder, `joint` within one encoder, `prompt` within a language model that is asked
    for a translation.
    """

    model: Text
    reads: Literal["cross", "joint", "prompt"]
    positions: Literal["continue", "restart"] | None = None
    revision: Text | None = None
    src_code: Text | None = None
    tgt_code: Text | None = None
    prefix: str | None = None
    template: Text | None = None
    shots: Annotated[int, Field(ge=0)] | None = None
    chat: bool | None = None
    family: Family | None = None

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, value: Any) -> Any:
        """Give a joint encoder that says nothing BERT's position numbers, and a prompt no examples and no chat."""
        if not isinstance(value, dict):
            return value
        defaults: dict[str, dict[str, Any]] = {
            "joint": {"positions": "continue"},
            "prompt": {"shots": 0, "chat": False},
        }
        given = {key: own for key, own in value.items() if own is not None}
        return value | defaults.get(str(value.get("reads")), {}) | given

    @property
    def is_folder(self) -> bool:
        """Return whether the name is meant as a folder here, rather than as `owner/name` on the hub."""
        return means_folder(self.model)

    @property
    def is_demo(self) -> bool:
        """Return whether the model was trained for the demo, wherever its folder lies."""
        return Path(self.model).parent.parts[-2:] == ("data", "demo")

    def for_pair(self, pair: str, own: str) -> "Translator":
        """Return the entry for text of another language pair than its own, for which codes and words were set.

        A code stays where its language does; a prefix, a template and examples, which are words of languages, give way
        to the model's own and the house's.

        Parameters
        ----------
        pair, own : str
            Of the text, and `corpus.pair`: source-target.
        """
        if pair == own:
            return self
        sides = zip(("src_code", "tgt_code"), pair.split("-"), own.split("-"), strict=True)
        codes = {key: getattr(self, key) if lang == said else None for key, lang, said in sides}
        words = {"prefix": None if self.prefix else self.prefix, "template": None}
        return self.model_copy(update=codes | words | ({"shots": 0} if self.shots else {}))

    @model_validator(mode="after")
    def _agrees(self) -> "Translator":
        if self.reads != "joint":
            only_for(self, ("positions",), "only reads: joint has positions")
        if self.reads != "cross":
            only_for(self, ("src_code", "tgt_code", "prefix"), "only reads: cross has language codes and a prefix")
        if self.reads != "prompt":
            only_for(self, ("template", "shots", "chat"), "only reads: prompt has template, shots and chat")
        if self.template is not None and sorted(re.findall(r"{(\w+)}", self.template)) != ["src", "tgt"]:
            refuse(
                f"template: must hold {{src}} and {{tgt}} once each and no other {{name}}, but it is "
                f"{self.template!r}; write 'English: {{src}}\\nFrench: {{tgt}}', say"
            )
        if self.family is not None and self.family.position is not None and self.reads != "joint":
            refuse(
                f"family.position: only reads: joint has positions, but it is {self.family.position!r}; "
                "set it to null or leave it out"
            )
        if self.is_folder:
            only_for(self, ("revision",), "only a model on the hub has a revision")
        return self


class Extract(Block):
    """How the models are run."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["float32", "float64", "bfloat16", "float16"] = "float32"
    tokens_per_batch: Count = 4096
    controls: Annotated[tuple[ControlName, ...], BeforeValidator(as_tuple)] = ("trained", "random_init")
    seed: Seed = 2026
    seeds: Count = 1
    states: Annotated[tuple[StatesName, ...], BeforeValidator(as_tuple)] = _ALL_STATES
    weights: Annotated[tuple[Literal["attention", "norm"], ...], BeforeValidator(as_tuple)] = ("attention",)
    heads_pairs: Annotated[int, Field(ge=0)] = 240
    keep: Literal["blocks", "sums"] = "blocks"
    engine: Literal["local", "ray"] = "local"

    @property
    def splits(self) -> tuple[tuple[str, ControlName, int], ...]:
        """Return name, control and seed of everything that is run on the corpus: `random_init_2` is a second seed."""
        return tuple(
            (control if draw == 0 else f"{control}_{draw + 1}", control, (self.seed + draw) % 2**32)
            for control in self.controls
            for draw in range(1 if control == "trained" else self.seeds)
        )

    @model_validator(mode="after")
    def _agrees(self) -> "Extract":
        for key in ("controls", "states", "weights"):
            unique(key, getattr(self, key))
        if "trained" not in self.controls:
            refuse(
                "controls: must hold trained (and may hold random_init, weight_shuffled), "
                f"but it is {list(self.controls)}; add it"
            )
        if "attention" not in self.weights:
            refuse(f"weights: must hold attention (and may hold norm), but it is {list(self.weights)}; add it")
        if self.engine == "ray" and self.keep != "sums":
            refuse(f"engine: ray is for keep: sums, but keep is {self.keep}; use local, or keep: sums")
        missing = sorted({view.states for views in VIEWS.values() for view in views} - set(self.states))
        if missing:
            refuse(
                f"states: must hold those of the views (output_step, input_step, together), but {missing[0]} is "
                f"missing from {list(self.states)}; add it"
            )
        return self


class Ray(Block):
    """Where `extract.engine: ray` runs."""

    address: str | None = None
    workers: Count = 2
    gpus: Annotated[float, Field(ge=0)] = 0


def demo_translators() -> dict[str, Translator]:
    """Return the two small translators that come with the project."""
    return {
        "mini-marian": Translator(model="data/demo/mini-marian", reads="cross"),
        "mini-mbert": Translator(model="data/demo/mini-mbert", reads="joint", positions="restart"),
    }
