"""Weights in the older format, rewritten once as safetensors."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline._hub import open_commit
from pipeline._output import replacing
from pipeline.attention.fetch import KEY, fetch_files, model_folder, needed_files, pickled_weights
from pipeline.errors import PipelineError


def convert(
    name: str,
    target: str | Path,
    *,
    revision: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Write a model whose weights are `pytorch_model.bin` as a folder with `model.safetensors`.

    The old weights are read as plain tensors (`weights_only`), so that no code in them can run.

    Parameters
    ----------
    name : str
        A folder, or `owner/name` on the hub.
    target : str or Path
        The folder to write; what is there is replaced if it is a model.
    revision : str, optional
        Commit hash or branch on the hub.

    Raises
    ------
    PipelineError
        If there are no such weights, or `target` is the model's own folder or holds something else.
    """
    target = Path(target)
    if target.exists() and not (target / "config.json").is_file():
        message = f"target: a new folder, or one with a model, but {target} is something else; name another"
        raise PipelineError(message)
    own = Path(name).expanduser()
    if own.is_dir() and (target.resolve() == own.resolve() or target.resolve() in own.resolve().parents):
        message = f"target: a folder beside that of the model, whose files stay, but {target} is its own; name another"
        raise PipelineError(message)
    if own.is_dir():
        folder, _ = model_folder(name, weights=False)
        old = pickled_weights(path.name for path in folder.iterdir())
    else:
        commit = open_commit(name, kind="model", revision=revision, key=KEY)
        old = pickled_weights(commit.files)
        folder = fetch_files(commit, [*needed_files(commit, weights=False), *old], say)
    if not old:
        message = f"{KEY}: {name} has no pytorch_model.bin to convert; use it as it is, or name another"
        raise PipelineError(message)
    _rewrite(name, folder, target)
    say(f"wrote {target}")


def _rewrite(name: str, folder: Path, target: Path) -> None:
    import transformers

    local = {"local_files_only": True, "trust_remote_code": False}
    config = transformers.AutoConfig.from_pretrained(folder, **local)
    # The class that the weights were saved from keeps its head, which a later reader may need.
    named = [getattr(transformers, name, None) for name in config.architectures or ()]
    classes = [one for one in named if isinstance(one, type) and issubclass(one, transformers.PreTrainedModel)]
    general = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModel
    auto: Any = classes[0] if classes else general
    try:
        model = auto.from_pretrained(folder, **local, use_safetensors=False)
    except pickle.UnpicklingError:
        message = (
            f"{KEY}: the weights of {name} must be plain tensors, but reading them would run code; name another model"
        )
        raise PipelineError(message) from None
    with replacing(target) as part:
        model.save_pretrained(part)
        for path in sorted(folder.iterdir()):
            if path.suffix in {".json", ".txt", ".spm", ".model", ".jinja"} and not (part / path.name).exists():
                (part / path.name).write_bytes(path.read_bytes())
