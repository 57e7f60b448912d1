"""How this was made: parameters, conventions, models, data, dropped sentences, versions and commands."""

import hashlib
import io
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from pipeline._output import read_object, shown
from pipeline.params import DEMO_PAIRS, Params, named_paths
from pipeline.report.metrics import TranslatorMetrics
from pipeline.report.page import Table, text
from pipeline.report.wording import count, listed, reason

PAGE_PACKAGES = ("jinja2", "matplotlib", "pandas", "pyarrow", "seaborn")
GIVEN = {"source_code": "source code", "target_code": "target code", "before_source": "before each source sentence:"}
LICENCES = {
    ("text", "demo"): "written for this project; CC0 (data/demo/LICENSE)",
    ("text", "wmt14"): "WMT14 as distributed on the hub (wmt/wmt14); research use",
    ("text", "files"): "files of the user; their licence applies",
    ("dictionary", "demo"): "written for this project; CC0 (data/demo/LICENSE)",
    ("dictionary", "muse"): "MUSE (Conneau et al. 2018); CC BY-NC 4.0, no commercial use",
    (
        "dictionary",
        "files",
    ): "file of the user; its licence applies (MUSE dictionaries: CC BY-NC 4.0; WMT test sets: research use)",
}


def demo_translators(params: Params) -> list[str]:
    """Return the names of the translators that were trained for the demo."""
    return [name for name, spec in params.translators.items() if spec.is_demo]


def parameters_yaml(params: Params) -> str:
    """Return the parameters, defaults included, as YAML that `load_params` reads; no folder of this machine."""
    from ruamel.yaml import YAML

    paths = {*named_paths(params).values()}

    def told(value: object) -> object:
        if isinstance(value, dict):
            return {key: told(part) for key, part in value.items()}
        if isinstance(value, list):
            return [told(part) for part in value]
        return shown(value) if isinstance(value, str) and value in paths else value

    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 100
    buffer = io.StringIO()
    yaml.dump(told(params.model_dump(mode="json")), buffer)
    return buffer.getvalue()


def parameters_hash(params: Params) -> str:
    """Return the first twelve digits of the SHA-256 of `parameters_yaml`."""
    return hashlib.sha256(parameters_yaml(params).encode()).hexdigest()[:12]


def models_table(manifests: Mapping[str, Mapping], params: Params) -> Table:
    """Return model, revision, size and reading of every translator."""
    rows = []
    for name, manifest in manifests.items():
        spec = params.translators[name]
        reads = {
            "cross": "cross-attention, decoder over encoder",
            "joint": "self-attention of one encoder over both sides",
            "prompt": "self-attention of a language model over a prompt",
        }
        positions = f"; target positions {spec.positions}" if spec.positions else ""
        told = manifest.get("conventions", {})
        given = "".join(f"; {name} {told[key]}" for key, name in GIVEN.items() if key in told)
        rows.append(
            [
                name,
                f"{manifest['model']} ({manifest.get('model_class', 'class not recorded')})",
                manifest.get("revision") or ("demo translator" if name in demo_translators(params) else "not recorded"),
                count(manifest["n_parameters"]) if manifest.get("n_parameters") else "–",
                f"{manifest['n_layers']} × {manifest.get('n_heads') or '–'}",
                reads[manifest["reads"]] + positions + given,
                ", ".join(str(manifest.get(key, "–")) for key in ("dtype", "device", "tokens_per_batch"))
                + " tokens a batch",
            ]
        )
    head = ["translator", "model", "revision", "parameters", "layers × heads", "read as", "run as"]
    return Table(head, rows, n_labels=7, wraps=True)


def conventions_table(translators: Sequence[TranslatorMetrics]) -> Table:
    """Return every choice that the numbers depend on, by translator; once where all have the same."""
    by_choice: dict[str, dict[str, list[str]]] = {}
    for t in translators:
        for choice, value in _choices(t):
            by_choice.setdefault(choice, {}).setdefault(value, []).append(t.name)
    rows = [
        [choice, "all" if len(names) == len(translators) else listed(names), value]
        for choice, values in by_choice.items()
        for value, names in values.items()
    ]
    return Table(["choice", "of", "value"], rows, n_labels=3, wraps=True)


def _choices(t: TranslatorMetrics) -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []

    def add(prefix: str, value: object) -> None:
        if isinstance(value, Mapping):
            for key in sorted(value):
                add(f"{prefix}, {reason(key)}" if prefix else reason(key), value[key])
        else:
            text = (
                {True: "yes", False: "no", None: "–"}.get(value, str(value))
                if isinstance(value, bool | None)
                else str(value)
            )
            flat.append((prefix, text))

    add("", {key: value for key, value in t.summary["signature"].items() if key != "versions"})
    return flat


def data_table(params: Params, selection: Mapping, links: Mapping) -> Table:
    """Return text, dictionary and hand-made links with their checksums and licences."""
    files = ", ".join(f"{entry['name']} (sha256 {entry['sha256'][:12]}…)" for entry in selection.get("files", []))
    source, lexicon = params.corpus.source, params.lexicon.source
    which = f"{source}, {params.corpus.pair}" + (
        f", revision {selection['revision']}" if selection.get("revision") else ""
    )
    rows = [
        ["text", which, files or "–", LICENCES["text", source]],
        [
            "dictionary",
            f"{lexicon}, {count(links['lexicon']['entries'])} entries",
            f"sha256 {links['lexicon']['sha256'][:12]}…",
            LICENCES["dictionary", lexicon],
        ],
    ]
    for gold in params.gold:
        demo = gold.links == DEMO_PAIRS
        licence = (
            LICENCES["text", "demo"]
            if demo
            else "files of the user; their licence applies (Hansards gold set: research use)"
        )
        rows.append(
            [
                f"hand-made links, {gold.name}",
                shown(gold.links),
                f"{gold.pair}, words numbered from {gold.base}",
                licence,
            ]
        )
    return Table(["what", "which", "files", "terms"], rows, n_labels=4, wraps=True)


def dropped_table(
    translators: Sequence[TranslatorMetrics], manifests: Mapping[str, Mapping], selection: Mapping, links: Mapping
) -> Table:
    """Return how many sentence pairs were left after every step, and why the others were not."""
    rows = [
        ["corpus", "all", count(selection["looked_at"]), count(selection["kept"]), _reasons(selection["dropped"])],
        ["links", "all", count(links["n_pairs"]), count(links["n_pairs_used"]), _reasons(links["dropped"])],
    ]
    for t in translators:
        manifest = manifests[t.name]
        n_read, skipped = manifest["n_pairs"], manifest.get("skipped", {})
        rows.append(["extract", t.name, count(n_read + sum(skipped.values())), count(n_read), _reasons(skipped)])
        rows.append(
            [
                "align",
                t.name,
                count(t.summary["n_pairs"] + sum(t.dropped.values())),
                count(t.summary["n_pairs"]),
                _reasons(t.dropped),
            ]
        )
        for gold, _ in t.gold_sets:
            missing = {"without blocks": gold.get("n_without_blocks", 0), **gold.get("skipped", {})}
            rows.append(
                [
                    f"align, hand-made links, {gold['set']}",
                    t.name,
                    count(gold["n_pairs"] + gold.get("n_without_blocks", 0)),
                    count(gold["n_pairs"]),
                    _reasons(missing),
                ]
            )
    head = ["stage", "translator", "came", "left", "dropped, by reason"]
    return Table(head, rows, n_labels=2, caption=text("made", "dropped"), wraps=True)


def _reasons(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{count(n)} {reason(name)}" for name, n in sorted(dropped.items()) if n) or "none"


def versions_table(translators: Sequence[TranslatorMetrics], manifests: Mapping[str, Mapping]) -> Table:
    """Return the versions of Python and of the packages, by what they made."""
    rows = [["page", "python", platform.python_version()]]
    rows += [["page", name, version(name)] for name in PAGE_PACKAGES]
    measured = {
        ("alignment", name, of) for t in translators for name, of in t.summary["signature"].get("versions", {}).items()
    }
    extracted = {("attention", name, of) for m in manifests.values() for name, of in m.get("versions", {}).items()}
    return Table(["made", "package", "version"], rows + [list(row) for row in sorted(extracted | measured)], n_labels=3)


def read_corpus_facts(metrics: Path) -> tuple[dict, dict]:
    """Return what the stages corpus and links wrote of what they kept.

    Raises
    ------
    PipelineError
        If a file is missing or from another edition.
    """
    selection = read_object(metrics / "corpus.json", ("dropped", "files", "kept", "looked_at"), "corpus")
    links = read_object(metrics / "links.json", ("dropped", "lexicon", "n_pairs", "n_pairs_used"), "links")
    return selection, links
