"""Draws the report from files alone: the comparison, the figures and the page, with no GPU and no clock in them."""

from __future__ import annotations

from segpipe.reporting import comparison, evidence, figures, page


def draw() -> None:
    """Read what the other stages left, and write everything under reports/ that a person reads."""
    found = evidence.gather()
    comparison.write(found.experiments)
    comparison.copy_evaluations(found.experiments)
    figures.draw(found.sets)
    page.write(found)
