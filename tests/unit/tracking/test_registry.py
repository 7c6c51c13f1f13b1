"""How a registered model is named, and which champions there were, as the tags of its moves tell it."""

from __future__ import annotations

import pytest

from segpipe.tracking.registry import parsed, standing


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("houses", ("houses", "champion")),
        ("houses@challenger", ("houses", "challenger")),
        ("houses@3", ("houses", "3")),
        ("models:/houses@champion", ("houses", "champion")),
        ("models:/houses/12", ("houses", "12")),
        ("models:/houses", ("houses", "champion")),
    ],
)
def test_a_model_is_named_in_our_words_or_in_mlflows(reference: str, expected: tuple[str, str]) -> None:
    assert parsed(reference) == expected


@pytest.mark.parametrize("reference", ["", "@champion", "models:/", "a/b@champion", "houses@1@2", "models:/a/b/c"])
def test_what_names_no_model_is_refused(reference: str) -> None:
    with pytest.raises(ValueError, match="names no registered model"):
        parsed(reference)


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        ("", ""),
        ("1 2 3", "1 2 3"),
        ("1 2 1", "1 2 1"),  # an earlier setting again
        ("1 2 <1", "1"),
        ("1 2 <1 3", "1 3"),
        ("1 2 3 <2 <1", "1"),
        ("1 2 1 <2 <1", "1"),
        ("1 2 3 <1", "1"),  # two steps back at once
        ("1 2 <1 <2", "1 2"),  # forward again: to one that is not behind
        ("1 2 3 <4", "1 2 3 4"),  # to one that never was champion
    ],
)
def test_the_champions_that_stand_behind_the_present_one(moves: str, expected: str) -> None:
    """`<2` goes back to version 2, every other number is a promotion."""
    told = [
        {"to": move.removeprefix("<"), "why": "rollback" if move.startswith("<") else "gate"} for move in moves.split()
    ]
    assert standing(told) == expected.split()
