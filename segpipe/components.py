"""Finds models, losses, metrics and datasets by file name: `segpipe/<kind>/<name>.py` is the registry."""

from __future__ import annotations

import ast
import difflib
import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

KINDS = ("datasets", "models", "losses")


def names(kind: str) -> list[str]:
    """The components that exist: the files in the kind's folder."""
    folder = Path(__file__).parent / kind
    return sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_"))


def path(kind: str, name: str) -> Path:
    """The file that is the component."""
    return Path(__file__).parent / kind / f"{name}.py"


def parts(kind: str, name: str) -> list[str]:
    """The other files of its folder that a component's file imports."""
    tree = ast.parse(path(kind, name).read_text(encoding="utf-8"))
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module)
    names_imported = [f"{node.module}.{alias.name}." for node in imports for alias in node.names]
    files = (file.stem for file in path(kind, name).parent.glob("*.py"))
    return sorted(file for file in files if any(one.startswith(f"segpipe.{kind}.{file}.") for one in names_imported))


def find(kind: str, name: str) -> ModuleType:
    """The module `segpipe/<kind>/<name>.py`."""
    if name not in names(kind):
        raise ValueError(f"no file segpipe/{kind}/{name}.py{did_you_mean(name, names(kind))}")
    return importlib.import_module(f"segpipe.{kind}.{name}")


def options(kind: str, name: str, values: dict[str, Any]) -> Any:
    """The component's options, complete with the defaults of its own file."""
    return find(kind, name).Options.model_validate(values)


def dataset(name: str, layout: Mapping[str, Any]) -> Any:
    """The dataset file of that name, told the layout if it asks for one."""
    module = find("datasets", name)
    if hasattr(module, "configured"):
        return module.configured(module.Layout.model_validate(dict(layout)))
    if layout:
        raise ValueError(f"dataset '{name}' knows its own layout: take `layout:` away, or use the dataset 'folder'")
    return module


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`(did you mean 'x'?)`, or all that there is, when nothing is near."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    if near:
        return f" (did you mean '{near[0]}'?)"
    return f" (there is: {', '.join(choices)})" if choices else " (there is none)"
