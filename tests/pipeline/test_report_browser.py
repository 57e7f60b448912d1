"""The page in a real browser: offline, silent, by pointer, by keys, in both directions, dark, printed, on a phone."""

import json
import re
import shutil

import pytest

from pipeline.params import Params
from pipeline.report.render import build
from tests.pipeline.report_factory import HOSTILE, SMALL, hostile, measured  # noqa: F401 - fixtures

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make setup")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed: make setup")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium, chromium-browser or google-chrome here"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
WIDE, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def plain(measured, tmp_path_factory):
    """A page whose fourth pair one translator has not read."""
    data = tmp_path_factory.mktemp("data")
    shutil.copytree(measured.project.data / "explorer", data / "explorer")
    file = data / "explorer" / "mini-mbert" / "explorer.json"
    written = json.loads(file.read_text())
    written["maps"][3] = None
    file.write_text(json.dumps(written))
    out = tmp_path_factory.mktemp("plain")
    build(measured.project.params, measured.project.metrics, data, out)
    return out / "index.html"


@pytest.fixture(scope="module")
def without_heads(measured, tmp_path_factory):
    """A page whose last three pairs have no heads."""
    data = tmp_path_factory.mktemp("data")
    shutil.copytree(measured.project.data / "explorer", data / "explorer")
    for file in data.glob("explorer/*/explorer.json"):
        written = json.loads(file.read_text())
        for entry in written["maps"][3:]:
            entry["heads"] = None
        file.write_text(json.dumps(written))
    out = tmp_path_factory.mktemp("without_heads")
    build(measured.project.params, measured.project.metrics, data, out)
    return out / "index.html"


@pytest.fixture(scope="module")
def leftward(hostile, tmp_path_factory):
    """A page of words that try to break it, in two languages that are written from right to left."""
    own = {"source": "files", "pair": "ar-he", "src": ["data/own/a.ar"], "tgt": ["data/own/a.he"]}
    out = tmp_path_factory.mktemp("leftward")
    lexicon = {"source": "files", "path": "data/own/ar-he.txt"}
    params = Params.model_validate({**SMALL, "corpus": own, "lexicon": lexicon, "gold": None})
    build(params, hostile.project.metrics, hostile.project.data, out)
    return out / "index.html"


@pytest.fixture
def visit(browser):
    """Open a file; at the end nothing may have been asked of a network or said on the console."""
    contexts, noise = [], []

    def visit(file, fragment="", *, viewport=WIDE, **options):
        context = browser.new_context(viewport=viewport, offline=True, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("dialog", lambda dialog: noise.append(dialog.message))
        page.on(
            "request",
            lambda request: (
                noise.append(request.url) if not request.url.startswith(("file:", "blob:", "data:")) else None
            ),
        )
        page.goto(file.as_uri() + fragment)
        page.wait_for_selector("#explorer-app:not([hidden])")  # its data is unpacked after the page has loaded
        return page

    yield visit
    for context in contexts:
        context.close()
    assert noise == []


def cell(page, tgt, src, kind=0):
    return page.locator(".panel").nth(kind).locator(f'rect[data-tgt="{tgt}"][data-src="{src}"]')


def readout_of(page, tgt, src):
    cell(page, tgt, src).hover()
    return float(re.search(r"attention ([\d.]+)", readout(page))[1])


def readout(page):
    return page.locator(".readout").inner_text()


def wide(page):
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_loads_and_is_no_wider_than_the_window(plain, visit, viewport, scheme):
    page = visit(plain, viewport=viewport, color_scheme=scheme)
    assert page.locator(".panel svg").count() == 2 and wide(page) <= 0
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 23, 26)"}[scheme]


def test_pointing_crosses_row_and_column_in_both_maps_and_a_click_pins(plain, visit):
    page = visit(plain)
    cell(page, 2, 1).hover()
    crosses = page.locator(".cross")
    assert [float(crosses.nth(k).get_attribute("width")) > 0 for k in range(4)] == [True] * 4
    assert readout(page).startswith("mot2 – word1: attention 0.")
    cell(page, 2, 1).click()
    cell(page, 0, 0, kind=1).hover()
    assert readout(page).startswith("Pinned. mot2 – word1") and page.url.endswith("/2-1")
    page.keyboard.press("Escape")
    assert "Pinned" not in readout(page) and not page.url.endswith("/2-1")


def test_maps_and_layers_are_reached_by_keys(plain, visit):
    page = visit(plain)
    page.locator('.panel [tabindex="0"]').first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    assert readout(page).startswith("Pinned. mot1 – word1")
    assert page.evaluate("document.activeElement.dataset.src") == "1"
    assert page.locator(".panel").first.locator('[tabindex="0"]').count() == 1
    sync_api.expect(page.locator(".unseen")).to_contain_text("Pinned. mot1")
    page.locator('.strip [tabindex="0"]').focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert "layer 2 of 4" in page.locator(".where").inner_text()
    assert page.evaluate("document.activeElement.getAttribute('aria-checked')") == "true"


def test_what_is_shown_stands_in_the_address_and_comes_back(plain, visit):
    page = visit(plain)
    page.get_by_role("combobox", name="translator", exact=True).select_option(label="mini-mbert")
    page.get_by_role("combobox", name="view", exact=True).select_option(index=1)
    page.get_by_role("radio", name="layer 3").click()
    page.get_by_role("button", name="show ribbons").click()
    page.locator('.panel [data-side="src"][data-word="1"]').first.click()
    where, said, fragment = page.locator(".where").inner_text(), readout(page), page.url.partition("#")[2]
    assert "mini-mbert, source to target, layer 3 of 4" in where and said.startswith("Pinned. word1: attention")
    again = visit(plain, f"#{fragment}")
    assert (again.locator(".where").inner_text(), readout(again)) == (where, said)
    assert again.locator(".ribbon").count() > 0


@pytest.mark.parametrize(
    "fragment", ["#x=", "#x=nobody/none", "#x=%E0%A4%A", "#x=1/mini-marian/output_step/99/99/maps/99-99"]
)
def test_an_address_that_names_nothing_is_harmless(plain, visit, fragment):
    page = visit(plain, fragment)
    assert page.locator(".panel svg").count() == 2 and "Pinned" not in readout(page)


def test_sentences_are_searched_and_sorted_and_chosen(plain, visit):
    page = visit(plain)
    options = page.locator(".pair select option")
    assert options.count() == 6
    page.get_by_label("order").select_option("best")
    scores = [float(text.split()[0]) for text in options.all_inner_texts()]
    assert scores == sorted(scores, reverse=True)
    page.get_by_role("button", name="worst").click()
    assert f"mean mass {scores[-1]:.2f}" in page.locator(".where").inner_text()
    page.get_by_label("search").fill("word7")
    assert 0 < options.count() < 6
    page.get_by_label("search").fill("nothing of this kind")
    assert options.all_inner_texts() == ["no sentence holds this"]


def test_single_heads_are_shown_and_stand_in_the_address(plain, visit, measured):
    page = visit(plain)
    mean = readout_of(page, 2, 1)
    page.get_by_role("combobox", name="head", exact=True).select_option(label="head 1")
    assert "head 1" in page.locator(".where").inner_text() and "/4/1/maps" in page.url
    one = readout_of(page, 2, 1)
    page.get_by_role("combobox", name="head", exact=True).select_option(label="head 0")
    other = readout_of(page, 2, 1)
    assert one != other and mean == pytest.approx((one + other) / 2, abs=0.02)
    again = visit(plain, f"#{page.url.partition('#')[2]}")
    assert "head 0" in again.locator(".where").inner_text() and readout_of(again, 2, 1) == other
    page.get_by_role("combobox", name="head", exact=True).select_option(label="mean over heads")
    assert readout_of(page, 2, 1) == mean


def test_a_pair_whose_heads_are_not_there_shows_the_mean_and_says_so(without_heads, visit):
    page = visit(without_heads, "#x=10/mini-marian/output_step/2/1/maps")
    assert "mean over heads" in page.locator(".where").inner_text()
    assert "its single heads are not on the page" in page.locator(".where").inner_text()
    assert page.get_by_role("combobox", name="head", exact=True).is_disabled()
    assert "stored for the first 3." in page.locator("#explorer").inner_text()


def test_a_pair_that_was_not_read_says_why(plain, visit):
    page = visit(plain, "#x=10/mini-mbert/tgt_to_src/1/mean/maps")
    assert "mini-mbert did not read this pair" in readout(page) and "1 too long" in readout(page)
    assert page.locator(".panel svg").count() == 0 and page.get_by_role("button", name="save CSV").is_disabled()


def test_what_is_shown_is_saved(plain, visit):
    page = visit(plain)
    with page.expect_download() as caught:
        page.get_by_role("button", name="save CSV").click()
    rows = caught.value.path().read_text(encoding="utf-8").splitlines()
    n_src, n_tgt = (page.locator(f'.panel:first-child [data-side="{side}"]').count() for side in ("src", "tgt"))
    assert rows[0] == "tgt,src,tgt_word,src_word,attention,plan,links" and len(rows) == 1 + n_src * n_tgt
    with page.expect_download() as caught:
        page.get_by_role("button", name="save SVG").click()
    assert caught.value.path().read_text(encoding="utf-8").startswith("<svg xmlns=")


def test_words_from_right_to_left_stand_so_and_hostile_words_stay_words(leftward, visit):
    page = visit(leftward)
    assert page.locator(".pair p").first.get_attribute("dir") == "rtl"
    labels = page.locator('.panel:first-child [data-side="src"]')
    first, last = (labels.nth(k).bounding_box()["x"] for k in (0, labels.count() - 1))
    assert first > last
    page.locator('.panel [tabindex="0"]').first.focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.dataset.src") == "1"
    titles = set()
    for number in range(6):
        page.locator(".pair select").select_option(index=number)
        titles |= set(page.locator(".label title").all_text_contents())
    assert titles <= set(HOSTILE) and {"👩‍👩‍👧‍👦", "x" * 300, "</script>", "مرحبا"} <= titles
    shown = page.locator(".label").evaluate_all("all => all.map((one) => one.firstChild.data)")
    assert not any("\u200d" in text and text != "👩‍👩‍👧‍👦" for text in shown), "letters are not cut in two"
    assert page.locator("img, iframe, body b b").count() == 0


def test_hostile_words_do_not_widen_a_phone(leftward, visit):
    page = visit(leftward, viewport=PHONE)
    for number in range(6):
        page.locator(".pair select").select_option(index=number)
        assert wide(page) <= 0


def test_a_figure_tells_its_values_to_pointer_and_keys_and_gives_them_as_a_file(plain, visit, measured):
    page = visit(plain)
    figure = page.locator("#figure5_mini-marian")
    t = measured.translators[0]
    rows = t.curves[(t.curves["score"] == t.score) & (t.curves["view"] == "output_step")]
    values = rows[rows["control"] == "trained"]["value"].tolist()
    figure.locator(".drawn").focus()
    page.keyboard.press("ArrowRight")
    said = figure.locator(".values").inner_text()
    assert said.startswith("output step, layer 1: ") and f"trained {float(f'{values[0]:.3g}'):g}" in said
    page.keyboard.press("ArrowRight")
    assert figure.locator(".values").inner_text().startswith("output step, layer 2: ")
    box = figure.locator(".drawn svg").bounding_box()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"])
    assert figure.locator(".values").inner_text().startswith("input step, layer ")
    with page.expect_download() as caught:
        figure.get_by_role("link", name="data as CSV").click()
    saved = caught.value.path().read_text(encoding="utf-8")
    assert saved == (plain.parent / "figures" / "figure5_mini-marian.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_axe_finds_nothing_serious(plain, visit, viewport, scheme):
    page = visit(plain, viewport=viewport, color_scheme=scheme)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = {one["id"]: one["nodes"][0]["html"][:200] for one in found if one["impact"] in ("serious", "critical")}
    assert serious == {}


def test_print_shows_the_state_and_opens_what_is_folded(plain, visit):
    page = visit(plain)
    page.emulate_media(media="print")
    assert not page.locator(".controls").first.is_visible() and page.locator(".where").is_visible()
    assert page.locator(".panel svg").first.is_visible()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


def test_the_first_key_leads_past_the_contents(plain, visit):
    page = visit(plain)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the verdicts"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
