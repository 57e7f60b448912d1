"""`dvc plots`: the templates fit the tables that they draw, and the page is drawn in a browser without a network."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PLOTS = ROOT / ".dvc" / "plots"
TRANSLATORS = ROOT / "reports" / "metrics" / "translators"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
N_PLOTS = 8  # three tables of two translators, and two prompts


def dvc(*arguments):
    command = [Path(sys.executable).parent / "dvc", "plots", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def drawn():
    """Return the plots of dvc.yaml: path and options."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return [
        item for stage in stages.values() for plot in stage.get("do", stage).get("plots", []) for item in plot.items()
    ]


@pytest.mark.parametrize("name", ["curves", "pointing", "plan_test"])
def test_a_template_finds_one_row_a_line_view_and_layer(name):
    template = json.loads((PLOTS / f"{name}.json").read_text(encoding="utf-8"))
    filters = " ".join(step["filter"] for step in template["transform"] if "filter" in step)
    colour = template["spec"]["encoding"]["color"]["field"]
    for file in sorted(TRANSLATORS.glob(f"*/{name}.csv")):
        table = pd.read_csv(file, dtype=str)
        for column, value in re.findall(r"datum\.(\w+) == '(\w+)'", filters):
            table = table[table[column] == value]
        for values, column in re.findall(r"indexof\(\[(.*?)\], datum\.(\w+)\)", filters):
            known = re.findall(r"'(\w+)'", values)
            assert set(known) <= set(table[column])
            table = table[table[column].isin(known)]
        assert {"value", "low", "high", "n_pairs"} <= set(table)
        assert len(table) == len(table[[colour, "view", "layer"]].drop_duplicates())
        assert table[colour].nunique() > 3


def test_every_plot_names_a_template_that_is_there_and_all_are_used():
    used = {options["template"] for _, options in drawn()}
    assert used == {file.stem for file in PLOTS.glob("*.json")}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the page that `make plots` makes."""
    pytest.importorskip("vl_convert", reason="Vega comes with the extra plots: pip install -e '.[plots]'")
    path = tmp_path_factory.mktemp("page") / "page.html"
    script = subprocess.run(
        [sys.executable, ROOT / ".ci" / "plots_page.py"], capture_output=True, text=True, check=True
    )
    path.write_text(script.stdout, encoding="utf-8")
    return path


def test_the_page_loads_nothing(page):
    text = page.read_text(encoding="utf-8")
    assert "{plot_divs}" in text
    assert "{scripts}" not in text  # DVC would put its addresses there
    assert not re.search(r"<(script|link)[^>]+(src|href)=", text)


@pytest.mark.slow
def test_the_page_is_drawn_without_a_network(page, tmp_path):
    done = dvc("show", "-o", str(tmp_path), "--html-template", str(page))
    assert done.returncode == 0, done.stderr
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert html.count("vegaEmbed('#") == N_PLOTS
    if CHROMIUM is None:
        pytest.skip("there is no chromium, chromium-browser or google-chrome here")
    offline = ["--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command = [CHROMIUM, *offline, "--virtual-time-budget=8000", "--dump-dom", (tmp_path / "index.html").as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert dom.count('class="marks"') == N_PLOTS


@pytest.mark.slow
def test_revisions_are_compared(tmp_path):
    done = dvc("diff", "HEAD", "-o", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "index.html").is_file()
