"""Files as people have them: packings, encodings, line ends, nested columns, translation memories."""

import bz2
import gzip
import json
import lzma
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.corpus.decode import guess_encoding, read_text
from pipeline.corpus.files import parallel_files, read_lines, table_file
from pipeline.corpus.sources import open_source
from pipeline.errors import PipelineError
from pipeline.params import Corpus

LINES = ["The cat sleeps.", "", "Un été à l’école\u2028même \u0085ligne", "我喜欢你。"]
FILES = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def zipped(data: bytes, *names: str) -> bytes:
    """Return a zip that holds the data under each name."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("text.txt",):
            archive.writestr(name, b"" if name.endswith("/") else data)
    return packed.getvalue()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "zip": zipped,
    "zstd": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}
# As Python writes them: with a byte order mark (utf-16), or without.
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_packing_encoding_and_line_end_gives_the_same_lines(
    tmp_path: Path, packing: str, encoding: str, end: str
) -> None:
    path = tmp_path / "text.en"
    path.write_bytes(PACKINGS[packing]((end.join(LINES) + end).encode(encoding)))
    assert read_lines(path) == LINES
    read_as = read_text(path).read_as
    assert ("utf-16" in read_as) == ("utf-16" in encoding)
    assert read_as.startswith(packing)
    assert read_as or (packing, encoding[:5]) == ("", "utf-8")


@given(
    lines=st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co")), max_size=20).map(lambda s: s.lstrip("\ufeff")), max_size=6),
    encoding=st.sampled_from(ENCODINGS),
    packing=st.sampled_from(list(PACKINGS)),
    end=st.sampled_from(["\n", "\r\n"]),
)  # fmt: skip
@settings(FILES, max_examples=600)
def test_any_text_comes_back(tmp_path: Path, lines: list[str], encoding: str, packing: str, end: str) -> None:
    lines = ["One plain line says which encoding it is.", *lines]
    path = tmp_path / "text"
    path.write_bytes(PACKINGS[packing]((end.join(lines) + end).encode(encoding)))
    assert read_lines(path) == lines


MAGIC = [b"", b"\x1f\x8b\x08", b"PK\x03\x04", b"PK\x05\x06", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"BZh91AY&SY", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xff\xfe\x00\x00", b"<tmx><body>", b'{"en": "a", "fr": "b"}\n', b"PAR1"]  # fmt: skip


def refusal_of(read: Callable[[], object]) -> str:
    """Return the message of a refusal, the empty one if there is none."""
    try:
        read()
    except PipelineError as error:
        return str(error)
    return ""


@given(start=st.sampled_from(MAGIC), data=st.binary(max_size=80), suffix=st.sampled_from([".tsv", ".jsonl", ".tmx", ".parquet", ".jsonl.gz", ".tsv.zip"]))  # fmt: skip
@example(start=b"", data=b"[" * 100_000, suffix=".jsonl")
@example(start=b"", data=b'{"en":' + b"9" * 5000 + b"}", suffix=".jsonl")
@example(start=b"", data=b"<tmx><body>" + b"<hi>" * 3000, suffix=".tmx")
@example(start=b"", data=b"<tmx><tu><tuv lang='en'><seg>" + b"<hi>" * 3000 + b"</hi>" * 3000 + b"</seg></tuv></tu></tmx>", suffix=".tmx")  # fmt: skip
@settings(FILES, max_examples=800)
def test_any_bytes_are_read_or_refused_in_words(tmp_path: Path, start: bytes, data: bytes, suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_bytes(start + data)
    for read in (lambda: read_lines(path), lambda: table_file(str(path), src_lang="en", tgt_lang="fr").n_rows):
        refusal = refusal_of(read)
        assert not refusal or str(path) in refusal


@given(packing=st.sampled_from(list(PACKINGS)[1:]), data=st.data())
@settings(FILES, max_examples=400)
def test_a_damaged_file_is_read_or_refused_in_words(tmp_path: Path, packing: str, data: st.DataObject) -> None:
    packed = bytearray(PACKINGS[packing](b"some text, some more text\n" * 9))
    for place in data.draw(st.lists(st.integers(0, len(packed) - 1), max_size=3)):
        packed[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "text"
    path.write_bytes(packed[: data.draw(st.integers(0, len(packed)))])
    refusal = refusal_of(lambda: read_lines(path))
    assert not refusal or str(path) in refusal


@pytest.mark.parametrize("packing", list(PACKINGS)[1:])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, packing: str) -> None:
    (tmp_path / "a.txt").write_bytes(PACKINGS[packing](np.random.default_rng(0).bytes(999))[:-40])
    with pytest.raises(
        PipelineError, match=rf"a\.txt: must be a whole {packing} file, but .*; download or pack it again"
    ):
        read_lines(tmp_path / "a.txt")


def test_a_zip_holds_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(b"one\n", "folder/", "folder/a.txt", "__MACOSX/folder/._a.txt", ".DS_Store"))
    assert read_lines(path) == ["one"]
    path.write_bytes(zipped(b"one\n", "a.en", "a.fr"))
    with pytest.raises(PipelineError, match=r"a zip must hold one file, but it holds a\.en, a\.fr; unpack it"):
        read_lines(path)
    path.write_bytes(zipped(b"", "folder/"))
    with pytest.raises(PipelineError, match=r"must hold one file, but it holds none"):
        read_lines(path)


def follow(message: str, folder: Path) -> Path:
    """Run the command between the last backticks of a message and return the file that it writes."""
    command = message.split("`")[-2]
    assert command.endswith("> NEW")
    subprocess.run(["sh", "-c", command], cwd=folder, check=command.startswith("iconv -f"))
    return folder / "NEW"


@pytest.mark.parametrize("encoding", ["cp1252", "cp1250", "cp1251", "koi8-r", "cp932", "gb18030"])
def test_another_encoding_is_guessed_and_the_remedy_works(tmp_path: Path, encoding: str) -> None:
    text = {
        "cp1252": "Ils ont déjà été à l’école, où elle dit « oui ».",
        "cp1250": "Příliš žluťoučký kůň úpěl ďábelské ódy.",
        "cp932": "私は日本語を勉強しています。",
        "gb18030": "我来到北京清华大学。",
    }.get(encoding, "Все люди рождаются свободными и равными.")
    lines = ["ok", *[text] * 9]
    path = tmp_path / "the text.en"
    path.write_bytes("\n".join(lines).encode(encoding))
    with pytest.raises(
        PipelineError, match=rf"line 2 has byte 0x.. at place \d+; it may be {encoding}, in which"
    ) as refused:
        read_lines(path)
    assert text[:30] in str(refused.value)
    assert read_lines(follow(str(refused.value), tmp_path)) == lines


def test_short_text_is_taken_for_western(tmp_path: Path) -> None:
    assert guess_encoding("été".encode("cp1252")) == "cp1252"
    assert guess_encoding(bytes(range(128, 256))) == "iso8859-1"
    (tmp_path / "a.gz").write_bytes(gzip.compress("été".encode("cp1252")))
    with pytest.raises(PipelineError, match=r"convert it by `gzip -dc < .*a\.gz \| iconv -f cp1252"):
        read_lines(tmp_path / "a.gz")


def test_utf8_with_a_broken_byte_is_no_other_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Où était l’été ?\n".encode() + b"b\xffb\n")
    with pytest.raises(
        PipelineError, match=r"line 2 has byte 0xff at place 2; 1 such places in a text that is UTF-8"
    ) as refused:
        read_lines(tmp_path / "a.txt")
    assert read_lines(follow(str(refused.value), tmp_path)) == ["Où était l’été ?", "bb"]


@pytest.mark.parametrize("original", ["utf-16", "utf-8-sig"])
def test_text_converted_from_the_wrong_encoding_is_refused(tmp_path: Path, original: str) -> None:
    """The remedy of older versions turned UTF-16 into text that begins with two strange letters."""
    text = "The cat.\n"
    (tmp_path / "a.txt").write_bytes(text.encode(original).decode("latin-1").encode("utf-8"))
    with pytest.raises(
        PipelineError, match=r"begins with '(ÿþ|ï»)', the byte order mark of UTF-(16|8) read as"
    ) as refused:
        read_lines(tmp_path / "a.txt")
    assert read_lines(follow(str(refused.value), tmp_path)) == ["The cat."]


def test_zeros_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a\0b\0c\0\x00\xd8d\0e\0\n\0")
    with pytest.raises(
        PipelineError, match=r"by its first bytes or its zeros utf-16-le, but byte 6 is none in it; name a text file"
    ):
        read_lines(tmp_path / "a.txt")


def tarred() -> bytes:
    """Return a tar archive of one text."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("a.txt")
        member.size = 4
        archive.addfile(member, BytesIO(b"one\n"))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (tarred(), "a tar archive"),
        (gzip.compress(tarred(), mtime=0), "a tar archive"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"Rar!\x1a\x07", "a rar archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\x04\x22\x4d\x18", "packed by lz4"),
        (b"\x1f\x9d\x90", "packed by compress"),
        (b"\xd0\xcf\x11\xe0", "a document of an older Office"),
        (b"{\\rtf1", "rich text"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, data: bytes, what: str) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(PipelineError, match=rf"a\.txt: must be text, but it is {what}; unpack or export it, and name"):
        read_lines(tmp_path / "a.txt")


def test_empty_lines_at_the_end_of_one_file_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_bytes(b"One.\nTwo.\n\n \r\n\x1a")
    (tmp_path / "a.fr").write_bytes(b"Un.\nDeux.\n")
    source = parallel_files([str(tmp_path / "a.en")], [str(tmp_path / "a.fr")])
    assert (source.src, source.tgt) == (["One.", "Two."], ["Un.", "Deux."])
    (tmp_path / "a.fr").write_bytes(b"Un.\n")
    with pytest.raises(PipelineError, match=r"a\.en has 2 lines and .*a\.fr has 1"):
        parallel_files([str(tmp_path / "a.en")], [str(tmp_path / "a.fr")])
    (tmp_path / "a.tsv").write_bytes(b"a\tb\n\n\n")
    assert pairs_of(tmp_path / "a.tsv") == [("a", "b")]


def pairs_of(path: Path, **kwargs: str) -> list[tuple[str, str]]:
    rows = table_file(str(path), src_lang="en", tgt_lang="fr", **kwargs)
    return list(zip(rows.src, rows.tgt, strict=True))


NESTED: list[dict[str, Any]] = [
    {"translation": {"en": "One.", "fr": "Un."}},
    {"translation": {"fr": "Deux.", "en": None}},
]


def test_wmt_keeps_both_sides_in_one_column(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, NESTED)) + "\n", encoding="utf-8")
    pq.write_table(pa.Table.from_pylist([{"id": 1, **row} for row in NESTED]), tmp_path / "a.parquet")
    expected = [("One.", "Un."), ("", "Deux.")]
    assert pairs_of(tmp_path / "a.jsonl") == pairs_of(tmp_path / "a.parquet") == expected
    (tmp_path / "b.parquet.gz").write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    assert pairs_of(tmp_path / "b.parquet.gz") == expected


def test_flat_columns_come_before_nested_ones(tmp_path: Path) -> None:
    row = {"en": "flat", "fr": "plat", **NESTED[0]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    assert pairs_of(tmp_path / "a.jsonl") == pairs_of(tmp_path / "a.parquet") == [("flat", "plat")]


def test_another_language_in_the_column_is_named(tmp_path: Path) -> None:
    row = {"translation": {"en": "a", "de": "b"}}
    (tmp_path / "a.jsonl").write_text(json.dumps(row), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        with pytest.raises(
            PipelineError, match=r"en and fr, but .* has translation, translation\.(en|de), .*; rename them"
        ):
            pairs_of(tmp_path / name)


def test_empty_lines_of_jsonl_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('\n{"en": "a", "fr": "b"}\n  \n\r\n{"en": "c", "fr": "d"}\n\n', encoding="utf-8")
    assert pairs_of(tmp_path / "a.jsonl") == [("a", "b"), ("c", "d")]


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_packed_table_is_known_by_its_inner_suffix(tmp_path: Path, packing: str) -> None:
    suffix = {"": "", "gzip": ".gz", "zip": ".zip", "zstd": ".zst", "xz": ".xz", "bzip2": ".bz2"}[packing]
    path = tmp_path / f"a.tsv{suffix}"
    path.write_bytes(PACKINGS[packing]("a\tb\n".encode("utf-16")))
    said: list[str] = []
    source = open_source(Corpus(source="files", file=str(path)), say=said.append)
    assert list(source.fetch(np.array([0]))) == [(0, "a", "b")]
    how = ", ".join([*([packing] if packing else []), "utf-16-le"])
    assert said == [f"corpus: {path.name} was read as {how}"]
    assert source.details(np.array([0])) == {"read_as": {path.name: how}}


def test_what_is_plain_is_not_said(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("a\n", encoding="utf-8")
    (tmp_path / "a.fr").write_bytes("b\n".encode("utf-16"))
    source = parallel_files([str(tmp_path / "a.en")], [str(tmp_path / "a.fr")])
    assert source.read_as == (("a.fr", "utf-16-le"),)


TMX = """<?xml version="1.0" encoding="{encoding}"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="en"/><body>
<tu tuid="1"><tuv xml:lang="EN-US"><seg>One <bpt i="1">&lt;b&gt;</bpt>big<ept i="1">&lt;/b&gt;</ept> dog.</seg></tuv>
  <tuv xml:lang="fr"><seg>Un <hi>gros</hi> chien.</seg></tuv></tu>
<tu><tuv lang="en_GB"><seg>Two &amp; a half</seg></tuv><tuv xml:lang="FR-ca"><seg>Deux et demi été</seg></tuv>
  <tuv xml:lang="fr"><seg>un autre</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>alone</seg></tuv><tuv xml:lang="de"><seg>allein</seg></tuv></tu>
</body></tmx>
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
@pytest.mark.parametrize("suffix", [".tmx", ".tmx.gz"])
def test_a_translation_memory_gives_its_units(tmp_path: Path, encoding: str, suffix: str) -> None:
    data = TMX.format(encoding=encoding).encode(encoding)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    assert pairs_of(path) == [("One big dog.", "Un gros chien."), ("Two & a half", "Deux et demi été"), ("alone", "")]


def test_a_large_memory_is_read_as_a_stream(tmp_path: Path) -> None:
    unit = "<tu><tuv xml:lang='en'><seg>a {0}</seg></tuv><tuv xml:lang='fr'><seg>b {0}</seg></tuv></tu>\n"
    (tmp_path / "a.tmx").write_text(f"<tmx><body>{''.join(unit.format(i) for i in range(5000))}</body></tmx>")
    rows = pairs_of(tmp_path / "a.tmx")
    assert rows == [(f"a {i}", f"b {i}") for i in range(5000)]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ("<tmx><body><tu>", r"must be TMX \(XML\), but .*a\.tmx is not: no element found.*; correct or export it again"),
        ('<!DOCTYPE tmx [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><tmx><body>&b;</body></tmx>', r"declares entities, which are not read"),
        ('<!DOCTYPE tmx [<!ENTITY a SYSTEM "file:///etc/passwd">]><tmx><body>&a;</body></tmx>', r"declares entities, which are not read"),
        (TMX.format(encoding="utf-8").replace('"fr"', '"es"').replace("FR-ca", "pt"), r"text in en and fr .* has both; its languages: de, en, es, pt; correct corpus\.pair"),
        ("<tmx/>", r"its languages: none"),
    ],
)  # fmt: skip
def test_what_is_no_memory_of_the_pair_is_refused(tmp_path: Path, data: str, match: str) -> None:
    (tmp_path / "a.tmx").write_text(data, encoding="utf-8")
    with pytest.raises(PipelineError, match=match):
        pairs_of(tmp_path / "a.tmx")


def test_parallel_files_of_moses_may_be_packed(tmp_path: Path) -> None:
    (tmp_path / "news.en").write_bytes(gzip.compress(b"One.\nTwo.\n"))
    (tmp_path / "news.fr").write_bytes("Un.\r\nDeux.\r\n".encode("utf-16"))
    source = open_source(Corpus(source="files", src=(str(tmp_path / "news.en"),), tgt=(str(tmp_path / "news.fr"),)))
    assert list(source.fetch(np.array([1]))) == [(1, "Two.", "Deux.")]


@pytest.mark.parametrize("file", ["a.tsv.rar", "a.gz", "a"])
def test_the_parameters_refuse_another_suffix(file: str) -> None:
    with pytest.raises(ValueError, match=r"file: must end in .*\.tmx \(packed: \.gz, .* behind it\), but it is"):
        Corpus(source="files", file=file)
