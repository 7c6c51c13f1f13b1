"""The house stands: modules import from lower floors or their own folder, and libraries stay behind their walls."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "segpipe"

FOUNDATION = ("artifacts", "components", "labels", "terminal", "confusion", "lineage", "params", "parallel")
"""Floor 0, bottom up: each may lean on those before it."""

FLOORS = (
    FOUNDATION,
    ("acquisition", "datasets", "augmentations", "layers"),
    ("preparation", "models", "losses", "metrics"),
    ("loading", "checkpoints", "tracking", "devices", "processes"),
    ("features", "inference"),
    ("evaluation",),
    ("training", "promotion"),
    ("reporting",),
    ("commands",),
)

WALLS = {
    "mlflow": ("tracking/", "inference/served_model.py"),  # MLflow runs the second one as the model's own code
    "albumentations": ("augmentations.py",),
    "timm": ("layers/", "models/", "losses/"),
    "segmentation_models_pytorch": ("layers/", "models/", "losses/"),
    "kaggle": ("acquisition/",),
}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or not path.stem.startswith("__"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def imports(path: Path) -> Iterator[str]:
    """Every module that the file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_used(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("segpipe.")}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_lower_floors_or_its_own_folder(path: Path) -> None:
    room = room_of(path)
    for used in rooms_used(path) - {room}:
        is_below = floor_of(used) < floor_of(room)
        is_before = room in FOUNDATION and used in FOUNDATION and FOUNDATION.index(used) < FOUNDATION.index(room)
        assert is_below or is_before, f"{path.name} ({room}) imports from {used}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_walled_library_is_imported_only_behind_its_wall(path: Path) -> None:
    place = str(path.relative_to(PACKAGE))
    for name in imports(path):
        allowed = WALLS.get(name.partition(".")[0])
        assert allowed is None or place.startswith(allowed), f"{place} imports {name}"


def test_every_room_of_the_package_has_a_floor() -> None:
    rooms = {room_of(path) for path in modules()}
    assert rooms <= {room for floor in FLOORS for room in floor}
