"""What a person reads who has mistyped a setting: where it stands, what was found, what was expected."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from segpipe import params
from tests.unit.params.conftest import BINARY, GONE, Edit, complaint

PATH = BINARY.replace("/", ".")

REFUSED: dict[str, tuple[str, Any, str]] = {
    "an unknown key": (f"{BINARY}/recipy", 3, f"{PATH}.recipy: no such setting (did you mean 'recipe'?)"),
    "an unknown block": ("experimets", {}, "experimets: no such setting (did you mean 'experiments'?)"),
    "text for a number": (
        "augmented/drone_binary_0/copies",
        "many",
        "augmented.drone_binary_0.copies: found 'many', expected a whole number",
    ),
    "text that looks like a number": ("seed", "7", "seed: found '7', expected a whole number"),
    "a fraction for a count": ("seed", 7.5, "seed: found 7.5, expected a whole number"),
    "a claim for a number": ("seed", True, "seed: found True, expected a whole number"),
    "nothing for a number": ("seed", None, "seed: found None, expected a whole number"),
    "a negative rate": (f"{BINARY}/optimizer/lr", -1, f"{PATH}.optimizer.lr: found -1, expected greater than 0"),
    "a missing value": (f"{BINARY}/optimizer/lr", GONE, f"{PATH}.optimizer.lr: is missing, and has no default: add it"),
    "a missing block": ("seed", GONE, "seed: is missing, and has no default: add it"),
    "an optimizer that does not exist": (
        f"{BINARY}/optimizer/name",
        "adamm",
        f"{PATH}.optimizer.name: found 'adamm', expected one of adam, adamw, sgd (did you mean 'adam'?)",
    ),
    "a profile that does not exist": (
        "profile",
        "ful",
        "profile: found 'ful', expected one of demo, full (did you mean 'full'?)",
    ),
    "a kind that does not exist": (
        "datasets/drone/demo/source/kind",
        "kagle",
        "datasets.drone.demo.source: found 'kagle', expected one of kaggle, cityscapes, folder, fabricated "
        "(did you mean 'kaggle'?)",
    ),
    "no kind": ("datasets/drone/source", {}, "datasets.drone.source: found {}, expected a mapping with a `kind`"),
    "a setting of another kind": (
        "weights/resnet34_imagenet/source/path",
        "here",
        "weights.resnet34_imagenet.source.path: no such setting (there is: kind)",
    ),
    "a kind without what it needs": (
        "weights/resnet34_imagenet/demo/source",
        {"kind": "file"},
        "weights.resnet34_imagenet.demo.source.path: is missing, and has no default: add it",
    ),
    "a precision that does not exist": (
        "hardware/precision",
        "fp8",
        "hardware.precision: found 'fp8', expected one of auto, fp32, bf16, fp16 (there is: auto, bf16, fp16, fp32)",
    ),
    "a floor above one": (
        "gates/drone_binary/floors",
        {"miou": 70},
        "gates.drone_binary.floors.miou: found 70, expected less than or equal to 1",
    ),
    "one side of a size": (
        "prepared/drone_binary/demo/size",
        [96, 0],
        "prepared.drone_binary.demo.size.1: found 0, expected greater than 0",
    ),
    "an option misspelt": (
        f"{BINARY}/model/frozn",
        True,
        f"{PATH}.model.frozn: no such setting (did you mean 'frozen'?)",
    ),
    "an option of another type": (
        f"{BINARY}/demo/model",
        {"frozen": "no"},
        f"{PATH}.model.frozen: found 'no', expected true or false",
    ),
    "one value among an option's many": (
        f"{BINARY}/model/decoder_channels",
        [256, -1, 64, 32, 16],
        f"{PATH}.model.decoder_channels.1: found -1, expected greater than 0",
    ),
    "a loss option misspelt": (
        f"{BINARY}/loss/alfa",
        0.3,
        f"{PATH}.loss.alfa: no such setting (did you mean 'alpha'?)",
    ),
}


@pytest.mark.parametrize(("place", "value", "line"), REFUSED.values(), ids=REFUSED)
def test_a_setting_that_does_not_fit_is_named_with_what_was_expected(
    edit: Edit, place: str, value: Any, line: str
) -> None:
    assert complaint(edit, {place: value}) == line


@pytest.mark.parametrize("name", ["Unet-Drone", "5_classes", "unet drone", "../unet"])
def test_a_name_that_could_not_be_a_file_is_refused(edit: Edit, published: dict[str, Any], name: str) -> None:
    renamed = {**published["experiments"], name: published["experiments"]["unet_drone_5"]}
    assert complaint(edit, {"experiments": renamed}) == (
        f"experiments.{name}: found '{name}', expected lower-case letters, digits and '_', a letter first"
    )


def test_more_faults_than_a_person_reads_at_once_are_counted(edit: Edit) -> None:
    wrong = {f"{BINARY}/{key}": "x" for key in ("seed", "recipe", "clip", "checkpoint")}
    lines = complaint(edit, wrong | {f"{BINARY}/optimizer/lr": 0}).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{PATH}.") for line in lines[:2])
    assert lines[2] == "… and 3 more settings that do not fit"


@pytest.mark.parametrize(
    ("place", "value"),
    [("prepared/drone_binary/size", [512]), ("weights/resnet34_imagenet/mean", [0.5, 0.5])],
)
def test_a_list_that_is_too_short_is_refused_by_its_path(edit: Edit, place: str, value: list[float]) -> None:
    edit({place: value, "prepared/drone_binary/demo": {}})
    with pytest.raises(ValueError) as refused:
        params.load()
    assert str(refused.value).startswith(f"params.yaml: {place.replace('/', '.')}")


@pytest.mark.parametrize("value", [None, [1], 0, 1.5])
def test_a_share_that_is_neither_count_nor_fraction_is_said_once_at_its_own_path(edit: Edit, value: Any) -> None:
    lines = complaint(edit, {"datasets/drone/split/val": value}).splitlines()
    assert len(set(lines)) == len(lines)
    assert {line.partition(": ")[0] for line in lines} == {"datasets.drone.split.val"}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (f"{BINARY}/loss", "tversky"),
        (f"{BINARY}/schedule", "plateau"),
        ("prepared/drone_binary/size", 512),
        ("datasets/drone/views", []),
        ("gates/drone_binary/floors", {}),
        ("experiments", None),
        (BINARY, None),
    ],
)
def test_an_error_speaks_the_language_of_the_file_and_not_of_python(edit: Edit, place: str, value: Any) -> None:
    demo: dict[str, Any] = {"prepared/drone_binary/demo": {}} if place.startswith("prepared") else {}
    line = complaint(edit, {f"{BINARY}/demo": {}, **demo, place: value})
    assert line.startswith(f"{place.replace('/', '.')}: found {value!r}, ")
    for word in ("tuple", "dictionary", "instance of", "after validation", "object to extract"):
        assert word not in line


def test_no_number_is_infinite_or_undefined(edit: Edit) -> None:
    path = edit({f"{BINARY}/optimizer/lr": 12345})
    for written, found in ((".nan", "nan"), (".inf", "inf")):
        path.write_text(path.read_text().replace("12345", written))
        with pytest.raises(ValueError, match=rf"{PATH}.optimizer.lr: found {found}, expected a finite number"):
            params.load()
        path.write_text(path.read_text().replace(written, "12345"))


def test_an_exponent_without_a_point_is_a_number(edit: Edit) -> None:
    path = edit({f"{BINARY}/optimizer/lr": 12345})
    path.write_text(path.read_text().replace("12345", "1e-4"))
    rate = params.load().experiments["unet_drone_binary"].optimizer.lr
    assert math.isclose(rate, 0.0001, rel_tol=0, abs_tol=0)


def test_a_whole_number_is_a_rate_too(edit: Edit) -> None:
    edit({f"{BINARY}/optimizer/lr": 1})
    assert params.load().experiments["unet_drone_binary"].optimizer.lr == 1.0


def test_a_key_that_stands_twice_is_refused_with_its_line(edit: Edit, tmp_path: Path) -> None:
    content = edit().read_text()
    (tmp_path / "params.yaml").write_text(content.replace('"seed": 7', '"seed": 7,\n"seed": 8', 1))
    with pytest.raises(ValueError, match=r'^params\.yaml:2: found duplicate key "seed".*Correct the YAML there$'):
        params.load()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("seed: 7\n  profile: demo\n", 2),
        ("seed: 7\nprofile: 'demo\n\n", 4),
        ("seed: 7\nprofile: [demo\nweights: {}\n", 3),
        ("seed: 7\n\tprofile: demo\n", 2),
    ],
)
def test_broken_yaml_is_refused_with_its_line(edit: Edit, text: str, line: int) -> None:
    edit().write_text(text)
    with pytest.raises(ValueError) as refused:
        params.load()
    assert len(str(refused.value).splitlines()) == 1
    assert str(refused.value).startswith(f"params.yaml:{line}: ")


@pytest.mark.parametrize(("text", "found"), [("", "NoneType"), ("- seed\n", "list"), (json.dumps("demo"), "str")])
def test_a_file_without_settings_is_refused(edit: Edit, text: str, found: str) -> None:
    edit().write_text(text)
    with pytest.raises(ValueError, match=f"^params.yaml: found {found}, expected a mapping of settings$"):
        params.load()


def test_a_run_outside_the_project_says_where_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as refused:
        params.load()
    assert str(refused.value) == (
        "params.yaml: no such file here. Run segpipe in the project's root, where params.yaml lies"
    )
