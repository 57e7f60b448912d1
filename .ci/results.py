"""Write the tables of docs/results.md from reports/results/e5-small: `python .ci/results.py`; with --check only compare."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT, RESULTS = ROOT / "docs" / "results.md", ROOT / "reports" / "results" / "e5-small"
TRANSLATOR = RESULTS / "translators" / "e5"
VIEWS = {"tgt_to_src": "target to source", "src_to_tgt": "source to target", "both": "both views"}
QUESTIONS = {
    "finds_translations": "Does attention find translations?",
    "grows_with_depth": "Does it grow with depth?",
    "is_a_plan": "Is it a plan, rather than similarity?",
    "translator_uses_it": "Does the translator use it?",
    "embeddings_match": "Do embeddings match?",
}


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _number(value: float, places: int = 3) -> str:
    return f"{value:.{places}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{places}f}"


def _ends(row: dict, places: int = 3) -> str:
    value, low, high = (_number(row[key], places) for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(TRANSLATOR / f"{name}.csv")


def verdicts() -> str:
    """Return what decides on every question, view by view."""
    claims = json.loads((RESULTS / "claims.json").read_text(encoding="utf-8"))["claims"]
    rows = []
    for claim in claims:
        if claim["role"] == "decides" and claim["question"] in QUESTIONS and claim["translator"] in {"e5", ""}:
            shown = "" if claim["difference"] is None else _ends({**claim, "value": claim["difference"]})
            view = VIEWS.get(claim["view"], claim["view"].replace("_", " "))
            rows.append(
                [QUESTIONS[claim["question"]], claim["statement"], view, f"**{claim['verdict']}**", f"{shown} {claim['unit']}".strip(),
                 "; ".join(filter(None, (claim["where"], claim["why"])))]
            )  # fmt: skip
    return _table(["question", "claim", "view", "verdict", "difference", "where, and why"], rows)


def pointing() -> str:
    """Return pointing by layer, with the nearest position beside it."""
    own = _read("pointing").query("score == 'pointing' and links != 'gold'")
    rows = []
    for (links, view), part in own.groupby(["links", "view"], sort=False):
        by = {name: found.sort_values("layer")["value"].tolist() for name, found in part.groupby("control")}
        cells = [_number(value) for value in by["trained"]]
        rows.append([links.replace("_", " "), VIEWS[view], _number(by["position"][0]), *cells])
    n_layers = own["layer"].max()
    return _table(["links", "view", "position", *map(str, range(1, n_layers + 1))], rows)


def plan() -> str:
    """Return the fit of every model by layer, target to source, sums over tokens, no position term."""
    own = _read("plan_test").query(
        "split == 'trained' and base == 'words' and tokens == 'sum' and not position and view == 'tgt_to_src'"
    )
    wide = own.pivot(index="layer", columns="quantity", values="value")
    gain = own.query("quantity == 'plan_minus_similarity'").set_index("layer")
    gap = (
        _read("gap")
        .query("split == 'trained' and view == 'tgt_to_src' and quantity == 'gap_attention'")
        .set_index("layer")
    )
    names = ["uniform", "softmax", "uniform_plan", "similarity", "plan"]
    rows = [
        [str(layer), *(_number(wide.loc[layer, name]) for name in names), _ends(gain.loc[layer].to_dict(), 4),
         _number(wide.loc[layer, "power"], 4), _number(gap.loc[layer, "value"])]
        for layer in wide.index
    ]  # fmt: skip
    return _table(["layer", "uniform", "softmax", "plan b", "similarity A", "plan D", "D - A", "power", "gap"], rows)


def heads() -> str:
    """Return the three best heads by each measure, judged on the half that did not choose them."""
    own = _read("heads_chosen").query("rank <= 3")
    rows = []
    for row in own.to_dict("records"):
        if row["links"] == "dictionary" or row["by"] != "pointing":
            scale = 1 if row["by"] == "pointing" else 100
            shown = _ends({key: scale * row[key] for key in ("value", "low", "high")}, 3 if scale == 1 else 1)
            rows.append([row["by"].replace("_", " "), VIEWS[row["view"]], f"{row['layer']}.{row['head']}", shown])
    return _table(["by", "view", "layer.head", "pointing, or alignment error in %"], rows)


def errors() -> str:
    """Return the best setting of attention and of word vectors, and the best baseline, set by set."""
    own = _read("aer")
    rows = []
    for (name, source), part in own.groupby(["set", "source"], sort=False):
        row = part[part["chosen"]].iloc[0]
        where = "" if pd.isna(row["layer"]) else f"layer {int(row['layer'])}, "
        view = "" if not isinstance(row["view"], str) else f"{VIEWS.get(row['view'], row['view'])}, "
        judged = {"value": row["aer_second_half"], "low": row["second_half_low"], "high": row["second_half_high"]}
        shown = _ends({key: 100 * value for key, value in judged.items()}, 1)
        rows.append(
            [
                name,
                source,
                f"{where}{view}{row['method'].replace('_', ' ')}",
                shown,
                f"{100 * row['aer']:.1f}",
                str(row["n_pairs"]),
            ]
        )
    return _table(["set", "links from", "setting chosen on half A", "AER % on half B", "on all", "pairs"], rows)


def embeddings() -> str:
    """Return the match rate by transport, and the error of mutual argmax on raw cosine, level by level."""
    own = _read("matches")
    aer = _read("aer").query("set == 'hansards' and source == 'embedding' and method == 'intersection_raw'")
    rows = []
    for kind, part in own.query("control == 'trained'").groupby("states", sort=False):
        rows.append([f"{kind}: linked words matched", *(_number(v) for v in part.sort_values("layer")["value"])])
        found = aer[aer["view"] == kind].sort_values("layer")["aer"]
        if len(found):
            rows.append([f"{kind}: AER %, mutual argmax", *(f"{100 * v:.1f}" for v in found)])
    return _table(["states", *map(str, range(int(own["layer"].max()) + 1))], rows)


TABLES: dict[str, Callable[[], str]] = {
    "verdicts": verdicts, "pointing": pointing, "plan": plan, "heads": heads, "errors": errors, "embeddings": embeddings,
}  # fmt: skip


def filled(text: str) -> str:
    """Return a document with every table between its marks made anew."""

    def fill(found: re.Match[str]) -> str:
        return f"<!-- table {found[1]} -->\n{TABLES[found[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


if __name__ == "__main__":
    before = DOCUMENT.read_text(encoding="utf-8")
    after = filled(before)
    if "--check" in sys.argv and after != before:
        sys.exit("docs/results.md is not what reports/results/e5-small says; run `python .ci/results.py`")
    DOCUMENT.write_text(after, encoding="utf-8")
