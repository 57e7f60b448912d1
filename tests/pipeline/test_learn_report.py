"""What is claimed of trained transformers follows from their numbers, and section 5 shows every seed."""

import io
import json
import re
from statistics import median

import pandas as pd
import pytest

from pipeline._output import SCHEMA
from pipeline.claims import decide
from pipeline.claims_file import read_claims
from pipeline.errors import PipelineError
from pipeline.report.render import build
from pipeline.report.sections import learning, learning_figures
from pipeline.report.style import Drawing
from pipeline.report.wording import number
from pipeline.verdicts.join import write_verdicts
from pipeline.verdicts.training import learning_estimates, merge_learn
from tests.pipeline.learn_factory import learned  # noqa: F401 - a fixture
from tests.pipeline.report_factory import measured, undrawn  # noqa: F401 - fixtures

PUBLISHED = {
    "preset": "notebook", "n": 7, "dim": 1, "depth": 20, "mixing": "fixed", "batch": 1000, "rate": None,
    "schedule": "constant", "steps": 5000, "seed": 2026,
}  # fmt: skip
STEMS = [
    "figure2_training", "figure2_maps", "figure_learning_sizes", "figure10_maps", "figure10_depth", "figure_learning_descent",
]  # fmt: skip


def seed(*, fresh=1e-4, other=1e-4, points=0.8, levels=(0.8, 0.4, 0.1), r2=0.95, r2_v=None, cosine=0.95, loss=None):
    """Return what the claims read of one seed; by default every claim holds."""
    return {
        "loss": loss or {"0": 0.2},
        "trained": {
            "sizes": {"7": {"loss": fresh}, "9": {"points": points}},
            "uniform_x": {"loss": other},
            "distance": {"exact": list(levels)},
            "descent": [{"u": {"r2": r2}, "v": {"r2": r2 if r2_v is None else r2_v}}],
            "weight_cosine": [[cosine, cosine]],
        },
        "untrained": {"weight_cosine": [[0.1, 0.1]]},
    }


DEAD = {"loss": {"0": 9.0, "50": None}, "trained": None, "untrained": None}


def metrics(*seeds, prompt="engineered", control=1e-3, unseeing=(0.4, 0.3), unseeing_loss=(0.02, 0.03), **settings):
    solvers = {name: {"sizes": {"7": {"loss": control}}} for name in ("constructed", "annealed")}
    controls = {"chance": {"sizes": {"9": {"points": 1 / 9}}}, "sinkhorn": {"sizes": {"7": {"loss": 1.0}}}, **solvers}
    for name, points, loss in zip(("mean", "copy"), unseeing, unseeing_loss, strict=True):
        controls[name] = {"sizes": {"9": {"points": points}}, "uniform_x": {"loss": loss}}
    return {"prompt": prompt, "settings": PUBLISHED | settings, "seeds": list(seeds), "controls": controls}


def claimed(*prompts):
    rows = learning_estimates({one["prompt"]: one for one in prompts})
    return {claim.id: claim for claim in decide(rows, level=0.95)}


def read_learned(folder):
    """Return what the page reads of learning."""
    return learning.read_learned(read_claims(folder / "claims.json"), folder)


@pytest.mark.parametrize(
    ("name", "changed", "value"),
    [
        ("learning_looks_at_x", {"other": 4e-3}, 5.0),
        ("learning_unseen_size", {"points": 0.6}, 0.2),
        ("learning_nearer_with_depth", {"levels": (0.8, 0.3, 0.35, 0.1)}, 0.05),
        ("learning_beats_construction", {"fresh": 2e-3}, 2.0),
        ("learning_is_descent", {"r2": 0.5}, 0.5),
        ("learning_is_descent", {"r2_v": 0.35}, 0.65),
        ("learning_finds_construction", {"cosine": 0.2}, 0.2),
    ],
)
def test_a_claim_fails_on_its_own_number_and_on_no_other(name, changed, value):
    holds, fails = claimed(metrics(seed())), claimed(metrics(seed(**changed)))
    assert {claim.verdict for claim in holds.values()} == {"supported"}
    assert [claim.id for claim in fails.values() if claim.verdict == "not supported"] == [name]
    assert fails[name].limit.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("loss", "value", "verdict"), [((0.02, 0.03), 10.0, "supported"), ((0.03, 0.01), 5.0, "not supported")]
)
def test_the_loss_is_held_against_the_better_of_two_answers_that_never_look(loss, value, verdict):
    claim = claimed(metrics(seed(other=2e-3), unseeing_loss=loss))["learning_looks_at_x"]
    assert (claim.verdict, claim.limit.value) == (verdict, pytest.approx(value))


@pytest.mark.parametrize(("points", "floor"), [((0.4, 0.3), 0.4), ((0.3, 0.5), 0.5), ((0.0, 0.0), 1 / 9)])
def test_an_unseen_size_is_held_against_the_best_that_needs_no_x(points, floor):
    claim = claimed(metrics(seed(points=0.8), unseeing=points))["learning_unseen_size"]
    assert claim.limit.value == pytest.approx(0.8 - floor)
    assert f"never look at x ({floor:.2f})" in claim.statement


def test_a_model_that_copies_y_where_that_is_right_supports_neither():
    found = claimed(metrics(seed(points=1.0, other=0.03), unseeing=(1.0, 1.0), unseeing_loss=(0.02, 0.1)))
    assert [name for name, claim in found.items() if claim.verdict == "not supported"] == [
        "learning_looks_at_x", "learning_unseen_size",
    ]  # fmt: skip


@pytest.mark.parametrize(("plain", "verdict"), [(2e-3, "supported"), (5e-4, "not supported")])
def test_prompts_are_compared_by_their_loss_on_fresh_problems(plain, verdict):
    claim = claimed(metrics(seed()), metrics(seed(fresh=plain), prompt="plain"))["learning_prompt"]
    assert (claim.verdict, claim.limit.value) == (verdict, pytest.approx(plain / 1e-4))


def test_a_claim_takes_the_middle_seed_and_leaves_out_the_dead():
    claim = claimed(metrics(seed(r2=0.1), DEAD, seed(r2=0.7), seed(r2=0.99)))["learning_is_descent"]
    assert (claim.limit.value, claim.limit.setting["seeds"]) == (0.7, 3)


def test_without_the_engineered_prompt_nothing_is_claimed_of_layers():
    assert claimed(metrics(seed(), prompt="plain")) == {}


def test_without_the_unseen_size_nothing_is_claimed_of_it():
    bare = metrics(seed())
    bare["controls"]["chance"]["sizes"] = {"7": {"points": 1 / 7}}
    assert "learning_unseen_size" not in claimed(bare)


# The loss that the notebook printed after 1,000 steps, twice that, a third of it.
@pytest.mark.parametrize(
    ("loss", "verdict", "value"),
    [(2.9e-3, "supported", 1.0), (5.7e-3, "supported", 2.0), (9.6e-4, "not supported", 3.0)],
)
def test_losses_are_held_against_the_printed_ones(loss, verdict, value):
    claim = claimed(metrics(seed(loss={"0": 0.2, "950": 1.0, "1000": loss, "1050": loss / 2})))
    found = claim["learning_notebook_engineered_1000"]
    assert (found.verdict, found.limit.value) == (verdict, pytest.approx(value, rel=0.02))
    assert "learning_notebook_engineered_2000" not in claim


def test_the_plain_prompt_that_is_held_against_the_printed_one_is_the_notebooks():
    loss = {"1000": 3.985447e-2}
    assert not [name for name in claimed(metrics(seed(loss=loss), prompt="plain")) if "notebook" in name]
    found = claimed(metrics(seed(loss=loss), prompt="plain_notebook"))["learning_notebook_plain_notebook_1000"]
    assert found.limit.value == pytest.approx(1.0) and "on the plain_notebook prompt" in found.statement


@pytest.mark.parametrize(
    "other", [{"rate": 2e-3}, {"schedule": "linear"}, {"mixing": "trained"}, {"batch": 64}, {"n": 8}]
)
def test_losses_of_other_settings_are_not(other):
    one = metrics(seed(loss={"1000": 2.9e-3}), **other)
    one["seeds"][0]["trained"]["sizes"]["8"] = {"loss": 1e-4}
    for control in one["controls"].values():
        control["sizes"]["8"] = {"loss": 1.0}
    assert not [name for name in claimed(one) if name.startswith("learning_notebook")]


def test_merging_passes_over_maps_and_keeps_printed_losses_where_they_apply(tmp_path):
    loss = {"0": 0.2, "1000": 3e-3}
    for one in (metrics(seed(loss=loss), DEAD), metrics(seed(fresh=0.1), prompt="plain", batch=64)):
        (tmp_path / f"{one['prompt']}.json").write_text(json.dumps({"schema": SCHEMA, **one}), encoding="utf-8")
    (tmp_path / "engineered_maps.json").write_text("{}", encoding="utf-8")
    merged = merge_learn(tmp_path.glob("*.json"))
    assert merged["prompts"].keys() == {"engineered", "plain"}
    assert merged["published_loss"].keys() == {"engineered"}, "the notebook's plain prompt is another one"
    assert merged["published_loss"]["engineered"]["1000"] == 0.00287696
    ours = merged["loss_at_step"]["engineered"]
    assert (ours["0"], ours["1000"], ours["2000"]) == ([0.2], [3e-3], [])
    rows = {row.id for row in learning_estimates(merged["prompts"])}
    assert {"learning_prompt", "learning_notebook_engineered_1000"} < rows


def as_notebook(written, losses):
    """Return the metrics of a run as if it had had the notebook's settings and these losses at step 1,000."""
    changed = {**written, "settings": {**written["settings"], **PUBLISHED}}
    living = iter(losses)
    seeds = [
        dict(one, loss=one["loss"] | {"1000": next(living)}) if one["trained"] else one for one in written["seeds"]
    ]
    sizes = [part["sizes"] for one in seeds if one["trained"] for part in (one["trained"], one["untrained"])]
    for found in [*sizes, *(control["sizes"] for control in written["controls"].values())]:
        found["7"] = found["4"]
    return changed | {"seeds": seeds}


def test_a_section_of_nothing_says_that_it_has_not_run(tmp_path):
    write_verdicts(tmp_path, [], level=0.95)
    section = learning.section(read_learned(tmp_path), tmp_path)
    assert section.blocks == [] and "nothing in `reports/metrics/learn`" in section.lead[0]


def test_missing_maps_are_named(learned, undrawn, tmp_path):
    text = r"metrics: engineered_maps\.json of stage learn@engineered is needed, .* run `dvc repro learn@engineered`"
    with pytest.raises(PipelineError, match=text):
        learning.section(read_learned(learned.folder), tmp_path)


def test_section_shows_every_seed_and_what_became_of_it(learned, undrawn):
    section = learning.section(read_learned(learned.folder), learned.folder)
    assert [block.picture.drawing.stem for block in section.blocks] == STEMS
    assert "Seeds that diverged: 1 of 3 on the engineered prompt and 0 of 3 on the plain prompt." in section.lead[0]
    (seeds,), controls = section.more[0][1], section.more[1][1]
    fates = [(row[0], row[2]) for row in seeds.rows]
    assert sorted(fates) == [("engineered", "diverged at 1")] + [("engineered", "lives")] * 2 + [("plain", "lives")] * 3
    assert [len(table.rows) for table in controls] == [2 * 2 + 6, 2 * 3 + 6]  # before and after training, and controls
    assert len(section.tables[0].rows) == len(read_learned(learned.folder)["claims"]) == 7


def test_a_row_of_the_controls_shows_its_own_shares_by_attention_where_there_is_one(learned, undrawn):
    merged = read_learned(learned.folder)
    found = merged["prompts"]["engineered"]
    trained = next(seed["trained"] for seed in found["seeds"] if seed["trained"])
    trained["sizes"]["4"] |= {"exact": 0.1, "exact_attention": 0.9}
    trained["uniform_x"] |= {"exact": 0.1, "exact_attention": 0.95}
    for k, name in enumerate(["chance", "mean", "copy", "constructed", "annealed", "sinkhorn"], 1):
        found["controls"][name]["sizes"]["4"] |= {"exact": k / 10, "exact_attention": None}
        found["controls"][name]["uniform_x"] |= {"exact": k / 10 + 0.05, "exact_attention": None}
    section = learning.section(merged, learned.folder)
    ((head, rows),) = [(table.head, table.rows) for table in section.more[1][1] if table.caption.startswith("Eng")]
    for column, shift in (("n = 4", 0.0), ("n = 4, other x", 0.05)):
        shares = [row[head.index(column)] for row in rows]
        assert shares[0] == number(0.9 + shift, 3)
        assert shares[-6:] == [number(k / 10 + shift, 3) for k in range(1, 7)]
    assert len({row[0] for row in rows}) == len(rows)


def test_the_finding_about_depth_is_the_trained_distance_from_the_exact_plan(learned, undrawn):
    finding = learning_figures.depth_figure(read_learned(learned.folder)).finding
    for written in (learned.partial[0], learned.plain[0]):
        levels = [seed["trained"]["distance"]["exact"] for seed in written["seeds"] if seed["trained"]]
        first, last = (number(median(level[k] for level in levels), 2) for k in (0, -1))
        assert f"{first} at the prompt to {last}" in finding


def test_lead_names_the_schedule_and_the_step_size_that_are_not_the_presets(learned, undrawn):
    merged = read_learned(learned.folder)
    lead = learning.section(merged, learned.folder).lead[0]
    assert "20 steps on 32 problems of 4 points each, by the settings of the notebook (3 seeds a prompt)" in lead
    for found in merged["prompts"].values():
        found["settings"] |= {"rate": None, "schedule": "linear"}
        found["rate"] = 2e-3
    lead = learning.section(merged, learned.folder).lead[0]
    assert "the notebook, with Adam’s step size at 0.002, falling to 0 (3 seeds" in lead


def test_lead_says_where_copying_y_is_right(learned, undrawn):
    merged = read_learned(learned.folder)
    assert "copying" not in learning.section(merged, learned.folder).lead[0]
    for found in merged["prompts"].values():
        found["controls"]["copy"]["sizes"]["4"]["loss"] = 0.0
    text = "In all of these problems sorted x is y, so that copying y is right without a look at x"
    assert text in learning.section(merged, learned.folder).lead[0]


def test_data_of_a_figure_is_what_the_stage_wrote(learned, undrawn):
    section = learning.section(read_learned(learned.folder), learned.folder)
    training, maps, *_, depth, descent = (pd.read_csv(io.StringIO(block.picture.data)) for block in section.blocks)
    alive = [one for written in (learned.partial[0], learned.plain[0]) for one in written["seeds"] if one["trained"]]
    written = [one for found in (learned.partial[0], learned.plain[0]) for one in found["seeds"]]
    wanted = [loss for one in written for loss in one["loss"].values() if loss is not None]
    assert training["loss"].tolist() == pytest.approx(wanted, abs=1e-6)
    trained = depth.query("when == 'trained' and plan == 'exact'")["distance"].tolist()
    assert trained == pytest.approx([x for one in alive for x in one["trained"]["distance"]["exact"]], abs=1e-6)
    alive = alive[:2]  # of the engineered prompt
    fits = [[fit[side]["r2"] for fit in one["trained"]["descent"] for side in ("u", "v")] for one in alive]
    cosines = [[cosine for heads in one["trained"]["weight_cosine"] for cosine in heads] for one in alive]
    shown = descent[descent["when"] == "trained"]["value"].tolist()
    assert shown == pytest.approx(fits[0] + cosines[0] + fits[1] + cosines[1], abs=1e-6)
    block = next(iter(learned.partial[1]["sizes"].values()))
    assert maps.query("panel == 'P*'")["attention"].tolist() == [float(x) for row in block["plan"] for x in row]


@pytest.mark.parametrize("stem", STEMS)
def test_a_figure_is_drawn_and_says_what_it_finds(learned, stem, monkeypatch):
    drawn, draw = [], learning_figures.draw

    def only_one(name, make, *, alt):
        drawn.append(draw(name, make, alt=alt) if name == stem else Drawing(name, {}, "<svg/>"))
        return drawn[-1]

    monkeypatch.setattr(learning_figures, "draw", only_one)
    learning.section(read_learned(learned.folder), learned.folder)
    (found,) = (drawing for drawing in drawn if drawing.stem == stem)
    assert re.search(r'aria-label="[^"]*\d\.\d', found.inline)
    assert found.files[f"{stem}_column.pdf"].startswith(b"%PDF")
    assert b"nan" not in found.files[f"{stem}.svg"]


def test_the_finding_is_the_median_of_the_seeds_that_live(learned, undrawn):
    finding = learning_figures.training_figure(read_learned(learned.folder)).finding
    losses = [one["loss"]["19"] for one in learned.partial[0]["seeds"] if one["trained"]]
    assert f"engineered prompt {median(losses):.2g} (seeds from {min(losses):.2g} to {max(losses):.2g}" in finding
    assert "1 of 3 seeds diverged" in finding and "at step 19" in finding and "Open circles" not in finding


def test_the_finding_about_descent_is_the_number_of_the_claim(learned, undrawn):
    merged = read_learned(learned.folder)
    finding = learning_figures.descent_figure(merged).finding
    values = {claim.id: claim.limit.value for claim in merged["claims"]}
    assert f"descent on the dual {number(values['learning_is_descent'], 2)} (before" in finding
    assert f"P with Table 2 {number(values['learning_finds_construction'], 2)} (before" in finding
    fits = [
        fit[side]["r2"]
        for one in learned.partial[0]["seeds"]
        if one["trained"]
        for fit in one["trained"]["descent"]
        for side in "uv"
    ]
    assert finding.endswith(f"do not descend, and count as 0, is {number(fits.count(0.0) / len(fits), 2)}.")


def test_printed_losses_stand_beside_ours_under_the_notebooks_settings_only(learned, undrawn, tmp_path):
    found = learning.section(read_learned(learned.folder), learned.folder).blocks[0]
    assert found.table is None and "circles" not in " ".join(found.caption)
    folder = tmp_path / "learn"
    folder.mkdir()
    one = json.loads(json.dumps(learned.partial[0]))
    (folder / "engineered.json").write_text(
        json.dumps({"schema": SCHEMA, **as_notebook(one, [4e-3, 6e-3])}), encoding="utf-8"
    )
    (folder / "engineered_maps.json").write_text(json.dumps({"schema": SCHEMA, **learned.partial[1]}), encoding="utf-8")
    write_verdicts(tmp_path, [], level=0.95)
    found = learning.section(read_learned(tmp_path), tmp_path).blocks[0]
    assert found.table.rows[-1] == ["engineered", "1,000", "0.0029", "0.005 [0.004, 0.006]", "1.74"]
    assert "Open circles" in " ".join(found.caption)
    assert "Open circles" in found.picture.finding


def test_one_prompt_alone_makes_a_section(learned, undrawn, tmp_path):
    (tmp_path / "learn").mkdir()
    for path in (learned.folder / "learn").glob("plain*.json"):
        (tmp_path / "learn" / path.name).write_bytes(path.read_bytes())
    write_verdicts(tmp_path, [], level=0.95)
    section = learning.section(read_learned(tmp_path), tmp_path)
    assert len(section.blocks) == 5 and section.tables[0].rows == []
    assert "No seed diverged." in section.lead[0]


@pytest.mark.slow
def test_the_page_holds_the_section_and_its_numbers_in_one_file(learned, measured, undrawn, tmp_path):
    folder = tmp_path / "metrics"
    for source in (measured.project.metrics, learned.folder):
        for path in source.rglob("*.*"):
            (folder / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.relative_to(source)).write_bytes(path.read_bytes())
    write_verdicts(folder, list(measured.project.params.translators), level=0.95)
    build(measured.project.params, folder, measured.project.data, tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "1 of 3 on the engineered prompt" in text and "nothing in <code>reports/metrics/learn</code>" not in text
    assert all(f'<figure id="{stem}">' in text for stem in STEMS)
