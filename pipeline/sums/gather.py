"""Results of all rows put together, work that was cut off taken up again, and the files of a translator's sums."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline._output import SCHEMA, whole_file, write_json
from pipeline.alignment.added import ROWS, Added
from pipeline.alignment.added_file import read_added, write_added
from pipeline.alignment.collect import watched
from pipeline.alignment.inputs import Inputs, Split
from pipeline.alignment.planned import Plan
from pipeline.attention.engine import move_into_place
from pipeline.attention.extract import fingerprint
from pipeline.attention.store import sha256
from pipeline.conventions import Convention
from pipeline.corpus.pairs import SentencePair
from pipeline.errors import PipelineError
from pipeline.methods import SHOWN
from pipeline.params import Align
from pipeline.sums.engines import Engine
from pipeline.sums.worker import Done, Read, Reading, Task, levels_of, stored_of

SAVE_EVERY = 8
"""Steps between two times that unfinished sums are written."""


@dataclass
class Gathered:
    """Sums of the steps that are done, and the folder of unfinished work."""

    folder: Path
    total: Added
    read: dict[str, Read] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)

    @classmethod
    def found(cls, folder: Path, empty: Added) -> "Gathered":
        """Return what lies in a folder from a run that was cut off, or nothing."""
        path = folder / "unfinished.json"
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            return cls(folder, empty)
        state = json.loads(path.read_text(encoding="utf-8"))
        read = {
            split: Read(own["n_pairs"], Counter(own["skipped"]), np.array(own["blind"]))
            for split, own in state["read"].items()
        }
        return cls(folder, read_added(folder / state["file"]), read, set(state["done"]))

    def take(self, done: Done) -> None:
        """Add the result of a step; its stored blocks are written at once."""
        for split, shard in done.shards.items():
            if not shard:  # none of these rows is stored
                continue
            path = self.folder / split / f"shard-{done.step:05d}.arrow"
            path.parent.mkdir(exist_ok=True)
            with whole_file(path) as part:
                part.write_bytes(shard)
        self.total = self.total.merge(done.added)
        self.read = {split: self.read[split] + own if self.read else own for split, own in done.read.items()}
        self.done.add(done.step)
        if len(self.done) % SAVE_EVERY == 0:
            self._save()

    def _save(self) -> None:
        name = f"unfinished-{len(self.done)}.npz"  # the old one is good until the new one is named
        write_added(self.total, self.folder / name)
        read = {
            split: {"n_pairs": own.n_pairs, "skipped": dict(own.skipped), "blind": own.blind.tolist()}
            for split, own in self.read.items()
        }
        write_json(self.folder / "unfinished.json", {"file": name, "done": sorted(self.done), "read": read})
        for path in self.folder.glob("unfinished-*.npz"):
            if path.name != name:
                path.unlink()

    def finish(self, about: dict[str, dict[str, Any]], target: Path) -> None:
        """Write manifests and sums, and move all into place."""
        for path in self.folder.glob("unfinished*"):
            path.unlink()
        for split, of in about.items():
            folder, own = self.folder / split, self.read[split]
            folder.mkdir(exist_ok=True)
            shards = {path.name: sha256(path) for path in sorted(folder.glob("shard-*.arrow"))}
            counts = {"n_pairs": own.n_pairs, "skipped": dict(sorted(own.skipped.items())), "shards": shards}
            blind = dict(zip(of["views"], own.blind.tolist(), strict=True))
            write_json(folder / "manifest.json", {**of, **counts, "cannot_see": blind, "kept": "sums"})
        write_added(self.total, self.folder / "added.npz")
        move_into_place(self.folder, target)


def gather(
    engine: Engine,
    texts: Sequence[SentencePair],
    inputs: Inputs,
    settings: Align,
    convention: Convention,
    *,
    reading: Reading,
    work: Path,
    target: Path,
) -> Added:
    """Return what all pairs of the corpus add; sums and the blocks of a sample then lie in `target`.

    Parameters
    ----------
    engine : Engine
        Who reads.
    texts : sequence of SentencePair
        The corpus as the model reads it, row by row.
    inputs : Inputs
        Its sentences and links; manifests and blocks are not read.
    settings, convention : Align, Convention
        How it is measured.
    reading : Reading
        Of the trained weights: its first rows keep every head, and are stored.
    work, target : Path
        Folder of unfinished work, and of the result.

    Raises
    ------
    PipelineError
        If not one of the first pairs can be read.
    """
    about = engine.about(texts)
    if not levels_of(about):
        message = (
            f"translators.{about['trained']['translator']}: one of the first pairs must be readable, but none is; "
            "check the languages and the sentence lengths"
        )
        raise PipelineError(message)
    inputs = replace(inputs, trained=Split(about["trained"], ()))
    plan = Plan.of(inputs, settings, convention, only_stored=True, n_first=max(reading.settings.heads_pairs, SHOWN))
    name = f"sums-{about['trained']['translator']}-{_fingerprint(about, reading, texts, inputs, plan)}"
    gathered = Gathered.found(work / name, Added.empty(plan.rules))
    todo = [step for step in range(plan.n_steps) if step not in gathered.done]
    for done in watched(engine.run(_tasks(todo, texts, plan)), f"{about['trained']['translator']} sums", len(todo)):
        gathered.take(done)
    gathered.finish(about, target)
    return gathered.total


def _tasks(steps: Sequence[int], texts: Sequence[SentencePair], plan: Plan) -> Iterator[Task]:
    """Yield the tasks as they are asked for: each holds its rows only."""
    for step in steps:
        start = step * ROWS
        pairs = texts[start : start + ROWS]
        stored = stored_of(plan.stored, pairs, start)
        yield Task(step, start, pairs, stored, plan.part(step), plan.rules)


def _fingerprint(about: dict, reading: Reading, texts: Sequence[SentencePair], inputs: Inputs, plan: Plan) -> str:
    """Return a hash of all that the sums follow from."""
    digest = hashlib.sha256(fingerprint(about["trained"], Path(reading.spec.model), reading.shots, texts).encode())
    digest.update(json.dumps([SCHEMA, about], sort_keys=True).encode())
    digest.update(repr(plan.rules).encode() + plan.stored.tobytes() + plan.first.tobytes())
    for links in (*plan.sample.links, *plan.sample.partner_links, *(inputs.shuffled_links or {}).values()):
        digest.update(np.ascontiguousarray(links).tobytes())
    for source in sorted((Path(__file__).parents[1] / "alignment").glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
