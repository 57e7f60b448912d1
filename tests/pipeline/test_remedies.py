"""Messages about parameters, files and commands: what they tell the user to do is done, and then it works."""

import bz2
import codecs
import gzip
import json
import lzma
import re
import shlex
import shutil
import subprocess
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.corpus.decode import _USUAL
from pipeline.corpus.files import parallel_files, read_lines, table_file
from pipeline.corpus.gold import read_gold_set
from pipeline.corpus.link_formats import read_link_file, read_links_file
from pipeline.corpus.pharaoh import LinkForm
from pipeline.corpus.pretokenised import decide
from pipeline.corpus.select import select_pairs
from pipeline.errors import PipelineError
from pipeline.lexicon.files import read_lexicon
from pipeline.migrate import migrate
from pipeline.params import Gold, Params, Sample, load_params

Raw = dict[str, Any]
FILES = {"source": "files", "src": "a", "tgt": "b"}
OWN = {"source": "files", "path": "d"}
GOLD = {"name": "g", "pair": "xh-en", "text": ["x"], "links": "y"}


def demo(**changes: Any) -> Raw:
    """Return the demo's parameters with changes: keys of a block, or what stands in its place."""
    return changed(json.loads(Params().model_dump_json()), **changes)


def changed(raw: Raw, **changes: Any) -> Raw:
    """Return parameters with changes; a key of value `...` is removed."""
    raw = json.loads(json.dumps(raw))
    for block, change in changes.items():
        within = isinstance(change, dict) and isinstance(raw.get(block), dict) and block != "translators"
        raw[block] = raw[block] | change if within else change
        if within:
            raw[block] = {key: value for key, value in raw[block].items() if value is not ...}
    return {block: value for block, value in raw.items() if value is not ...}


@pytest.fixture
def load(tmp_path: Path) -> Callable[[Raw], Params]:
    def loaded(raw: Raw) -> Params:
        path = tmp_path / "p.yaml"
        path.write_text(json.dumps(raw), encoding="utf-8")  # JSON is YAML
        return load_params(path, check_paths=False)

    return loaded


def refused(act: Callable[[], object], match: str) -> str:
    with pytest.raises(PipelineError, match=match) as caught:
        act()
    return str(caught.value)


@pytest.mark.parametrize(
    ("bad", "match", "remedy"),
    [
        ({"corpus": {"pair": "de-en"}}, r"the demo text is en-fr.*use source: files", {"corpus": FILES, "lexicon": OWN}),
        ({"corpus": {"source": "files"}}, r"needs src and tgt, or file.*name the text files", {"corpus": {"src": "a", "tgt": "b"}}),
        ({"corpus": {"source": "files"}}, r"needs src and tgt, or file.*name the text files", {"corpus": {"file": "a.tsv"}}),
        ({"corpus": FILES | {"file": "a.tsv"}}, r"either .* or file, not both.*set it to null", {"corpus": {"src": None, "tgt": None}}),
        ({"corpus": FILES | {"src": ["a", "c"]}}, r"as many files on either side.*add or remove one", {"corpus": {"src": ["a"]}}),
        ({"corpus": {"src": "a"}}, r"source: demo takes no files.*leave it out", {"corpus": {"src": ...}}),
        ({"corpus": {"revision": "x"}}, r"only source: wmt14 has a revision.*null or leave it out", {"corpus": {"revision": None}}),
        ({"corpus": FILES | {"pair": "en-en"}}, r"two different languages.*write en-fr, say", {"corpus": {"pair": "en-fr"}}),
        ({"corpus": FILES | {"pair": "de-en"}}, r"demo lexicon is en-fr.*use source: files with the path", {"lexicon": OWN}),
        ({"corpus": FILES | {"pair": "de-en"}}, r"demo lexicon is en-fr.*or source: muse$", {"lexicon": {"source": "muse"}}),
        ({"corpus": FILES | {"pair": "xh-en"}, "lexicon": {"source": "muse"}, "words": {"lemmas": "none"}},
         r"muse has no xh-en.*use source: files with a dictionary", {"lexicon": OWN}),
        ({"lexicon": {"source": "files"}}, r"needs the path of a dictionary.*name a MUSE file", {"lexicon": {"path": "d"}}),
        ({"lexicon": {"path": "d"}}, r"only source: files has a path.*null or leave it out", {"lexicon": {"path": None}}),
        ({"corpus": {"source": "wmt14", "pair": "fr-en"}, "lexicon": {"source": "muse"}, "sample": {"n_pairs": None}},
         r"sample\.n_pairs: a number for corpus.source: wmt14.*write one", {"sample": {"n_pairs": 50}}),
        ({"sample": {"method": "full"}}, r"full is for corpus.source: wmt14.*use rows", {"sample": {"method": "rows"}}),
        ({"sample": {"min_words": 50}}, r"at most max_words \(40\).*or raise max_words", {"sample": {"max_words": 60}}),
        ({"sample": {"min_words": 50}}, r"at most max_words \(40\).*lower it", {"sample": {"min_words": 5}}),
        ({"sample": {"min_links": 50}}, r"at most max_words \(40\).*lower it", {"sample": {"min_links": 3}}),
        ({"report": {"pair": 500}}, r"below sample\.n_pairs \(240\).*or set it to null", {"report": {"pair": None}}),
        ({"report": {"pair": 500}}, r"below sample\.n_pairs \(240\).*lower it", {"report": {"pair": 7}}),
        ({"corpus": FILES | {"pair": "xh-en"}, "lexicon": OWN}, r"simplemma does not know .*'xh' of corpus.pair; use none$",
         {"words": {"lemmas": "none"}}),
        ({"convention": "notebook", "corpus": FILES | {"pair": "xh-en"}, "lexicon": OWN},
         r"'xh' of corpus.pair; use none with convention: corrected", {"words": {"lemmas": "none"}, "convention": "corrected"}),
        ({"convention": "notebook", "gold": [GOLD]}, r"'xh' of gold.0.pair; use none with convention: corrected",
         {"words": {"lemmas": "none"}, "convention": "corrected"}),
        ({"convention": "notebook", "words": {"lemmas": "none"}}, r"reads lemmatised text.*use simplemma", {"words": {"lemmas": "simplemma"}}),
        ({"convention": "notebook", "words": {"lemmas": "none"}}, r"reads lemmatised text.*or convention: corrected", {"convention": "corrected"}),
        ({"extract": {"engine": "ray"}}, r"ray is for keep: sums.*use local", {"extract": {"engine": "local"}}),
        ({"extract": {"engine": "ray"}}, r"ray is for keep: sums.*or keep: sums", {"extract": {"keep": "sums"}}),
        ({"extract": {"keep": "sums", "engine": "ray"}, "align": {"plan_pairs": 5000}},
         r"plan_pairs: at most 1500.*or keep: blocks with engine: local$", {"extract": {"keep": "blocks", "engine": "local"}}),
        ({"extract": {"keep": "sums"}, "align": {"plan_pairs": 5000}}, r"at most 1500.*lower it", {"align": {"plan_pairs": 1500}}),
        ({"extract": {"controls": ["random_init"]}}, r"must hold trained.*add it", {"extract": {"controls": ["random_init", "trained"]}}),
        ({"extract": {"weights": ["norm"]}}, r"must hold attention.*add it", {"extract": {"weights": ["norm", "attention"]}}),
        ({"align": {"methods": ["transport", "transport"]}}, r"each value at most once.*remove one", {"align": {"methods": ["transport"]}}),
        ({"intervene": {"ks": [1]}}, r"must hold 4, which decides.*add it", {"intervene": {"ks": [1, 4]}}),
        ({"gold": [{"text": ["x"], "links": "y"}]}, r"a set of your own has a name and a pair.*add it", {"gold": [GOLD]}),
        ({"gold": [GOLD | {"text": ["x", "y", "z"]}]}, r"or two, source then target.*remove the others", {"gold": [GOLD | {"text": ["x", "y"]}]}),
        ({"translators": {"t": {"model": "./t", "reads": "cross", "revision": "x"}}}, r"only a model on the hub has a revision.*leave it out",
         {"translators": {"t": {"model": "./t", "reads": "cross"}}}),
        ({"translators": {"t": {"model": "./t", "reads": "prompt", "template": "{src}"}}}, r"must hold {src} and {tgt}.*write 'English: {src}\\nFrench: {tgt}', say",
         {"translators": {"t": {"model": "./t", "reads": "prompt", "template": "English: {src}\nFrench: {tgt}"}}}),
        ({"translators": {"a b": {"model": "./t", "reads": "cross"}}}, r"must look like .*rename it", {"translators": {"a-b": {"model": "./t", "reads": "cross"}}}),
    ],
)  # fmt: skip
def test_of_parameters(load: Callable[[Raw], Params], bad: Raw, match: str, remedy: Raw) -> None:
    raw = demo(**bad)
    refused(lambda: load(raw), match)
    assert load(changed(raw, **remedy))


def test_every_misspelt_key_is_put_right_by_its_hint(load: Callable[[Raw], Params]) -> None:
    raw, tried = demo(translators={"model": {"model": "./t", "reads": "joint", "family": {"module": "l.{layer}.a"}}}), 0
    for path in [path for path in keys_of(raw) if not path[-1].isdigit() and path[:-1] != ("translators",)]:
        bad = json.loads(json.dumps(raw))
        *above, key = path
        block = at(bad, above)
        value = block.pop(key)
        block[f"{key}x"] = value
        message = refused(partial(load, bad), rf"{key}x: no such key; did you mean")
        (hint,) = re.findall(r"did you mean ([\w.]+)\?", message)
        block[hint] = block.pop(f"{key}x")
        assert load(bad) == load(raw), path
        tried += 1
    assert tried > 90


@pytest.mark.parametrize(
    ("bad", "hint", "place"),
    [
        ({"corpus": {"n_pairs": 7}}, "sample.n_pairs", ("sample", "n_pairs")),
        ({"corpus": {"links": "own.gold"}}, "gold.0.links", ("gold", "0", "links")),
        ({"corpus": {"template": "{src} {tgt}"}}, "translators.NAME.template", ("translators", "own", "template")),
        ({"policy": "first_occurrence"}, "lexicon.policy", ("lexicon", "policy")),
    ],
)
def test_a_key_of_another_block_goes_where_the_hint_says(
    load: Callable[[Raw], Params], bad: Raw, hint: str, place: tuple[str, ...]
) -> None:
    own = {"own": {"model": "./t", "reads": "prompt"}}
    base = demo(translators=own, gold=[{"name": "g", "pair": "en-fr", "text": ["x"], "links": "y"}])
    refused(lambda: load(changed(base, **bad)), rf"no such key; did you mean {re.escape(hint)}\?")
    (value,) = bad.values()
    at(base, place[:-1])[place[-1]] = value[place[-1]] if isinstance(value, dict) else value
    assert load(base)


def keys_of(raw: object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    entries = enumerate(raw) if isinstance(raw, list) else raw.items() if isinstance(raw, dict) else ()
    for key, value in entries:
        yield (*above, str(key))
        yield from keys_of(value, (*above, str(key)))


def at(raw: Any, path: Sequence[str]) -> Any:
    for key in path:
        raw = raw[int(key)] if isinstance(raw, list) else raw[key]
    return raw


def told(message: str) -> list[str]:
    """Return the arguments of the command of ours that a message names between backticks."""
    (command,) = set(re.findall(r"`python -m pipeline ([^`]+)`", message))
    return shlex.split(command)


def test_an_older_and_short_file_is_renewed_and_completed(project: Path, tmp_path: Path) -> None:
    path = tmp_path / "my own" / "p.yaml"
    path.parent.mkdir()
    path.write_text("align:\n  convention: paper\ngold:\n  base: 0\n", encoding="utf-8")
    main_ok(told(refused(lambda: load_params(path), r"written for an older version .*; run `")))
    message = refused(lambda: load_params(path, check_paths=False), r"this block is missing; run `")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        main_ok(told(message))
    assert load_params(path, check_paths=False).convention == "paper"


def test_a_file_that_is_not_there_is_copied_and_a_key_said_twice_removed(project: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    refused(lambda: load_params(path), r"no such parameter file; .*or copy one from params/")
    shutil.copy(project / "params" / "demo.yaml", path)
    assert load_params(path, check_paths=False) == Params()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("\nalign: ", "\nalign:\n  convention: paper\n  #", 1), encoding="utf-8")
    refused(lambda: migrate(path), r"must be said once, .*; remove align\.convention$")
    path.write_text(path.read_text(encoding="utf-8").replace("  convention: paper\n", ""), encoding="utf-8")
    assert migrate(path) == [] and load_params(path, check_paths=False) == Params()


def main_ok(arguments: Sequence[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code in (0, None), arguments


def run(message: str, folder: Path, *, file: Path | None = None) -> Path:
    """Run the shell command that ends a message, `FILE` in it being `file`, and return what it writes."""
    command = re.findall(r"`([^`]+)`", message)[-1]
    command = command.replace("FILE", shlex.quote(str(file))) if file else command
    command = command if command.endswith("> NEW") else f"{command} < {shlex.quote(str(file))} > NEW"
    subprocess.run(["sh", "-c", command], cwd=folder, check="iconv -c" not in command)
    return folder / "NEW"


def zipped(data: bytes) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("text", data)
    return buffer.getvalue()


FRENCH = "Ils ont déjà été à l’école, où elle dit « oui »."
PACK = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress, "zip": zipped}


@pytest.mark.parametrize(
    "packings", [[], ["gzip"], ["xz"], ["bzip2"], ["zip"], ["zip", "gzip"], ["gzip", "zip"]], ids="-".join
)
@pytest.mark.parametrize(
    ("data", "lines", "match"),
    [
        (f"{FRENCH}\n".encode("cp1252") * 9, [FRENCH] * 9, "if that is right, convert it by"),
        ("Où était l’été ?\n".encode() + b"b\xffb\n", ["Où était l’été ?", "bb"], "or leave them out by"),
        ("ÿþété\n".encode(), None, "or go back by"),
    ],
)
def test_text_in_another_encoding_packed_or_not(
    tmp_path: Path, packings: list[str], data: bytes, lines: list[str] | None, match: str
) -> None:
    needed = {"gzip": "gzip", "xz": "xz", "bzip2": "bzip2", "zip": "unzip" if packings[:1] == ["zip"] else "funzip"}
    if missing := [needed[name] for name in packings if shutil.which(needed[name]) is None]:
        pytest.skip(f"{missing[0]} is not on this machine")
    path = tmp_path / "my text"
    for name in reversed(packings):
        data = PACK[name](data)
    path.write_bytes(data)
    new = run(refused(lambda: read_lines(path), match), tmp_path)
    if lines is None:  # what was misread is itself again: the bytes of UTF-16's mark, and text in Latin-1
        assert new.read_bytes() == b"\xff\xfe" + "été\n".encode("latin-1")
    else:
        assert read_lines(new) == lines


@pytest.mark.parametrize("encoding", [*_USUAL, "latin-1"])
def test_the_command_knows_every_encoding_that_is_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setattr("pipeline.corpus.decode.guess_encoding", lambda data: codecs.lookup(encoding).name)
    # Two bytes that make one letter in the East Asian encodings, and one each or none in the others.
    (tmp_path / "f").write_bytes(b"\xb0\xa1 plain\n")
    message = refused(lambda: read_lines(tmp_path / "f"), "if that is right, convert it by")
    (line,) = read_lines(run(message, tmp_path))
    assert line == b"\xb0\xa1 plain".decode(encoding)


@pytest.mark.parametrize(
    ("row", "words"),
    [("the ne@@ w hou@@ se", ["the", "new", "house"]), ("▁the ▁ne w ▁hou se", ["the", "new", "house"])],
)
def test_subwords_are_joined_by_the_command_or_taken_as_words(tmp_path: Path, row: str, words: list[str]) -> None:
    (tmp_path / "f").write_text(f"{row}\n", encoding="utf-8")
    message = refused(
        lambda: decide([row], "en", "auto"), r"join them by `sed .*pretokenised: true \(.*--words given\)$"
    )
    message = message.partition(", or take them")[0]
    (joined,) = read_lines(run(message, tmp_path, file=tmp_path / "f"))
    side = decide([joined], "en", "auto")
    assert side.split(side.prepare(joined))[1] == words
    assert decide([row], "en", True).split(row)[1] == row.split()


def test_a_form_of_links_that_is_not_known_is_made_pharaoh(tmp_path: Path) -> None:
    path = tmp_path / "links"
    path.write_text("(0, 1) (2, 3)\n(1, 1)\n", encoding="utf-8")
    message = refused(
        lambda: read_link_file(path, LinkForm()), r"links must be in a form that is known.*makes pharaoh of it"
    )
    found = read_links_file(run(message, tmp_path, file=path), LinkForm())
    assert [links.sure.tolist() for links in found] == [[[0, 1], [2, 3]], [[1, 1]]]


@pytest.mark.parametrize(
    ("bad", "form", "match", "good", "then"),
    [
        ("0-1\n", LinkForm(base=1), r"numbered from 1, .*is the file's first number 0\?", "0-1\n", LinkForm(base=0)),
        ("1-0\n", LinkForm(), r"check base, direction and text", "1-0\n", LinkForm(reverse=True)),
        ("0-1\n0-0\n", LinkForm(), r"must have one line a sentence pair", "0-1\n", LinkForm()),
        ("0-1 00\n", LinkForm(format="pharaoh"), r"write it as 3-4, say", "0-1 0-0\n", LinkForm()),
        ("1\t0-1\n1\t0-0\n", LinkForm(), r"every sentence must be there once.*remove one", "1\t0-1\n", LinkForm()),
    ],
)
def test_links(tmp_path: Path, bad: str, form: LinkForm, match: str, good: str, then: LinkForm) -> None:
    path = tmp_path / "links"
    path.write_text(bad, encoding="utf-8")
    refused(lambda: read_links_file(path, form, lengths=[(1, 2)]), match)
    path.write_text(good, encoding="utf-8")
    assert read_links_file(path, then, lengths=[(1, 2)])


def test_a_table_of_links_names_its_column(tmp_path: Path) -> None:
    path = tmp_path / "g.tsv"
    path.write_text("src\ttgt\tpairs\na b\tc d\t0-0\n", encoding="utf-8")
    gold = Gold(name="g", pair="en-fr", text=(str(path),), links=str(path))
    refused(lambda: read_gold_set(gold), r"must name a column links, but .*name it so")
    path.write_text(path.read_text(encoding="utf-8").replace("pairs", "links"), encoding="utf-8")
    assert len(read_gold_set(gold)) == 1


@pytest.mark.parametrize(
    ("name", "bad", "match", "good"),
    [
        ("t.tsv", "a\tb\tc\n1\t2\t3\n", r"must have columns src and tgt.*rename them", "src\ttgt\tc\n1\t2\t3\n"),
        (
            "t.jsonl",
            '{"a": "1", "b": "2"}\n',
            r"must have columns.*or en and fr.*rename them",
            '{"en": "1", "fr": "2"}\n',
        ),
        ("t.tsv", "a\tb\nc\td\te\n", r"line 2 has 3 and line 1 has 2; correct it", "a\tb\nc\td e\n"),
        ("t.csv", "a\tb\n", r"must end in \.tsv, .*rename or convert it", None),
    ],
)
def test_tables(tmp_path: Path, name: str, bad: str, match: str, good: str | None) -> None:
    path = tmp_path / name
    path.write_text(bad, encoding="utf-8")
    read = partial(table_file, src_lang="en", tgt_lang="fr")
    refused(lambda: read(str(path)), match)
    new = path if good else path.rename(path.with_suffix(".tsv"))
    new.write_text(good or bad, encoding="utf-8")
    assert read(str(new)).n_rows >= 1


def test_a_dictionary_takes_tabs_between_entries_of_several_words(tmp_path: Path) -> None:
    path = tmp_path / "d"
    path.write_text("dog chien\nhot dog hot-dog\n", encoding="utf-8")
    refused(lambda: read_lexicon(path), r"with a tab between them if one has several words, but line 2")
    path.write_text("dog chien\nhot dog\thot-dog\n", encoding="utf-8")
    assert read_lexicon(path).n_entries == 1


def test_limits_on_words_that_leave_nothing_are_changed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"{name} two three\n", encoding="utf-8")
    source = parallel_files([str(tmp_path / "a")], [str(tmp_path / "b")])
    select = partial(select_pairs, source, src_lang="en", tgt_lang="fr")
    refused(lambda: select(Sample()), r"\(1 too_short\).*lower sample\.min_words$")
    assert len(select(Sample(min_words=3))[0]) == 1
    refused(lambda: select(Sample(min_words=1, max_words=2, min_links=1)), r"\(1 too_long\).*raise sample\.max_words$")
    assert len(select(Sample(min_words=1, max_words=3, min_links=1))[0]) == 1


def test_a_language_without_spaces_and_splitter(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.corpus import splitters

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(splitters, "_load", missing)
    splitters.splitter_of.cache_clear()
    extras = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    try:
        for lang in ("zh", "ja", "th", "lo", "km"):
            message = refused(
                lambda lang=lang: splitters.splitter_of(lang), r"run `pip install '.*'`, or give text whose"
            )
            assert re.search(r"attention-transport\[(\w+)\]", message)[1] in extras
        assert decide(["我 来到 北京 。"], "zh", "auto").split("我 来到 北京 。")[1] == ["我", "来到", "北京", "。"]
    finally:
        splitters.splitter_of.cache_clear()
