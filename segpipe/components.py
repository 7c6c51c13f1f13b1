"""Finds models, losses, metrics and datasets by file name: `segpipe/<kind>/<name>.py` is the registry."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

KINDS = ("datasets", "models", "losses")


def names(kind: str) -> list[str]:
    """The components that exist: the files in the kind's folder."""
    folder = Path(__file__).parent / kind
    return sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_"))


def find(kind: str, name: str) -> ModuleType:
    """The module `segpipe/<kind>/<name>.py`."""
    if name not in names(kind):
        raise ValueError(f"no file segpipe/{kind}/{name}.py{did_you_mean(name, names(kind))}")
    return importlib.import_module(f"segpipe.{kind}.{name}")


def options(kind: str, name: str, values: dict[str, Any]) -> Any:
    """The component's options, complete with the defaults of its own file."""
    return find(kind, name).Options.model_validate(values)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`(did you mean 'x'?)`, or all that there is, when nothing is near."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    if near:
        return f" (did you mean '{near[0]}'?)"
    return f" (there is: {', '.join(choices)})" if choices else " (there is none)"
