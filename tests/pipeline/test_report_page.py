"""The page as a file: offline, the same bytes each time, whole sections, and safe against the text of a corpus."""

import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from pipeline._output import SCHEMA
from pipeline.claims import QUESTIONS
from pipeline.claims_file import read_claims, read_questions
from pipeline.errors import PipelineError
from pipeline.packing import unpacked
from pipeline.params import Params, load_params
from pipeline.report.glossary import anchor, glossary
from pipeline.report.render import build
from pipeline.report.sections.made import parameters_hash, parameters_yaml
from pipeline.report.wording import with_interval
from pipeline.verdicts.join import write_verdicts
from tests.pipeline.learn_factory import learned  # noqa: F401 - a fixture
from tests.pipeline.report_factory import HOSTILE, SMALL, hostile, measured, undrawn  # noqa: F401 - fixtures

pytestmark = pytest.mark.slow  # whole pages, drawn and read

SECTIONS = ["verdicts", "explorer", *QUESTIONS, "open_questions", "open", "made", "glossary"]
FIGURES = [
    "figure1_mini-marian", "figure1_mini-mbert", "figure5_mini-marian", "figure6_mini-mbert", "figure7_mini-marian",
    "figure7_mini-mbert", "figure9_mini-marian", "figure9_mini-mbert", "heads_mini-marian", "heads_mini-mbert",
    "plan_fit_mini-marian", "plan_fit_mini-mbert", "plan_test_mini-marian", "plan_test_mini-mbert",
    "pointing_mini-marian", "pointing_mini-mbert",
]  # fmt: skip
PAPER = "https://arxiv.org/abs/2410.19931"  # a link is followed by who reads, not by the page
NAMES = ["mini-marian", "mini-mbert"]
VOID = {"meta", "br", "img", "input", "link", "hr", "image", "use", "path"}


class Page(HTMLParser):
    """Elements of a page in order: tag, attributes, text directly inside."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self.open: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        element = (tag, {key: value or "" for key, value in attrs}, [])
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {key: value or "" for key, value in attrs}, []))

    def handle_endtag(self, tag):
        while tag not in VOID and self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if self.open:
            self.open[-1][2].append(data)

    def all(self, tag):
        return [(attributes, "".join(text)) for name, attributes, text in self.elements if name == tag]


@pytest.fixture(scope="module")
def built(measured, tmp_path_factory):
    out = tmp_path_factory.mktemp("reports")
    build(measured.project.params, measured.project.metrics, measured.project.data, out)
    return out


@pytest.fixture(scope="module")
def hostile_page(hostile, tmp_path_factory):
    out = tmp_path_factory.mktemp("hostile")
    build(hostile.project.params, hostile.project.metrics, hostile.project.data, out)
    return Page((out / "index.html").read_text(encoding="utf-8"))


def _page(built):
    return Page((built / "index.html").read_text(encoding="utf-8"))


def test_the_same_metrics_give_the_same_bytes(measured, built, tmp_path):
    build(measured.project.params, measured.project.metrics, measured.project.data, tmp_path)
    first = {path.relative_to(built): path.read_bytes() for path in sorted(built.rglob("*")) if path.is_file()}
    second = {path.relative_to(tmp_path): path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    assert first.keys() == second.keys()
    assert [str(path) for path in first if first[path] != second[path]] == []


def test_nothing_is_fetched(built):
    page, text = _page(built), (built / "index.html").read_text(encoding="utf-8")
    for tag, attributes, _ in page.elements:
        assert tag not in {"link", "iframe", "object", "embed", "base", "img"}
        for key in ("src", "href", "xlink:href", "srcset", "poster"):
            outside = re.match(r"\s*(https?:)?//", attributes.get(key, ""), re.IGNORECASE)
            assert not outside or (tag, attributes["href"]) == ("a", PAPER), (tag, attributes)
        assert not [key for key in attributes if key.startswith("on")]
    assert "@import" not in text
    assert {target[:1] for target in re.findall(r"url\(([^)]*)\)", text)} <= {"#"}
    policy = next(attributes["content"] for attributes, _ in page.all("meta") if "http-equiv" in attributes)
    assert "default-src 'none'" in policy and "http" not in policy
    assert len(text.encode()) < 2_500_000


def test_sections_stand_in_order(built):
    ids = [attributes["id"] for attributes, _ in _page(built).all("section")]
    assert ids == SECTIONS


def test_figures_are_on_the_page_and_on_disk(built):
    page = _page(built)
    ids = [attributes["id"] for attributes, _ in page.all("figure")]
    assert sorted(ids) == FIGURES
    ends = (".csv", ".svg", ".pdf", "_column.svg", "_column.pdf")
    wanted = {f"{name}{end}" for name in FIGURES for end in ends} | {"figures.tex", "numbers.tex", "references.bib"}
    assert {path.name for path in (built / "figures").iterdir()} == wanted
    every_id = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(every_id) == len(set(every_id))


def test_every_figure_says_what_it_finds_and_offers_its_data(built, measured):
    page = _page(built)
    labels = [attributes["aria-label"] for attributes, _ in page.all("svg")]
    assert len(labels) == len(FIGURES) and all(re.search(r"\d\.\d", label) for label in labels)
    data = json.loads(next(text for a, text in page.all("script") if a.get("id") == "figure-data"))
    offered = {a["download"]: a["href"] for a, _ in page.all("a") if "download" in a}
    assert offered == {f"{name}.csv": f"figures/{name}.csv" for name in FIGURES} and sorted(data) == FIGURES
    found = data["figure5_mini-marian"]
    csv = unpacked(found["csv"])
    assert (built / "figures" / "figure5_mini-marian.csv").read_bytes() == csv
    drawn = pd.read_csv(io.BytesIO(csv))
    t = measured.translators[0]
    expected = t.curves[t.curves["score"] == t.score]
    assert drawn["value"].tolist() == pytest.approx(expected["value"].tolist())
    read = {name: values for name, _, values in found["panels"][0]["lines"]}
    trained = expected[(expected["view"] == t.views[0]) & (expected["control"] == "trained")]
    assert read["trained"] == pytest.approx(trained["value"].tolist(), rel=1e-3)


def test_tables_show_score_floors_random_weights_n_and_dropped(built):
    heads = [text for _, text in _page(built).all("th")]
    for name in ("trained", "random weights", "uniform", "position", "mispaired", "chance", "n", "dropped", "AER %"):
        assert name in heads
    text = (built / "index.html").read_text(encoding="utf-8")
    assert "dropped: 1 too long" in text and "n = 48 sentences" in text
    assert "percentile bootstrap over sentences, 0.95" in text


def test_stages_that_have_not_run_are_named(built):
    text = (built / "index.html").read_text(encoding="utf-8")
    assert "there is no <code>reports/metrics/certificate.json</code>" in text
    assert "there is nothing in <code>reports/metrics/learn</code>" in text


def test_demo_translators_are_called_demo(built):
    text = " ".join((built / "index.html").read_text(encoding="utf-8").split())
    assert "<strong>Demo:</strong> mini-marian and mini-mbert are small models" in text
    assert "on its own text: numbers are optimistic" in text


def test_other_translators_are_not_called_demo(measured, undrawn, tmp_path):
    hub = {
        "mini-marian": {"model": "Helsinki-NLP/opus-mt-en-fr", "reads": "cross"},
        "mini-mbert": {"model": "google-bert/bert-base-multilingual-cased", "reads": "joint"},
    }
    own = {"source": "files", "src": ["data/own/a.en"], "tgt": ["data/own/a.fr"]}
    params = Params.model_validate({**SMALL, "translators": hub, "corpus": own})
    build(params, measured.project.metrics, measured.project.data, tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Demo:" not in text and "demo text" not in text.lower()
    assert "the user’s own text" in text


def test_parameters_on_the_page_make_the_same_run(built, measured, tmp_path):
    shown = next(text for attributes, text in _page(built).all("code") if text.startswith("convention:"))
    (tmp_path / "params.yaml").write_text(shown, encoding="utf-8")
    assert load_params(tmp_path / "params.yaml", check_paths=False) == measured.project.params


def test_what_was_dropped_and_what_made_it_is_listed(built):
    text = (built / "index.html").read_text(encoding="utf-8")
    for shown in (
        "1 duplicate, 2 too long",
        "5,312,000",
        "2.13.0",
        "CC0 (data/demo/LICENSE)",
        "one_to_one",
        "min links",
        "5.23.0",
    ):
        assert shown in text, shown


def test_no_gold_no_explorer(measured, undrawn, tmp_path):
    params = Params.model_validate({**SMALL, "gold": None, "report": {"explorer_pairs": 0}})
    build(params, measured.project.metrics, measured.project.data, tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "report.explorer_pairs: 0" in text and "explorer-data" not in text


def test_every_gold_set_has_rows_and_what_is_doubtful_is_said(measured):
    from pipeline.report.sections.translations import best_error_table, error_table

    t = measured.translators[0]
    alone = best_error_table([t])
    doubt = {"says": "the error rate is 80.00, but 20.00 turned"}
    more = {**t.summary["gold"], "set": "ro-en", "best": t.summary["best"]["aer"], "doubt": doubt}
    both = pd.concat([t.aer, t.aer.assign(set="ro-en")], ignore_index=True)
    several = measured.with_tables(measured.with_summary(t, more_gold=[more]), aer=both)
    table = best_error_table([several])
    assert table.rows[: len(alone.rows)] == alone.rows, "the first set as before"
    assert [[*row[:1], "ro-en", *row[2:]] for row in alone.rows] == table.rows[len(alone.rows) :]
    assert table.caption == f"{alone.caption} Doubtful: {t.name}, ro-en: {doubt['says']}"
    assert {row[0] for row in error_table(several).rows} == {"demo", "ro-en"}


def test_words_of_a_corpus_stay_words(hostile_page, hostile):
    allowed = {"script", "style", "svg", "title", "meta", "section", "bdi"}
    tags = {tag for tag, _, _ in hostile_page.elements}
    assert not tags & {"img", "b", "iframe", "object"} and allowed - {"bdi"} <= tags
    assert len(hostile_page.all("script")) == 4
    assert not [a for _, a, _ in hostile_page.elements if any(key.startswith("on") for key in a)]
    data = json.loads(
        next(text for attributes, text in hostile_page.all("script") if attributes.get("id") == "explorer-data")
    )
    words = {word for pair in data["pairs"] for side in ("src", "tgt") for word in pair[side]}
    assert words == {word for pair in data["pairs"] for word in pair["src"] + pair["tgt"]} <= set(HOSTILE)
    assert {"</script>", "مرحبا", "漢字", '"quoted"'} <= words
    labels = {text for _, text in hostile_page.all("text")}
    assert any("</script>" in label for label in labels) and any("$x^2$" in label for label in labels)
    assert hostile.project.hostile


def test_a_cell_of_the_matrix_names_verdict_difference_unit_and_figure(built, measured):
    text = (built / "index.html").read_text(encoding="utf-8")
    matrix = " ".join(text[text.index('class="matrix"') : text.index('id="explorer"')].split())
    path = measured.project.metrics / "claims.json"
    shown = [claim for claim in read_claims(path) if claim.role == "decides" and claim.difference is not None]
    assert len(shown) == 22 and matrix.count('class="entry"') == 22 + 2
    for claim in shown:
        difference, interval = with_interval(claim.difference, claim.low, claim.high, sign=True).split(" ", 1)
        href = f'<a href="#{claim.figure or claim.question}">{difference}</a>'
        assert href in matrix and f"{interval}</span> {claim.unit};" in matrix and claim.where in matrix
        assert claim.why in matrix
    for question in read_questions(path):
        assert f'<a href="#{question.id}">{question.text}</a>' in matrix
    assert matrix.count("the stage certify has not run") == 1, "a cell that is not decided says why"


def test_every_link_within_the_page_leads_somewhere_and_every_term_is_linked(built):
    page = _page(built)
    ids = {attributes["id"] for _, attributes, _ in page.elements if "id" in attributes}
    targets = {a["href"][1:] for a, _ in page.all("a") if a.get("href", "").startswith("#")}
    assert targets <= ids
    assert {anchor(term) for term in glossary()} <= ids
    never = {term for term in glossary() if anchor(term) not in targets}
    assert never <= {"dual", "entropic plan", "Hilbert distance", "layer", "prompt", "Sinkhorn"}, (
        "construction, training"
    )


def test_who_made_the_page_is_told(measured, undrawn, tmp_path):
    project = measured.project
    build(project.params, project.metrics, project.data, tmp_path, commit="0123abc")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "commit 0123abc" in text and parameters_hash(project.params) in text


def test_a_finding_of_a_claim_leads_to_a_figure_of_the_page(built, measured):
    figures = {claim.figure for claim in read_claims(measured.project.metrics / "claims.json")}
    assert figures - {""} <= set(FIGURES)
    assert {name.split("_mini")[0] for name in figures - {""}} == {"figure7", "plan_test", "pointing"}


def test_a_missing_stage_is_named_and_nothing_is_written(measured, tmp_path):
    with pytest.raises(PipelineError, match=r"curves\.csv of stage align@mini-marian.*dvc repro align@mini-marian"):
        build(measured.project.params, tmp_path / "nowhere", measured.project.data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_of_another_version_is_refused(measured, tmp_path):
    _copy(measured.project.metrics, tmp_path / "metrics")
    (tmp_path / "metrics" / "translators" / "mini-mbert" / "curves.csv").write_text("view,layer\n", encoding="utf-8")
    with pytest.raises(
        PipelineError, match=r"curves\.csv must hold .*value.*but control is missing.*--force align@mini-mbert"
    ):
        build(measured.project.params, tmp_path / "metrics", measured.project.data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_certificate_is_shown_and_claims_of_another_version_are_refused(measured, undrawn, project, tmp_path):
    _copy(measured.project.metrics, tmp_path / "metrics")
    claim = {
        "id": "theorem_x", "statement": "Attention <converges>.", "reference": "Theorem 3.2", "seed": 0, "verdict": "vacuous",
        "group": "errata",
        "setting": {"n": [2, 4], "rule": "value >= threshold", "deep": {"a": 0.25}}, "value": 1.5e-13, "threshold": 0.99,
    }  # fmt: skip
    for table in (project / "reports" / "metrics").glob("certificate_*.csv"):
        (tmp_path / "metrics" / table.name).write_bytes(table.read_bytes())
    path = tmp_path / "metrics" / "certificate.json"
    path.write_text(json.dumps({"schema": SCHEMA, "claims": [claim]}), encoding="utf-8")
    write_verdicts(tmp_path / "metrics", NAMES, level=0.95)
    build(measured.project.params, tmp_path / "metrics", measured.project.data, tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    for shown in (
        "Attention &lt;converges&gt;.",
        "◌\N{NO-BREAK SPACE}vacuous",
        "1.5 × 10⁻¹³",
        "≥ 0.99",
        "n 2, 4",
        "deep a 0.25",
        "Errata: what does not hold as printed",
    ):
        assert shown in text, shown
    assert "Checks of our software" not in text
    (tmp_path / "metrics" / "claims.json").write_text("[]", encoding="utf-8")
    with pytest.raises(PipelineError, match=r"claims\.json: must say schema: \d, but it says None.*--force claims"):
        build(measured.project.params, tmp_path / "metrics", measured.project.data, tmp_path / "out")


def _copy(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        if path.is_file():
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(source)).write_bytes(path.read_bytes())


def test_the_page_needs_no_model_and_no_mathematics(measured, learned, project, tmp_path):
    """Drawn in a fresh interpreter from the metrics of every stage."""
    folder = tmp_path / "metrics"
    _copy(measured.project.metrics, folder)
    _copy(learned.folder, folder)
    for path in (project / "reports" / "metrics").glob("certificate*"):
        (folder / path.name).write_bytes(path.read_bytes())
    write_verdicts(folder, NAMES, level=0.95)
    (tmp_path / "params.yaml").write_text(parameters_yaml(measured.project.params), encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from pipeline.params import load_params; import pipeline.stages.report; "
        "from pipeline.report.render import build; params = load_params(Path(sys.argv[1]), check_paths=False); "
        "build(params, *map(Path, sys.argv[2:])); rooms = {name.rpartition('.')[0] for name in sys.modules}; "
        "print(sorted({'torch', 'transformers', 'ot', 'otcore', 'pipeline.synthetic', 'pipeline.verdicts'} & "
        "({*sys.modules} | rooms)))"
    )
    arguments = [tmp_path / "params.yaml", folder, measured.project.data, tmp_path / "out"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "learning" in text and "theorem_3_2_limit" in text and "learning_is_descent" in text


def test_the_stage_writes_what_it_promises(measured, undrawn, tmp_path, monkeypatch, capsys):
    from pipeline.stages.report import main

    _copy(measured.project.root, tmp_path)
    for name in ("mini-marian", "mini-mbert"):
        (tmp_path / "data" / "demo" / name).mkdir(parents=True)
    params = measured.project.params.model_copy(update={"gold": ()})
    (tmp_path / "params.yaml").write_text(parameters_yaml(params), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMMIT", "0123abc")
    main()
    assert "report: open reports/index.html" in capsys.readouterr().err
    assert (tmp_path / "reports" / "metrics" / "translators" / "mini-marian" / "curves.csv").is_file()
    assert "commit 0123abc" in (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")
    assert (tmp_path / "reports" / "figures").is_dir()
