"""Tables of the documents that the code holds: `<!-- made: NAME -->` becomes the table when the site is built."""

import html
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # mkdocs runs this file by its path
MADE = re.compile(r"<!-- made: (\w+) -->")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table; bars in cells are escaped."""
    lines = [list(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def glossary() -> str:
    """Return the terms of the page, with anchors."""
    from pipeline.report.glossary import anchor
    from pipeline.report.glossary import glossary as terms

    return table(
        ["term", "what it means here"], ([f'<span id="{anchor(t)}">{t}</span>', m] for t, m in terms().items())
    )


def controls() -> str:
    """Return what is scored beside the trained attention."""
    from pipeline.report.wording import CONTROL_NOTES

    return table(["control", "what it is"], ([f"`{name}`", note] for name, note in CONTROL_NOTES.items()))


def questions() -> str:
    """Return the questions of the page."""
    from pipeline.verdicts.questions import ASKED_OF_ALL

    return "\n".join(f"1. {question.text}" for question in ASKED_OF_ALL)


def conventions() -> str:
    """Return every choice by convention."""
    from pipeline.conventions import CORRECTED, NOTEBOOK, PAPER

    values = [one.signature() for one in (CORRECTED, PAPER, NOTEBOOK)]
    fields = [name for name in values[0] if name != "name"]
    return table(
        ["choice", *(f"`{one['name']}`" for one in values)],
        (
            [f"`{field}`", *("as params.yaml says" if one[field] is None else str(one[field]) for one in values)]
            for field in fields
        ),
    )


def effects() -> str:
    """Return the headline numbers of the demo's translators under each convention."""
    import json

    found = json.loads((ROOT / "reports/results/conventions.json").read_text(encoding="utf-8"))
    rows = []
    for translator in found["corrected"]:
        of = {name: found[name][translator] for name in found if translator in found[name]}
        for quantity in ("correspondence", "pointing", "plan_correlation"):
            for view in found["corrected"][translator][quantity]:
                cells = {name: one[quantity][view] for name, one in of.items()}
                rows.append([translator, f"{WORDS[quantity]}, {view}", *(_best(cells.get(name)) for name in found)])
        for source in ("attention", "embedding"):
            cells = [f"{100 * of[name]['aer'][source]:.1f}" if name in of else "not run" for name in found]
            rows.append([translator, f"alignment error % ({source}), half B", *cells])
    return table(["translator", "number", *(f"`{name}`" for name in found)], rows)


WORDS = {"correspondence": "score", "pointing": "pointing", "plan_correlation": "correlation with the exact plan"}


def _best(cell: dict | None) -> str:
    return "not run" if cell is None else f"{cell['value']:.3f} (layer {cell['layer']})"


def families() -> str:
    """Return the model families that are read, and those that are refused with the reason."""
    from pipeline.attention.families import FAMILIES

    words = {"cross": "a decoder reads an encoder", "joint": "one encoder, both sides", "prompt": "a language model"}
    rows = []
    for reads, known in FAMILIES.items():
        readable = ", ".join(name for name, entry in known.items() if "module" in entry)
        refused = ", ".join(name for name, entry in known.items() if "refused" in entry)
        rows.append([f"`{reads}`", words[reads], readable, refused])
    return table(["reads", "what it is", "families", "refused: not through the attention interface"], rows)


def methods() -> str:
    """Return the names of all link methods."""
    from pipeline.methods import METHODS

    return ", ".join(f"`{method}`" for method in METHODS)


def commands() -> str:
    """Return the help of every command, as it is printed."""
    import typer
    from click import Context
    from rich.console import Console  # noqa: F401 - typer's help needs it

    from pipeline.cli import app

    group = typer.main.get_command(app)
    parts = []
    with Context(group, info_name="python -m pipeline") as whole:
        for name, command in sorted(group.commands.items()):
            rows = [
                [
                    f"`{', '.join(one.opts)}`" if one.opts else f"`{one.name}`",
                    html.escape(getattr(one, "help", "") or ""),
                ]
                for one in command.get_params(Context(command, parent=whole, info_name=name))
                if one.name != "help"
            ]
            head = f"## {name}\n\n{command.help}\n\n"
            parts.append(head + table(["option", "what it says"], rows))
    return "\n\n".join(parts)


TABLES: dict[str, Callable[[], str]] = {
    made.__name__: made for made in (glossary, controls, questions, conventions, effects, families, methods, commands)
}


def on_page_markdown(markdown: str, **_: object) -> str:
    """Fill the marks of a page (called by mkdocs)."""
    return MADE.sub(lambda mark: TABLES[mark[1]](), markdown)
