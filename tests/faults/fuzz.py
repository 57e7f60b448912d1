"""Damage small valid files at random and give them to the readers of corpus, dictionary, gold links and parameters.

`python -m tests.faults.fuzz --n 2500 --seed 2026` prints a row a kind and every fault; what counts as one is anything
but an answer or a `PipelineError`: another exception, or a reader that takes longer than `LIMIT`.
"""

import argparse
import gzip
import json
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpus.files import parallel_files, table_file
from pipeline.corpus.link_formats import read_links_file
from pipeline.corpus.pharaoh import LinkForm
from pipeline.errors import PipelineError
from pipeline.lexicon.files import read_lexicon
from pipeline.params import load_params

LIMIT = 20
"""Seconds that a reader may take over one small file."""
PIECES = (
    *(b"\0", b"\n", b"\r", b"\t", b"\t\t", b" ", b"-", b"p", b"?", b":", b"[", b"{", b"}", b'"', b"&", b"<", b"\\"),
    *(
        b"-1",
        b"99999999999999999999",
        b"1e999",
        b"nan",
        b"null",
        b"!!python/name:os.system",
        b"*a",
        b"&a",
        b"<<: ",
        b"~",
    ),
    *(
        b"\xff",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        b"\xe2\x80\x8d",
        b"\xe2\x80\xa8",
        b"\xed\xa0\x80",
        b"\xc2\xb2",
        b"\xd9\xa3",
    ),
)
"""What readers of text have stumbled over: controls, marks of formats, numbers, parts of UTF-8, digits that are not 0 to 9."""
TEXT = "The cat sleeps .\nUn été à l’école\nA dog , a house\n"
LINKS = (
    "0-0 1p0 1-2\n\n2-1\n",
    "0-0:0.93 1?0:.5\n\n2-1:1e-05\n",
    "7\t\n9\t2-1\n3\t0-0 1p0\n",
    "1 0 0 S\n1 1 0 P\n3 2 1 S\n",
    "a b c\td e f\t0-0 1p0 1-2\t\na b c\td e f\t\na b c\td e f\t2-1\n",
    "src\tlinks\tnote\nx\t0-0 1p0\tn\nx\t\tn\nx\t2-1\tn\n",
)
TMX = (
    '<?xml version="1.0"?><tmx version="1.4"><header srclang="en"/><body><tu><tuv xml:lang="en"><seg>A cat</seg></tuv>'
    '<tuv xml:lang="fr"><seg>Un <bpt i="1"/>chat</seg></tuv></tu></body></tmx>'
)


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Return the bytes after one to four random cuts, doublings, swaps, changed bytes or added pieces."""
    for _ in range(rng.integers(1, 5)):
        start, end = sorted(rng.integers(0, len(data) + 1, size=2).tolist())
        end = min(end, start + int(rng.integers(1, 40)))
        part, piece = data[start:end], PIECES[rng.integers(len(PIECES))]
        flipped = bytes(byte ^ (1 << int(rng.integers(8))) for byte in part[:1]) + part[1:]
        data = data[:start] + (b"", part * 2, part[::-1], flipped, piece, piece + part)[rng.integers(6)] + data[end:]
    return data


def _parquet() -> bytes:
    packed = BytesIO()
    pq.write_table(pa.table({"src": TEXT.splitlines(), "tgt": TEXT.splitlines()}), packed)
    return packed.getvalue()


def _table(path: Path) -> object:
    return table_file(str(path), src_lang="en", tgt_lang="fr")


def _parallel(path: Path) -> object:
    return parallel_files([str(path)], [str(path)])


def _links(path: Path) -> object:
    return read_links_file(path, LinkForm(), lengths=[(3, 3)] * 3)


def _params(path: Path) -> object:
    return load_params(path, check_paths=False)


def kinds() -> dict[str, tuple[Callable[[Path], object], str, list[bytes]]]:
    """Return for each kind of file its reader, its suffix and valid files to damage."""
    rows = ["src\ttgt\na b\tc d\n", "a b\tc d\ne\tf\n"]
    jsonl = [{"src": "a b", "tgt": "c d"}, {"translation": {"en": "a b", "fr": "c d"}}]
    text = TEXT.encode()
    return {
        "parallel text": (_parallel, ".txt", [text, TEXT.encode("utf-16"), TEXT.encode("latin-1", "replace")]),
        "packed text": (_parallel, ".txt.gz", [gzip.compress(text, mtime=0)]),
        "tsv": (_table, ".tsv", [row.encode() for row in rows]),
        "jsonl": (_table, ".jsonl", [(json.dumps(row) + "\n").encode() * 2 for row in jsonl]),
        "parquet": (_table, ".parquet", [_parquet()]),
        "tmx": (_table, ".tmx", [TMX.encode()]),
        "dictionary": (read_lexicon, ".txt", ["chat cat\nété summer\na b\tc\n".encode()]),
        "gold links": (_links, ".links", [links.encode() for links in LINKS]),
        "parameters": (_params, ".yaml", [Path("params/demo.yaml").read_bytes()]),
    }


def _stop(*_: object) -> None:
    raise TimeoutError


def read(reader: Callable[[Path], object], path: Path) -> str:
    """Return `accepted`, `refused`, or what else came of the reader."""
    signal.alarm(LIMIT)
    try:
        reader(path)
    except PipelineError as error:
        return "refused" if str(error).strip() else "a refusal without a word"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
        return f"{type(error).__name__}: {error}"[:200]
    finally:
        signal.alarm(0)
    return "accepted"


def fuzz(n: int, seed: int, folder: Path, only: str | None = None) -> dict[str, Counter[str]]:
    """Return for each kind how often each outcome came of `n` damaged files; files that were faults stay in the folder."""
    signal.signal(signal.SIGALRM, _stop)
    counts: dict[str, Counter[str]] = {}
    for at, (kind, (reader, suffix, valid)) in enumerate(kinds().items()):
        if only not in (None, kind):
            continue
        rng = np.random.default_rng([seed, at])
        counts[kind] = Counter()
        for i in range(n):
            path = folder / f"{kind.replace(' ', '-')}-{i}{suffix}"
            path.write_bytes(damage(valid[rng.integers(len(valid))], rng))
            outcome = read(reader, path)
            counts[kind][outcome] += 1
            if outcome in ("accepted", "refused"):
                path.unlink()
            else:
                sys.stdout.write(f"FAULT {path}: {outcome}\n")
        told = counts[kind]
        good, refused = told["accepted"], told["refused"]
        sys.stdout.write(f"| {kind} | {n} | {good} | {refused} | {n - good - refused} |\n")
        sys.stdout.flush()
    return counts


def main() -> None:
    """Run it, keep the faults in a folder of their own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2500, help="files a kind")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--kind", default=None)
    arguments = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fuzz(arguments.n, arguments.seed, Path(tempfile.mkdtemp(prefix="fuzz-")), arguments.kind)


if __name__ == "__main__":
    main()
