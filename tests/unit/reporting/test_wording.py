"""Numbers as people read them."""

from __future__ import annotations

import pytest

from segpipe.reporting import wording


@pytest.mark.parametrize(
    ("number", "text"), [(950, "0.9 k"), (11_488_418, "11.5 M"), (4_620, "4.6 k"), (91.7e9, "91.7 G"), (None, "–")]
)
def test_a_large_number_is_told_in_three_digits_or_so(number: float | None, text: str) -> None:
    assert wording.short(number) == text


def test_a_rare_class_is_not_told_as_none() -> None:
    assert wording.percent(0.0004) == "< 0.1%"
    assert wording.percent(0.0) == "0.0%"


def test_an_interval_has_two_ends_or_is_nothing() -> None:
    assert wording.interval((0.25, 0.5)) == "0.250 to 0.500"
    assert wording.interval(None) == ""


def test_an_entry_of_the_cost_is_told_by_its_kind() -> None:
    entries = {"checkpoint_bytes": 46_021_472, "latency_ms": 55.507, "parameters": 11_488_418, "device": "cpu"}
    told = [wording.measured(key, value) for key, value in entries.items()]
    assert told == ["46.0 MB", "55.5", "11,488,418", "cpu"]
    assert wording.measured("flops", None) == "–"
