r"""How many word links err, and how many sentences a second are aligned, beside simalign and awesome-align.

One encoder (multilingual-e5-small of ../shared/data), the 447 hand-aligned Hansards pairs, layer 8, each sentence by itself, one
process: tools take turns, models are loaded before, and of each the fastest turn counts, for other work on a machine only ever
slows one down. One JSON object: per tool and method the alignment error in %, sentences a second by the clock and a second of
processor time, and where the method is the same, the share of our links that are its links too.

simalign and awesome-align are no part of the project. Their packages go into a folder of their own, without what they ask for
(years-old versions of what the project has):

    pip install --no-deps --target work/peers simalign==0.4 awesome-align==0.1.7 \
        scikit-learn joblib threadpoolctl narwhals boto3 botocore jmespath s3transfer
    python benchmarks/bench_aligners.py [--rounds 3] [--threads N] [--pairs 447]

simalign runs as it is. awesome-align has its own copy of BERT and of WordPiece, and knows nothing of safetensors or of
SentencePiece: it is given the same weights as a state dictionary, and a tokeniser with the four members that it calls.
Its method (softmax over sub-words, both ways, above .001) is not one of ours; `softmax_threshold` comes nearest.
"""

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
PEERS = ROOT / "work" / "peers"
ENCODER, HANSARDS = SHARED / "models" / "multilingual-e5-small", SHARED / "gold" / "hansards"
LAYER, BATCH = 8, 32
OURS = {"mutual argmax": "intersection_raw", "itermax": "itermax_raw", "softmax": "softmax_threshold_raw"}
SIMALIGN = {"mutual argmax": ("a", "inter"), "itermax": ("i", "itermax")}
Sentences = list[list[str]]
Links = list[set[tuple[int, int]]]


def ours(method: str) -> Callable[[Sentences, Sentences], Links]:
    """Return the project's aligner, as `python -m pipeline align` calls it."""
    from pipeline import Ask, align, open_translator

    opened = open_translator(str(ENCODER), "en-fr")
    ask = Ask(states="alone", layer=LAYER, method=OURS[method])

    def run(src: Sentences, tgt: Sentences) -> Links:
        sides = ([" ".join(words) for words in side] for side in (src, tgt))
        return [{(i, j) for i, j in pair.links.tolist()} for pair in align(opened, *sides, ask=ask, pretokenised=True)]

    return run


def simalign(method: str, token_type: str) -> Callable[[Sentences, Sentences], Links]:
    """Return simalign's aligner; `bpe` links sub-words first, its default, `word` the means of their vectors."""
    from simalign import SentenceAligner

    letter, name = SIMALIGN[method]
    aligner = SentenceAligner(str(ENCODER), token_type=token_type, matching_methods=letter, layer=LAYER)

    def run(src: Sentences, tgt: Sentences) -> Links:
        return [set(aligner.get_word_aligns(s, t)[name]) for s, t in zip(src, tgt, strict=True)]

    return run


class Tokens:
    """What awesome-align calls of a tokeniser, answered by today's; its own reads WordPiece only."""

    max_len = 512

    def __init__(self) -> None:
        from transformers import AutoTokenizer

        self.own = AutoTokenizer.from_pretrained(ENCODER)
        self.tokenize = self.own.tokenize
        self.convert_tokens_to_ids = self.own.convert_tokens_to_ids
        self.pad_token_id = self.own.pad_token_id

    def prepare_for_model(self, ids: list[int], **_: object) -> dict:
        """Return the ids between the first and the last token, in a batch of one."""
        import torch

        return {"input_ids": torch.tensor([[self.own.cls_token_id, *ids, self.own.sep_token_id]])}


def awesome_align() -> Callable[[Sentences, Sentences], Links]:
    """Return awesome-align's aligner with the encoder's weights in its own copy of BERT."""
    import torch
    from awesome_align import modeling
    from awesome_align.configuration_bert import BertConfig
    from awesome_align.run_align import LineByLineTextDataset
    from safetensors.torch import load_file
    from torch.nn.utils.rnn import pad_sequence

    tokens = Tokens()
    modeling.PAD_ID, modeling.CLS_ID, modeling.SEP_ID = (
        tokens.pad_token_id,
        tokens.own.cls_token_id,
        tokens.own.sep_token_id,
    )
    model = modeling.BertForMaskedLM(BertConfig.from_pretrained(str(ENCODER)))
    weights = {key: value.float() for key, value in load_file(ENCODER / "model.safetensors").items()}
    missing, unexpected = model.bert.load_state_dict(weights, strict=False)
    if missing or set(unexpected) - {"embeddings.position_ids"}:
        message = f"the copy of BERT has other weights: {missing} are missing, {unexpected} are too many"
        raise RuntimeError(message)
    model.eval()
    rows = object.__new__(LineByLineTextDataset)  # without its file
    rows.tokenizer = tokens

    def run(src: Sentences, tgt: Sentences) -> Links:
        lines = [f"{' '.join(s)} ||| {' '.join(t)}" for s, t in zip(src, tgt, strict=True)]
        found: Links = []
        for start in range(0, len(lines), BATCH):
            batch = [rows.process_line(0, line) for line in lines[start : start + BATCH]]
            ids = [
                pad_sequence([row[side] for row in batch], batch_first=True, padding_value=modeling.PAD_ID)
                for side in (1, 2)
            ]
            maps = [[row[side] for row in batch] for side in (3, 4)]
            with torch.no_grad():
                found += model.get_aligned_word(*ids, *maps, "cpu", 0, 0, align_layer=LAYER, test=True)
        return found

    return run


def turns(tools: dict[str, Callable], src: Sentences, tgt: Sentences, rounds: int) -> dict[str, dict[str, object]]:
    """Return the links of every tool and its fastest turn, there and back."""
    found: dict[str, dict[str, object]] = {name: {"wall": [], "processor": []} for name in tools}
    for run in tools.values():
        run(src[:BATCH], tgt[:BATCH])
    for turn in range(rounds):
        for name in list(tools)[:: 1 if turn % 2 == 0 else -1]:
            wall, processor = time.perf_counter(), time.process_time()
            links = tools[name](src, tgt)
            found[name]["wall"].append(time.perf_counter() - wall)
            found[name]["processor"].append(time.process_time() - processor)
            if found[name].setdefault("links", links) != links:
                message = f"{name}: other links in another turn"
                raise RuntimeError(message)
    return found


def error_rate(links: Links, gold: list, folder: Path) -> float:
    """Return the alignment error in %, by the project's own command on Pharaoh files."""
    from pipeline.alignment.gold import compare_files
    from pipeline.corpus.pharaoh import LinkForm

    path = folder / "links"
    path.write_text("".join(" ".join(f"{i}-{j}" for i, j in sorted(row)) + "\n" for row in links), encoding="utf-8")
    kept = folder / "gold"
    kept.write_text("".join(f"{row}\n" for row in gold), encoding="utf-8")
    return compare_files(kept, path, gold_form=LinkForm(1), links_form=LinkForm()).scores()["aer"]


def compare(n: int, rounds: int) -> dict[str, object]:
    """Return one row a tool and method."""
    from tempfile import TemporaryDirectory

    tools: dict[str, Callable] = {f"ours, {method}": ours(method) for method in OURS}
    for method in SIMALIGN:
        tools |= {f"simalign {unit}, {method}": simalign(method, unit) for unit in ("word", "bpe")}
    tools["awesome-align, softmax"] = awesome_align()
    lines = (HANSARDS / "enfr.src-tgt").read_text(encoding="utf-8").splitlines()[:n]
    gold = (HANSARDS / "enfr.gold").read_text(encoding="utf-8").splitlines()[:n]
    src, tgt = ([line.split(" ||| ")[side].split() for line in lines] for side in (0, 1))
    found = turns(tools, src, tgt, rounds)
    rows: dict[str, dict[str, object]] = {}
    with TemporaryDirectory() as folder:
        for name, one in found.items():
            own = found[f"ours, {name.split(', ')[1]}"]["links"]
            same = sum(len(a & b) for a, b in zip(own, one["links"], strict=True)) / sum(map(len, own))
            rows[name] = {
                "aer": round(error_rate(one["links"], gold, Path(folder)), 2),
                "sentences_per_second": round(n / min(one["wall"]), 1),
                "sentences_per_processor_second": round(n / min(one["processor"]), 1),
                "share_of_our_links": round(same, 4),
            }
    return rows


def main() -> None:
    """Run the comparison, or say what it lacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each tool")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 is its own choice")
    parser.add_argument("--pairs", type=int, default=447, help="the first so many of the Hansards pairs")
    options = parser.parse_args()
    sys.path[:0], sys.path[len(sys.path) :] = [str(ROOT)], [str(PEERS)]
    lacks = [name for name in ("simalign", "awesome_align") if importlib.util.find_spec(name) is None]
    lacks += [] if ENCODER.is_dir() else [str(ENCODER)]
    if lacks:
        print(
            json.dumps(
                {
                    "benchmark": "aligners",
                    "not_run": f"{', '.join(lacks)} missing: see the top of {Path(__file__).name}",
                }
            )
        )
        return
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    rows = compare(options.pairs, options.rounds)
    result = {"benchmark": "aligners", "n_pairs": options.pairs, "threads": torch.get_num_threads(), "tools": rows}
    print(json.dumps(result, sort_keys=True))


if __name__ == "__main__":
    main()
