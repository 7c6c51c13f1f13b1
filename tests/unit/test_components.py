"""Components are found by the name of their file, and a name that is not there gets the nearest one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

import segpipe
from segpipe import components


@pytest.mark.parametrize("kind", components.KINDS)
def test_the_listing_of_the_folder_is_the_catalogue(kind: str) -> None:
    folder = Path(segpipe.__file__).parent / kind
    files = [name.removesuffix(".py") for name in map(str, sorted(path.name for path in folder.iterdir()))]
    assert components.names(kind) == [name for name in files if not name.startswith("_")]
    assert components.names(kind)


@pytest.mark.parametrize("kind", components.KINDS)
def test_every_name_leads_to_the_file_that_carries_it(kind: str) -> None:
    for name in components.names(kind):
        file = components.find(kind, name).__file__
        assert file is not None
        assert Path(file).parts[-2:] == (kind, f"{name}.py")


def test_a_name_that_is_not_there_gets_the_nearest() -> None:
    with pytest.raises(ValueError) as refused:
        components.find("losses", "tversk")
    assert str(refused.value) == "no file segpipe/losses/tversk.py (did you mean 'tversky'?)"


@pytest.mark.parametrize("name", ["__init__", "", "../labels", "unet.py", "Unet", "os"])
def test_nothing_but_a_components_own_name_finds_it(name: str) -> None:
    with pytest.raises(ValueError, match=r"no file segpipe/models/"):
        components.find("models", name)


def test_options_come_complete_with_the_defaults_of_their_file() -> None:
    assert components.options("losses", "tversky", {"alpha": 0.3}).model_dump() == {"alpha": 0.3, "beta": 0.5}


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="did you mean 'alpha'"):
        components.options("losses", "tversky", {"alpa": 0.3})


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("epochz", ["batch", "epochs"], " (did you mean 'epochs'?)"),
        ("zzz", ["b", "a"], " (there is: a, b)"),
        ("zzz", [], " (there is none)"),
        ("", ["a"], " (there is: a)"),
    ],
)
def test_a_hint_names_the_nearest_or_all_that_there_is(name: str, known: list[str], hint: str) -> None:
    assert components.did_you_mean(name, known) == hint


def test_an_unknown_dataset_gets_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"no file segpipe/datasets/dron\.py \(did you mean 'drone'\?\)"):
        components.dataset("dron", {})


def test_a_layout_for_a_dataset_that_knows_its_own_is_refused() -> None:
    with pytest.raises(ValueError, match="dataset 'drone' knows its own layout"):
        components.dataset("drone", {"images": "*.png"})


def test_the_files_that_a_component_leans_on_are_those_that_it_imports() -> None:
    assert components.parts("datasets", "drone_24") == ["drone"]
    assert components.parts("datasets", "drone") == []
