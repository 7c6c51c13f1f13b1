"""Takes a champion down: the alias goes back to the one before it, and the committed file follows."""

from __future__ import annotations

from segpipe import artifacts
from segpipe.promotion import evidence
from segpipe.promotion.register import champion_of
from segpipe.terminal import say
from segpipe.tracking import registry


def rollback(model: str, to: str | None = None) -> None:
    """Make the champion before the present one, or version `to`, champion of `model`."""
    present = registry.find(model, registry.CHAMPION)
    target = registry.find(model, to or _before(present))
    if target.number == present.number:
        raise ValueError(f"version {target.number} of {model} is the champion already: name another version")
    # The file first: what cannot be written must not leave the registry ahead of it.
    evidence.write_champion(model, champion_of(target))
    registry.tag(model, present.number, registry.ROLLED_BACK, registry.now())
    if registry.ROLLED_BACK in target.tags:
        registry.untag(model, target.number, registry.ROLLED_BACK)
    registry.promote(model, target.number, registry.TAKEN_DOWN)
    said = " and ".join(
        f"version {version.number} ({version.tags['experiment']}, mIoU {float(version.tags['miou']):.4f}) is {what}"
        for version, what in ((target, "the champion again"), (present, "not any more"))
    )
    say(f"{model}: {said}. {artifacts.CHAMPIONS} follows; commit it")


def _before(present: registry.Version) -> str:
    """The last champion before the present one that is still in the registry."""
    past = [number for number in registry.past_champions(present.model) if number != present.number]
    for number in reversed(past):
        if registry.lookup(present.model, number) is not None:
            return number
    raise ValueError(
        f"version {present.number} of {present.model} is the first champion there was: there is none to go back to. "
        "Name another version with --to, if there is one"
    )
