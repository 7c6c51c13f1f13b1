"""`demo:` blocks: laid over the values beside them, proven in both profiles, never rewiring the pipeline."""

from __future__ import annotations

from typing import Any

import pytest

from segpipe import params
from segpipe.params.reading import KINDS, WIRING, in_profile
from tests.unit.params.conftest import BINARY, Edit, complaint

PATH = BINARY.replace("/", ".")


def test_full_is_exactly_what_is_written(edit: Edit) -> None:
    edit()
    block = params.load(profile="full").experiments["unet_drone_binary"]
    assert (block.epochs, block.batch, block.schedule.kind) == (30, 16, "plateau")
    assert block.model.options == {"frozen": True}


def test_a_demo_changes_what_it_names_and_nothing_beside_it(edit: Edit) -> None:
    edit()
    loaded = params.load(profile="demo")
    block = loaded.experiments["unet_drone_binary"]
    assert (block.epochs, block.batch, block.schedule.kind) == (10, 8, "cosine")
    assert (block.model.name, block.model.options) == ("unet", {"frozen": False})
    assert block.optimizer.lr == 0.001
    assert loaded.datasets["drone"].split.model_dump() == {"kind": "shares", "test": 30, "val": 0.2}


def test_a_mapping_of_another_kind_replaces_the_old_one_whole(edit: Edit) -> None:
    edit({f"{BINARY}/schedule": {"kind": "plateau", "patience": 9}, f"{BINARY}/demo/schedule": {"kind": "cosine"}})
    schedule = params.load(profile="demo").experiments["unet_drone_binary"].schedule
    assert schedule.model_dump() == {"kind": "cosine", "floor": 0.0}


def test_a_mapping_of_the_same_kind_keeps_what_is_not_named(edit: Edit) -> None:
    edit({f"{BINARY}/schedule": {"kind": "plateau", "patience": 9}, f"{BINARY}/demo/schedule": {"factor": 0.5}})
    schedule = params.load(profile="demo").experiments["unet_drone_binary"].schedule
    assert schedule.model_dump() == {"kind": "plateau", "factor": 0.5, "patience": 9}


def test_laying_a_demo_over_the_content_leaves_the_content_as_it_was(published: dict[str, Any]) -> None:
    before = repr(published)
    for profile in ("demo", "full"):
        chosen = in_profile(published, profile)
        assert not any("demo" in block for kind in KINDS for block in chosen[kind].values())
    assert repr(published) == before


@pytest.mark.parametrize("chosen", ["demo", "full"])
def test_a_mistake_in_a_demo_is_found_in_either_profile(edit: Edit, chosen: str) -> None:
    line = complaint(edit, {"profile": chosen, f"{BINARY}/demo/epochz": 3})
    assert "epochz: no such setting (did you mean 'epochs'?)" in line


@pytest.mark.parametrize("chosen", ["demo", "full"])
def test_a_mistake_that_a_demo_covers_is_found_in_either_profile(edit: Edit, chosen: str) -> None:
    line = complaint(edit, {"profile": chosen, f"{BINARY}/epochs": 0})
    assert line == f"{PATH}.epochs: found 0, expected greater than 0"


def test_a_mistake_in_a_demo_is_named_where_it_stands(edit: Edit) -> None:
    line = complaint(edit, {"profile": "full", f"{BINARY}/demo/epochs": 0})
    assert line == f"{PATH}.demo.epochs: found 0, expected greater than 0"


@pytest.mark.parametrize("changes", [3, None, ["epochs"], "small"])
def test_a_demo_that_is_no_mapping_is_refused(edit: Edit, changes: Any) -> None:
    line = f"{PATH}.demo: found {changes!r}, expected a mapping of what the demo changes"
    assert complaint(edit, {f"{BINARY}/demo": changes}) == line


REWIRED = [(kind, wire) for kind, wires in WIRING.items() for wire in wires]


@pytest.mark.parametrize("chosen", ["demo", "full"])
@pytest.mark.parametrize(("kind", "wire"), REWIRED, ids=[f"{kind}.{wire}" for kind, wire in REWIRED])
def test_a_demo_that_rewires_the_pipeline_is_refused(
    edit: Edit, published: dict[str, Any], kind: str, wire: str, chosen: str
) -> None:
    name = next(iter(published[kind]))
    outer, _, inner = wire.partition(".")
    same = published[kind][name][outer]  # even to what it is: it would read as if it could be changed
    changes = {"profile": chosen, f"{kind}/{name}/demo": {outer: {inner: same[inner]} if inner else same}}
    assert complaint(edit, changes) == (
        f"{kind}.{name}.demo.{wire}: a demo cannot change this, since dvc.yaml is wired by it. "
        "Write an experiment of its own instead"
    )
