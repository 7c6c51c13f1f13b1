"""A measurement keeps its bound or misses it, as the bound's sign says."""

from __future__ import annotations

import pytest

from bench.results import Row


@pytest.mark.parametrize(
    ("bound", "below", "at", "above"),
    [("< 2", True, False, False), ("<= 2", True, True, False), (">= 2", False, True, True), ("", True, True, True)],
)
def test_a_bound_is_kept_on_its_own_side(bound: str, below: bool, at: bool, above: bool) -> None:
    kept = [Row("time", measured, "s", bound).keeps_its_bound for measured in (1.9, 2.0, 2.1)]
    assert kept == [below, at, above]


def test_a_sign_that_nobody_knows_is_no_bound_that_is_kept() -> None:
    with pytest.raises(KeyError):
        _ = Row("time", 1.0, "s", "> 2").keeps_its_bound
