"""Turns what pydantic found wrong into lines for people: the path in params.yaml, what was found, what was expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from segpipe.components import did_you_mean

SHOWN = 3

EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "model_attributes_type": "a mapping of settings",
    "model_type": "a mapping of settings",
    "string_pattern_mismatch": "lower-case letters, digits and '_', a letter first",
    "string_type": "text",
    "tuple_type": "a list",
    "union_tag_not_found": "a mapping with a `kind`",
}


def explanation(error: ValidationError, content: Any, where: Callable[[list[str]], list[str]] = list) -> str:
    """At most three lines; `where` says where in the file the path of a value of `content` stands."""
    by_path: dict[str, list[Any]] = {}
    for entry in error.errors():
        by_path.setdefault(".".join(where(_path_in(content, entry))), []).append(entry)
    lines = [f"params.yaml: {path}: {_what(entries)}" for path, entries in by_path.items()]
    hidden = len(lines) - SHOWN
    if hidden > 0:
        lines[SHOWN - 1 :] = [f"… and {hidden + 1} more settings that do not fit"]
    return "\n".join(lines)


def _path_in(content: Any, entry: Any) -> list[str]:
    """Pydantic's location without the steps that stand only in the types, such as a union's tag."""
    path = []
    for step in entry["loc"]:
        is_mapped = isinstance(content, dict) and step in content
        is_listed = isinstance(content, list) and isinstance(step, int) and step < len(content)
        if is_mapped or is_listed:
            content = content[step]
        elif entry["type"] != "missing" or step != entry["loc"][-1]:
            continue
        path.append(str(step))
    return [*path, entry["ctx"]["key"]] if entry["type"] == "unknown_key" else path


def _what(entries: list[Any]) -> str:
    """What is wrong at one path; a value that may be one thing or another fails at each of them."""
    first = entries[0]
    if first["type"] == "unknown_key":
        return str(first["msg"])
    if first["type"] == "missing":
        return "is missing, and has no default: add it"
    found = list(first["input"]) if isinstance(first["input"], tuple) else first["input"]  # as YAML writes it
    if first["type"] in ("union_tag_invalid", "literal_error"):
        return _choice(found, first)
    expected = " or ".join(dict.fromkeys(_expected(entry) for entry in entries))
    return f"found {found!r}, expected {expected}"


def _expected(entry: Any) -> str:
    if entry["type"] in EXPECTED:
        return EXPECTED[entry["type"]]
    if entry["type"] == "too_short":
        return f"at least {entry['ctx']['min_length']} in it"
    message: str = entry["msg"]
    return message.replace("Input should be ", "").replace("valid integer", "whole number")


def _choice(found: Any, entry: Any) -> str:
    if entry["type"] == "union_tag_invalid":
        found = found.get("kind")
    expected = entry["ctx"].get("expected") or entry["ctx"]["expected_tags"]
    choices = [choice.strip(" '") for choice in expected.replace(" or ", ", ").split(",")]
    hint = did_you_mean(found, choices) if isinstance(found, str) else ""
    return f"found {found!r}, expected one of {', '.join(choices)}{hint}"
