"""Messages about translators and their choices: what they tell the user to do is done, and then it works."""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.cli import main
from tests.pipeline.test_attention_families import BART, BERT, DISTIL, LLAMA, T5, tokenizer  # noqa: F401 - a fixture
from tests.pipeline.test_remedies import demo, main_ok, refused

SHAPES = {
    "llama": LLAMA, "mistral4": LLAMA, "bert": BERT, "ernie": BERT, "distilbert": DISTIL, "blenderbot": BART, "longt5": T5,
    "albert": BERT | {"embedding_size": 8},
}  # fmt: skip


@pytest.fixture(scope="module")
def models(tokenizer, tmp_path_factory):
    """A folder of tiny models, each under the name of its family."""
    from transformers import AutoConfig, AutoModel, AutoModelForSeq2SeqLM

    root = tmp_path_factory.mktemp("all") / "models"
    for family, shape in SHAPES.items():
        torch.manual_seed(0)
        auto = AutoModelForSeq2SeqLM if shape in (BART, T5) else AutoModel
        auto.from_config(AutoConfig.for_model(family, **shape)).save_pretrained(root / family)
        tokenizer.save_pretrained(root / family)
    return root


@pytest.fixture
def home(models, tmp_path, monkeypatch):
    """Change to a folder with the models and a text."""
    (tmp_path / "models").mkdir()
    for path in models.iterdir():
        shutil.copytree(path, tmp_path / path.name)
    (tmp_path / "text").write_text("a b c ||| d e\nb ||| f g\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def align(spec: dict[str, Any], **changes: Any) -> list[list[list[int]]]:
    """Return the links that an entry of params.yaml gives."""
    from pipeline import align as links_of
    from pipeline.use.translators import open_translator

    Path("params.yaml").write_text(json.dumps(demo(translators={"own": spec}, **changes)), encoding="utf-8")
    opened = open_translator("own", changes.get("corpus", {}).get("pair", "en-fr"), params="params.yaml")
    return [pair.links.tolist() for pair in links_of(opened, ["a b c", "b"], ["d e", "f g"])]


ALIGN = ["align", "--text", "text", "--out", "links", "--translator"]


@pytest.mark.parametrize(
    ("typed", "match"),
    [
        (["llama"], r"cannot be told for sure .*; add (--reads prompt)$"),
        (["llama", "--reads", "joint"], r"a language model .*got 'joint'; set (reads: prompt)$"),
        (["llama", "--reads", "cross"], r"a language model .*got 'cross'; set (reads: prompt)$"),
        (["./bert", "--reads", "prompt"], r"is one encoder, .*got 'prompt'; set (reads: joint)$"),
        (["./blenderbot", "--reads", "joint"], r"an encoder-decoder, .*got 'joint'; set (reads: cross)$"),
    ],
)
def test_how_a_model_is_read(home, capsys, typed, match):
    typed = [f"./{typed[0].removeprefix('./')}", *typed[1:]]
    with pytest.raises(SystemExit):
        main([*ALIGN, *typed])
    said = re.search(match, capsys.readouterr().err.strip())[1]
    reads = said.split()[-1]
    if "blenderbot" in typed[0]:  # the next thing that is said: its family is not known
        refused(lambda: align({"model": typed[0], "reads": reads}), r"the family must be one of")
        return
    main_ok([*ALIGN, typed[0], "--reads", reads])
    assert Path("links").read_text(encoding="utf-8").count("\n") == 2


@pytest.mark.parametrize(
    ("family", "reads"), [("ernie", "joint"), ("blenderbot", "cross"), ("mistral4", "prompt"), ("longt5", "cross")]
)
def test_an_unknown_family_is_said_and_near_names_are_tried(home, family, reads):
    spec = {"model": f"./{family}", "reads": reads}
    message = refused(lambda: align(spec), rf"the family must be one of .* got '{family}'; say where its attention is")
    (module,) = re.findall(r"family: {module: '(.*)'}, say$", message)
    names = [module]
    if family == "longt5":  # of another make than the example
        message = refused(lambda: align(spec | {"family": {"module": module}}), r"; near names: ")
        names = message.partition("near names: ")[2].split(", ")
    for name in names:
        assert len(align(spec | {"family": {"module": name}})) == 2


@pytest.mark.parametrize(
    ("family", "own", "cross"),
    [
        ("longt5", "decoder.block.{layer}.layer.0.SelfAttention", "decoder.block.{layer}.layer.1.EncDecAttention"),
        ("blenderbot", "decoder.layers.{layer}.self_attn", "decoder.layers.{layer}.encoder_attn"),
        ("blenderbot", "encoder.layers.{layer}.self_attn", "decoder.layers.{layer}.encoder_attn"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_self_attention_of_a_decoder_is_not_taken_for_what_is_read(home, family, own, cross, dtype):
    """Source and target have as many tokens here, so that the shapes of its maps would fit."""
    spec, settings = {"model": f"./{family}", "reads": "cross"}, {"extract": {"dtype": dtype}}
    refused(
        lambda: align(spec | {"family": {"module": own}}, **settings),
        r"family\.module: (must be attention to the 2 tokens .* layer 1 looks at 3; name the decoder's attention to the encoder"
        r"|must name a module of each)",
    )
    assert len(align(spec | {"family": {"module": cross}}, **settings)) == 2


def test_a_model_without_a_module_for_each_layer_has_no_near_names(home):
    spec = {"model": "./albert", "reads": "joint", "family": {"module": "encoder.layer.{layer}.attention.self"}}
    refused(lambda: align(spec), r"no other name is that of each layer; name another model$")
    assert align({"model": "./bert", "reads": "joint"})


@pytest.mark.parametrize(
    ("family", "bad", "match", "remedy"),
    [
        ("distilbert", {"positions": "restart"}, r"has none that can be set; use 'continue'$", {"positions": "continue"}),
        ("bert", {"src_code": "en"}, r"only reads: cross has language codes.*leave it out", {"src_code": None}),
        ("bert", {"family": {"module": "encoder.layers.{layer}.attention.self"}}, r"near names: encoder\.layer\.{layer}\.attention\.self",
         {"family": {"module": "encoder.layer.{layer}.attention.self"}}),
        ("llama", {"reads": "prompt", "shots": 2}, r"shots: must be 0 .*set it to 0$", {"shots": 0}),
    ],
)  # fmt: skip
def test_of_an_entry(home, family, bad, match, remedy):
    spec = {"model": f"./{family}", "reads": "joint"} | bad
    refused(lambda: align(spec), match)
    assert align(spec | remedy)


def test_a_device_that_is_not_there(home, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    spec = {"model": "./bert", "reads": "joint"}
    message = refused(lambda: align(spec, extract={"device": "cuda"}), r"there is none; set it to 'auto' or 'cpu'$")
    for device in re.findall(r"'(\w+)'", message.partition("set it to")[2]):
        assert align(spec, extract={"device": device})


def test_a_model_without_padding_gets_the_key_that_is_named(home):
    for name in ("config.json", "tokenizer_config.json"):
        path = home / "bert" / name
        kept = {key: value for key, value in json.loads(path.read_text()).items() if not re.search("pad_|eos_", key)}
        path.write_text(json.dumps(kept | {"pad_token_id": None} if name == "config.json" else kept))
    spec = {"model": "./bert", "reads": "joint"}
    refused(lambda: align(spec), r"must have a padding or an end token.*add pad_token_id to its config\.json$")
    config = json.loads((home / "bert" / "config.json").read_text())
    (home / "bert" / "config.json").write_text(json.dumps(config | {"pad_token_id": 1}))
    assert align(spec)


@pytest.mark.parametrize("name", ["bert", "my bert", "models/bert"])
def test_old_weights_are_converted_beside_their_own(home, name):
    from safetensors.torch import load_file

    folder = home / name
    if name != "bert":
        (home / "bert").rename(folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    (folder / "notes.md").write_text("mine")
    message = refused(
        lambda: align({"model": f"./{name}", "reads": "joint"}), r"convert them with `python -m pipeline convert"
    )
    assert "revision" not in message, "a folder has none"
    (command,) = re.findall(r"`python -m pipeline (.*)`", message)
    (model,) = re.findall(r"set model: (.*)$", message)
    main_ok(shlex.split(command))
    assert align({"model": f"./{model}", "reads": "joint"})
    assert {"pytorch_model.bin", "notes.md"} <= {path.name for path in folder.iterdir()}
    refused(lambda: convert_into(name, name), r"target: a folder beside that of the model, .*name another$")
    refused(lambda: convert_into(name, "."), r"target: a new folder, or one with a model, .*name another$")


def convert_into(name: str, target: str) -> None:
    from pipeline.attention.convert import convert

    convert(name, target)


def test_a_code_holds_where_the_message_says(home, monkeypatch):
    """Codes of an entry are those of corpus.pair's languages: for another text it is corpus.pair that must change."""
    from pipeline.attention import languages
    from pipeline.params import Translator

    codes = ["en_XX", "fr_XX"]
    entry = Translator(model="./m", reads="cross", tgt_code="fr_XX")

    def code(own: str) -> str:
        said = entry.for_pair("en-br", own)
        return languages._fitting("m", "tgt_code", codes, said.tgt_code, "br")

    message = refused(
        lambda: code("en-fr"), r"none fits corpus.pair's 'br'; set tgt_code to \w+, .*where corpus\.pair has 'br'$"
    )
    assert "fr_XX" in message and code("en-br") == "fr_XX"


@pytest.fixture(scope="module")
def opened(project):
    from pipeline.use.translators import open_translator

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        return {name: open_translator(name) for name in ("mini-marian", "mini-mbert")}


@pytest.mark.parametrize(
    ("name", "said", "match", "key"),
    [
        ("mini-mbert", {"view": "output_step"}, r"view: this translator has (.*), but", "view"),
        ("mini-marian", {"view": "src_to_tgt"}, r"view: this translator has (.*), but", "view"),
        ("mini-mbert", {"states": "encoder"}, r"states: this translator has (.*), but", "states"),
        ("mini-marian", {"states": "alone"}, r"states: this translator has (.*), but", "states"),
        ("mini-marian", {"layer": 99}, r"layer: must be from (\d+ to \d+) for", "layer"),
        ("mini-mbert", {"layer": -1}, r"layer: must be from (\d+ to \d+) for", "layer"),
        ("mini-mbert", {"origin": "attention", "head": 99}, r"head: must be from (\d+ to \d+) for", "head"),
        ("mini-mbert", {"method": "argmx"}, r"method: must be one of (.*), for states", "method"),
        ("mini-mbert", {"origin": "attentoin"}, r"from: must be (attention or states), but", "origin"),
    ],
)
def test_every_choice_that_is_named_can_be_chosen(opened, name, said, match, key):
    from pipeline import align as links_of
    from pipeline.use.choice import Ask

    def links(**ask: Any) -> int:
        return len(list(links_of(opened[name], ["The dog barks."], ["Le chien aboie."], ask=Ask(**ask))))

    listed = re.search(match, refused(lambda: links(**said), match))[1]
    choices: list[Any] = re.split(r", | or ", listed)
    if found := re.fullmatch(r"(\d+) to (\d+)", listed):
        choices = [int(found[1]), int(found[2])]
    for choice in choices:
        assert links(**said | {key: choice}) == 1, choice


@pytest.mark.parametrize("left", [{"origin": "attention"}, {"states": "together"}])
def test_choices_that_do_not_go_together_are_left_out(left):
    from pipeline.use.choice import Ask

    both = {"origin": "attention", "states": "together"}
    refused(lambda: Ask(**both), r"it is attention with states; leave one of them out$")
    assert Ask(**left)


def test_a_pair_that_cannot_be_read_has_no_links_with_align(opened):
    from pipeline import align as links_of
    from pipeline import read

    texts = ["The dog barks.", " "], ["Le chien aboie.", "x"]
    refused(lambda: read(opened["mini-mbert"], *texts), r"leave it out, or call align, which gives it no links$")
    assert [len(pair.links) > 0 for pair in links_of(opened["mini-mbert"], *texts)] == [True, False]
    assert len(read(opened["mini-mbert"], *([side[0]] for side in texts))) == 1
    refused(lambda: read(opened["mini-mbert"], "The dog barks.", ["Le chien aboie."]), r"put the sentence in a list$")
    (pair,) = read(opened["mini-mbert"], ["The dog barks."], ["Le chien aboie."])
    refused(lambda: pair.heads, r"call read\(\.\.\., heads=True\)$")
    assert read(opened["mini-mbert"], "The dog barks.", "Le chien aboie.", heads=True).heads.ndim == 5


@pytest.mark.parametrize(
    ("typed", "match", "then"),
    [
        (["The dog barks."], r"SENTENCE, TRANSLATION: must be both typed.*type both", ["The dog barks.", "Le chien aboie."]),
        (["The dog barks."], r"SENTENCE, TRANSLATION: .*or name --src and --tgt, or --text$", ["--text", "text"]),
        (["The dog barks.", " "], r"at least one pair must be one that every translator can read", ["The dog barks.", "Le chien."]),
        (["--src", "a"], r"--src, --tgt, --text: .*name --src and --tgt, or --text$", ["--src", "a", "--tgt", "b"]),
        (["--src", "a"], r"--src, --tgt, --text: .*name --src and --tgt, or --text$", ["--text", "text"]),
        (["a", "b", "--reads", "joint"], r"is an entry of the parameter file.*leave them out$", ["a", "b"]),
        (["a", "b", "--pair", "english"], r"languages: must be two codes.*write en-fr, say$", ["a", "b", "--pair", "en-fr"]),
        (["a", "b", "--out", "no/page.html"], r"--out: must be a file that can be written.*name another$", ["a", "b", "--out", "other.html"]),
    ],
)  # fmt: skip
def test_of_explore(project, tmp_path, monkeypatch, capsys, typed, match, then):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(project / "data")
    for name, text in {"a": "The dog barks.", "b": "Le chien aboie.", "text": "The dog. ||| Le chien."}.items():
        (tmp_path / name).write_text(f"{text}\n", encoding="utf-8")
    shutil.copy(project / "params" / "demo.yaml", "params.yaml")
    common = ["explore", "--translator", "mini-mbert", "--out", "page.html"]
    with pytest.raises(SystemExit) as ended:
        main([*common, *typed])
    assert ended.value.code == 1 and re.search(match, capsys.readouterr().err.strip())
    main_ok([*common, *then])
