"""Back to the champion before: the alias, the committed file and the next registration agree on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from segpipe import artifacts, tracking
from segpipe.promotion.rollback import rollback
from segpipe.tracking import registry
from tests.unit.promotion.promoting import MODEL, aliases, champion, register, train_another

pytestmark = pytest.mark.slow


def two_champions() -> bytes:
    """Two versions that were champion one after the other; champion.json of the first."""
    first = artifacts.CHAMPIONS.read_bytes()
    train_another()
    assert register() == 0
    assert aliases() == {"champion": "2", "challenger": "2"}
    return first


def test_the_alias_and_the_committed_file_go_back_and_what_was_taken_down_stays_down(
    registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = two_champions()
    rollback(MODEL)
    assert aliases() == {"champion": "1", "challenger": "2"}
    assert artifacts.CHAMPIONS.read_bytes() == first
    assert "version 1" in capsys.readouterr().err

    assert register() == 0, "its gate is open: nothing failed"
    assert aliases()["champion"] == "1"
    assert f"rollback {MODEL} --to 2" in capsys.readouterr().err
    assert artifacts.CHAMPIONS.read_bytes() == first

    rollback(MODEL, "2")
    assert aliases()["champion"] == champion()["version"] == "2"
    assert register() == 0
    assert aliases()["champion"] == "2"
    moves = [(move["from"], move["to"], move["why"]) for move in registry._moves(MODEL)]
    gate = "gate of unet_drone_binary"
    assert moves == [(None, "1", gate), ("1", "2", gate), ("2", "1", "rollback"), ("1", "2", "rollback")]


def test_there_is_nothing_before_the_first_champion(registered: Path) -> None:
    before = artifacts.CHAMPIONS.read_bytes()
    with pytest.raises(ValueError, match="first champion"):
        rollback(MODEL)
    with pytest.raises(ValueError, match="champion already"):
        rollback(MODEL, "1")
    with pytest.raises(ValueError, match=r"champion \(version 1\)"):
        rollback(MODEL, "7")
    with pytest.raises(ValueError, match="It holds tiny"):
        rollback("tinny")
    assert aliases() == {"champion": "1", "challenger": "1"}
    assert artifacts.CHAMPIONS.read_bytes() == before


def test_going_back_again_and_again_follows_the_champions_that_were(registered: Path) -> None:
    two_champions()
    for version in ("1", "2", "1"):
        registry.promote(MODEL, version, "by hand")
    assert registry.past_champions(MODEL) == ["1", "2", "1", "2", "1"]
    rollback(MODEL)
    assert registry.past_champions(MODEL) == ["1", "2", "1", "2"]
    rollback(MODEL)
    rollback(MODEL)
    assert registry.past_champions(MODEL) == ["1", "2"]
    assert aliases()["champion"] == "2"


def test_a_version_that_was_deleted_is_passed_over(registered: Path) -> None:
    two_champions()
    train_another()
    assert register() == 0
    tracking._client().delete_model_version(MODEL, "2")
    rollback(MODEL)
    assert aliases()["champion"] == "1"
