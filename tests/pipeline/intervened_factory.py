"""What the stage intervene writes, made up: every interval is in favour of the claims but for those that a test changes."""

import pandas as pd

from pipeline._output import SCHEMA, write_json
from pipeline.columns import INTERVENTION

TOP, ALL = "1.0 1.1 2.0 2.1", "1.0 1.1 1.2 2.0 2.1 2.2"
ABOVE = (0.2, 0.1, 0.3, 1e-6)


def write_intervened(folder, name, *, changed=(), why="", status="tested", n_pairs=40):
    """Write the tables and the summary of one translator.

    Parameters
    ----------
    changed : mapping
        Value, low, high and p by (table, row, name): ("sets", 4, "") is the effect of the best four heads, ("sets", 4,
        "above_") that over draws, ("replacements", "top", "position") that of a replacement, in favour of the claim.
    """
    intervals, tested = dict(changed), status == "tested"

    def estimate(*key, prefix=""):
        value, low, high, p = intervals.get(key, ABOVE)
        if "minus" in str(key[-1]):
            value, low, high = -value, -high, -low
        return {f"{prefix}effect": value, f"{prefix}low": low, f"{prefix}high": high, f"{prefix}p": p}

    sets = [
        {"set": "top", "k": k, "heads": TOP, "n_draws": 3, "draws_effect": 0.05, **estimate("sets", k, ""),
         **estimate("sets", k, "above_", prefix="above_")}
        for k in (1, 4)
    ]  # fmt: skip
    sets.append({"set": "all", "k": 6, "heads": ALL, **estimate("sets", 6, "")})
    kinds = ["uniform", "position", "mispaired", "links", "permuted"]
    swept = ["balanced", "tempered", "balanced_minus_tempered", "balanced_minus_tempered_by_row"]
    replaced = [
        {"target": target, "heads": heads, "replacement": kind, "sweeps": sweeps, **estimate("replacements", target, kind)}
        for target, heads in (("top", TOP), ("all", ALL))
        for kind, sweeps in [*((kind, None) for kind in kinds), *((kind, n) for n in (1, 20) for kind in swept)]
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for table, rows in (("sets", sets), ("replacements", replaced)):
        frame = pd.DataFrame(rows).astype({"sweeps": "Int64"} if table == "replacements" else {"n_draws": "Int64"})
        frame.reindex(columns=list(INTERVENTION[table]))[: None if tested else 0].to_csv(
            folder / f"{table}.csv", index=False
        )
    summary = {"schema": SCHEMA, "translator": name, "status": status}
    summary |= (
        {"n_pairs": {"half_a": n_pairs, "half_b": n_pairs}, "settings": {"deciding_k": 4}} if tested else {"why": why}
    )
    write_json(folder / "summary.json", summary)
