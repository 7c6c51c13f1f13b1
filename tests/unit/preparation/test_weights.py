"""Encoder weights: seeded and labelled when random, taken whole from a file or refused by name."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from segpipe.layers.encoders import IMAGENET_MEAN, IMAGENET_STD
from segpipe.params import Weights
from segpipe.preparation.weights import RANDOM_LABEL, fetch

ROOT = Path(__file__).parents[3]
SMALL = {"smp": "timm-mobilenetv3_small_minimal_100", "timm": "test_resnet"}
BOTH = pytest.mark.parametrize("library", ["smp", "timm"])


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def published_state(library: str, seed: int, **options: Any) -> dict[str, Tensor]:
    """What a person would save: the state dict of the library's own encoder, without a classifier."""
    torch.manual_seed(seed)
    if library == "smp":
        from segmentation_models_pytorch import encoders

        return dict(encoders.get_encoder(SMALL[library], weights=None).state_dict())
    import timm

    return dict(timm.create_model(options.pop("name", SMALL[library]), **{"num_classes": 0, **options}).state_dict())


def settings(library: str, source: dict[str, Any], **changes: Any) -> Weights:
    return Weights.model_validate({"library": library, "encoder": SMALL[library], "source": source, **changes})


def fetched(name: str, wanted: Weights) -> tuple[dict[str, Tensor], dict[str, Any]]:
    fetch(name, wanted)
    path = Path(f"data/weights/{name}.safetensors")
    with safe_open(path, framework="pt") as file:
        return load_file(path), json.loads(file.metadata()["facts"])


def refused(source: dict[str, Any], library: str = "timm", **changes: Any) -> str:
    """What fetching these says; it must leave nothing."""
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        fetch("mine", settings(library, source, **changes))
    assert not Path("data/weights").exists() or not list(Path("data/weights").iterdir())
    message = str(error.value)
    assert len(message.splitlines()) <= 3
    return message


def saved(content: Any, path: Path) -> dict[str, Any]:
    """The file as the source of weights."""
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    return {"kind": "file", "path": str(path)}


def are_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@BOTH
def test_random_weights_come_from_their_seed_and_say_that_they_are_random(library: str) -> None:
    first, header = fetched("first", settings(library, {"kind": "random"}, seed=3))
    again, _ = fetched("again", settings(library, {"kind": "random"}, seed=3))
    other, _ = fetched("other", settings(library, {"kind": "random"}, seed=4))
    assert are_equal(first, published_state(library, 3))
    assert are_equal(first, again)
    assert not are_equal(first, other)
    assert Path("data/weights/first.safetensors").read_bytes() == Path("data/weights/again.safetensors").read_bytes()
    assert header == {
        "library": library,
        "encoder": SMALL[library],
        "origin": "random, seed 3",
        "label": RANDOM_LABEL,
        "mean": list(IMAGENET_MEAN),
        "std": list(IMAGENET_STD),
    }


def test_random_weights_leave_the_generator_of_others_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    fetch("mine", settings("timm", {"kind": "random"}, seed=3))
    assert torch.equal(torch.rand(3), expected)


@BOTH
@pytest.mark.parametrize("form", ["safetensors", "pth"])
def test_a_file_is_taken_weight_by_weight(library: str, form: str, tmp_path: Path) -> None:
    state, path = published_state(library, 11), tmp_path / f"mine.{form}"
    if form == "pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    taken, header = fetched("mine", settings(library, {"kind": "file", "path": str(path)}, seed=1))
    assert are_equal(taken, state)
    assert (header["origin"], header["label"]) == (f"file mine.{form}", "")


def test_the_normalisation_of_the_params_wins() -> None:
    wanted = settings("timm", {"kind": "random"}, mean=[0.5, 0.25, 0.125], std=[1, 2.0, 4.0])
    _, header = fetched("mine", wanted)
    assert (header["mean"], header["std"]) == ([0.5, 0.25, 0.125], [1, 2, 4])


def test_a_file_that_is_not_there_is_named_with_its_setting() -> None:
    assert refused({"kind": "file", "path": "nowhere/mine.pth"}) == (
        "weights 'mine': no file nowhere/mine.pth. Correct weights.mine.source.path in params.yaml"
    )


def test_missing_and_unexpected_keys_are_named(tmp_path: Path) -> None:
    state = published_state("timm", 0)
    gone = sorted(state)[:2]
    for key in gone:
        del state[key]
    extra = {f"head.{n}": torch.zeros(1) for n in range(5)}
    message = refused(saved({**state, **extra}, tmp_path / "mine.safetensors"))
    assert message == (
        "weights 'mine': mine.safetensors is no state dict of timm 'test_resnet': "
        f"2 keys missing ({gone[0]}, {gone[1]}), 5 unexpected (head.0, head.1, head.2, …).\n"
        "Name the encoder that the file was saved from, or, if that is how it should be, "
        "weights.mine.source.allow: {missing: […], unexpected: […]}"
    )


def test_what_is_allowed_may_be_there_and_is_left_out(tmp_path: Path) -> None:
    """DINOv2's own files hold a `mask_token`, which timm's network has no use for."""
    state = published_state("timm", 5)
    extra = {"mask_token": torch.zeros(1), "decoder.0.weight": torch.zeros(2), "decoder.1.bias": torch.zeros(2)}
    source = saved({**state, **extra}, tmp_path / "mine.pth")
    assert "3 unexpected (decoder.0.weight, decoder.1.bias, mask_token)" in refused(source)
    only_one = {**source, "allow": {"unexpected": ["decoder.*"]}}
    assert "1 unexpected (mask_token)" in refused(only_one)
    taken, header = fetched("mine", settings("timm", {**source, "allow": {"unexpected": ["decoder.*", "mask_token"]}}))
    assert are_equal(taken, state)
    assert header["label"] == ""


def test_what_is_allowed_to_be_missing_is_random_and_the_weights_say_so(tmp_path: Path) -> None:
    state = published_state("timm", 5)
    gone = sorted(key for key in state if key.startswith("layer4."))
    source = saved({key: value for key, value in state.items() if key not in gone}, tmp_path / "mine.pth")
    assert f"{len(gone)} keys missing ({gone[0]}, " in refused(source)
    source["allow"] = {"missing": ["layer4.*"]}
    taken, header = fetched("mine", settings("timm", source, seed=3))
    random = published_state("timm", 3)
    assert are_equal(taken, {key: random[key] if key in gone else state[key] for key in state})
    assert header["label"] == f"{len(gone)} of {len(state)} tensors are random"


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext"])
def test_the_classifier_of_a_whole_network_is_left_out_unasked(name: str, tmp_path: Path) -> None:
    whole = published_state("timm", 5, name=name, num_classes=7)
    taken, _ = fetched("mine", settings("timm", saved(whole, tmp_path / "mine.pth"), encoder=name))
    assert taken.keys() == published_state("timm", 0, name=name).keys() < whole.keys()
    assert are_equal(taken, {key: whole[key] for key in taken})


def test_torchvisions_classifier_is_left_out_of_smps_encoder(tmp_path: Path) -> None:
    from segmentation_models_pytorch import encoders

    torch.manual_seed(5)
    state = dict(encoders.get_encoder("resnet18", weights=None).state_dict())
    source = saved({**state, "fc.weight": torch.zeros(9, 512), "fc.bias": torch.zeros(9)}, tmp_path / "mine.pth")
    taken, _ = fetched("mine", settings("smp", source, encoder="resnet18"))
    assert are_equal(taken, state)


@pytest.mark.parametrize(
    ("entry", "prefix", "place"),
    [
        (None, "module.", "module"),
        ("state_dict", "", "state_dict"),
        ("model", "", "model"),
        ("state_dict", "model.encoder.", "state_dict.model.encoder"),
    ],
)
def test_a_training_checkpoint_is_searched_for_the_encoder(
    entry: str | None, prefix: str, place: str, tmp_path: Path
) -> None:
    state = published_state("timm", 5)
    held: dict[str, Any] = {f"{prefix}{key}": value for key, value in state.items()}
    if entry:
        held = {entry: held, "epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.zeros(1)}}, "param_groups": []}}
    taken, header = fetched("mine", settings("timm", saved(held, tmp_path / "mine.pth")))
    assert are_equal(taken, state)
    assert header["origin"] == f"file mine.pth, under {place}"


def test_what_lies_beside_the_encoder_in_the_same_state_dict_is_named(tmp_path: Path) -> None:
    held = {f"backbone.{key}": value for key, value in published_state("timm", 5).items()}
    source = saved({**held, "decode_head.weight": torch.zeros(1)}, tmp_path / "mine.pth")
    assert "1 unexpected (decode_head.weight)" in refused(source)
    fetch("mine", settings("timm", {**source, "allow": {"unexpected": ["decode_head.*"]}}))


def test_two_state_dicts_in_one_file_are_not_chosen_between(tmp_path: Path) -> None:
    state = published_state("timm", 5)
    message = refused(saved({"model": state, "model_ema": state}, tmp_path / "mine.pth"))
    assert "mine.pth holds 2 state dicts of this encoder, under model, model_ema: one was expected" in message


@pytest.mark.parametrize("content", [torch.zeros(3), [torch.zeros(3)], 7])
def test_a_file_of_something_else_is_refused_by_its_type(content: Any, tmp_path: Path) -> None:
    message = refused(saved(content, tmp_path / "mine.pth"))
    assert f"it is of type {type(content).__name__}" in message


def test_a_file_without_any_weights_of_the_encoder_is_refused(tmp_path: Path) -> None:
    total = len(published_state("timm", 0))
    assert f"{total} keys missing" in refused(saved({"epoch": 3}, tmp_path / "mine.pth"))


def test_the_same_keys_of_other_shapes_are_refused_by_name(tmp_path: Path) -> None:
    """A transformer for another image size has the keys of this one: only its position embedding differs."""
    save_file(published_state("timm", 0, name="test_vit", img_size=96), tmp_path / "mine.safetensors")
    message = refused({"kind": "file", "path": str(tmp_path / "mine.safetensors")}, encoder="test_vit")
    assert "mine.safetensors" in message
    assert "pos_embed" in message


@pytest.mark.parametrize("form", ["safetensors", "pth"])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"mine.{form}"
    if form == "pth":
        torch.save(published_state("timm", 0), path)
    else:
        save_file(published_state("timm", 0), path)
    path.write_bytes(path.read_bytes()[:1000])
    assert f"mine.{form}" in refused({"kind": "file", "path": str(path)})


class Trap:
    """Unpickled carelessly, it would run a command."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("sprung",)


def test_a_file_that_carries_code_is_refused_without_running_it(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(pickle.dumps({"weights": Trap()}))
    assert "mine.pth" in refused({"kind": "file", "path": str(tmp_path / "mine.pth")})
    assert not Path("sprung").exists()


@BOTH
def test_an_encoder_that_does_not_exist_is_named(library: str) -> None:
    assert "no_such_net" in refused({"kind": "random"}, library, encoder="no_such_net")


def test_a_timm_model_may_be_named_with_the_tag_of_its_weights() -> None:
    tagged, _ = fetched("mine", settings("timm", {"kind": "random"}, encoder="test_resnet.r160_in1k", seed=3))
    assert are_equal(tagged, published_state("timm", 3))


@pytest.mark.slow
@BOTH
def test_published_weights_without_a_network_say_where_else_to_get_them(library: str, tmp_path: Path) -> None:
    (tmp_path / "stage.py").write_text(
        "import sys\n"
        "from segpipe.params import Weights\n"
        "from segpipe.preparation.weights import fetch\n"
        "from segpipe.terminal import exit_code\n"
        f"wanted = Weights.model_validate(dict(library={library!r}, encoder={SMALL[library]!r}, "
        "source={'kind': 'pretrained'}))\n"
        "sys.exit(exit_code(lambda: fetch('mine', wanted)))\n"
    )
    nowhere = "http://127.0.0.1:9"  # the port that discards: nobody listens
    apart = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub"), "TORCH_HOME": str(tmp_path / "hub")}
    apart |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere)
    done = subprocess.run(
        [sys.executable, "stage.py"],
        env={**os.environ, **apart, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    found, cure = done.stderr.splitlines()[-2:]
    assert found.startswith(f"error: weights 'mine': the published weights of {library} '{SMALL[library]}' could not")
    assert cure == (
        "Fetch them where there is a network, save the encoder's state dict, and name that file: "
        "weights.mine.source: {kind: file, path: …}"
    )
    assert not list(tmp_path.glob("data/weights/*"))
