"""Files and folders are written whole or not at all, and numbers come back as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from segpipe import artifacts

Replacing = Callable[[Path], AbstractContextManager[Path]]
BOTH = pytest.mark.parametrize("replacing", [artifacts.replacing_file, artifacts.replacing_folder])


def fill(place: Path, text: str) -> None:
    """Write `text` into a file, or into a file within a folder."""
    (place / "content" if place.is_dir() else place).write_text(text)


def content(place: Path) -> str:
    return (place / "content" if place.is_dir() else place).read_text()


def a_dead_process() -> int:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    return int(done.stdout)


@BOTH
def test_a_block_that_ends_well_leaves_the_new_content_and_nothing_beside_it(
    tmp_path: Path, replacing: Replacing
) -> None:
    for text in ("old", "new"):
        with replacing(tmp_path / "deep" / "place") as partial:
            fill(partial, text)
    assert content(tmp_path / "deep" / "place") == "new"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["place"]


def fail_halfway(place: Path, replacing: Replacing, stop: type[BaseException]) -> None:
    with replacing(place) as partial:
        fill(partial, "half")
        raise stop


@BOTH
@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_fails_leaves_the_old_content_and_nothing_beside_it(
    tmp_path: Path, replacing: Replacing, stop: type[BaseException]
) -> None:
    with replacing(tmp_path / "place") as partial:
        fill(partial, "old")
    with pytest.raises(stop):
        fail_halfway(tmp_path / "place", replacing, stop)
    assert content(tmp_path / "place") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


@BOTH
def test_a_first_block_that_fails_leaves_nothing(tmp_path: Path, replacing: Replacing) -> None:
    with pytest.raises(ValueError):
        fail_halfway(tmp_path / "place", replacing, ValueError)
    assert not list(tmp_path.iterdir())


@BOTH
def test_while_the_block_runs_readers_see_the_old_content(tmp_path: Path, replacing: Replacing) -> None:
    with replacing(tmp_path / "place") as partial:
        fill(partial, "old")
    with replacing(tmp_path / "place") as partial:
        fill(partial, "new")
        assert content(tmp_path / "place") == "old"


def test_a_new_folder_holds_nothing_of_the_old_one(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with artifacts.replacing_folder(tmp_path / "folder") as partial:
            (partial / name).mkdir()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]


def leave(place: Path, owner: int, replacing: Replacing) -> Path:
    """What a killed process `owner` leaves of its writing."""
    leftover = place.with_name(f".{place.name}.partial-{owner}")
    if replacing is artifacts.replacing_folder:
        leftover.mkdir()
    leftover.touch()
    fill(leftover, "half")
    return leftover


@BOTH
def test_what_a_dead_process_left_is_removed(tmp_path: Path, replacing: Replacing) -> None:
    leftover = leave(tmp_path / "place", a_dead_process(), replacing)
    with replacing(tmp_path / "place") as partial:
        fill(partial, "new")
    assert not leftover.exists()
    assert content(tmp_path / "place") == "new"


@BOTH
def test_what_a_living_process_is_writing_is_kept(tmp_path: Path, replacing: Replacing) -> None:
    leftover = leave(tmp_path / "place", os.getppid(), replacing)
    with replacing(tmp_path / "place") as partial:
        fill(partial, "new")
    assert content(leftover) == "half"
    assert content(tmp_path / "place") == "new"


@BOTH
def test_what_a_dead_process_of_our_own_number_left_is_no_obstacle(tmp_path: Path, replacing: Replacing) -> None:
    """In a container every run may have the same process id."""
    leave(tmp_path / "place", os.getpid(), replacing)
    with replacing(tmp_path / "place") as partial:
        assert not partial.is_dir() or not list(partial.iterdir())
        fill(partial, "new")
    assert content(tmp_path / "place") == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_a_leftover_of_a_longer_name_is_none_of_our_business(tmp_path: Path) -> None:
    other = leave(tmp_path / "drone_5", a_dead_process(), artifacts.replacing_folder)
    with artifacts.replacing_folder(tmp_path / "drone"):
        pass
    assert other.is_dir()


def test_a_process_is_running_until_it_has_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert artifacts.is_running(process.pid)
    process.communicate()
    assert not artifacts.is_running(process.pid)
    assert artifacts.is_running(1)


def test_numbers_read_back_to_the_last_digit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    numbers = [*rng.standard_normal(200) * 10.0 ** rng.integers(-30, 30, 200), 0.1, 1 / 3, 1e-323, 2**53 + 1]
    columns = ("python", "numpy", "single", "whole")
    rows = [
        {"python": float(number), "numpy": np.float64(number), "single": np.float32(number), "whole": 2**62 + index}
        for index, number in enumerate(numbers)
    ]
    artifacts.write_rows(tmp_path / "rows.csv", rows, columns)
    for row, back in zip(rows, artifacts.read_rows(tmp_path / "rows.csv"), strict=True):
        assert float(back["python"]) == row["python"]
        assert np.float64(back["numpy"]) == row["numpy"]
        assert np.float32(back["single"]) == row["single"]
        assert int(back["whole"]) == row["whole"]


def test_text_reads_back_whatever_is_in_it(tmp_path: Path) -> None:
    rows = [{"name": 'Größe, "H×W"', "note": "two\nlines"}, {"name": "", "note": " spaces "}]
    artifacts.write_rows(tmp_path / "rows.csv", rows, ("note", "name"))
    assert artifacts.read_rows(tmp_path / "rows.csv") == rows
    assert (tmp_path / "rows.csv").read_bytes().startswith(b"note,name\n")


def test_a_table_without_rows_still_has_its_columns(tmp_path: Path) -> None:
    artifacts.write_rows(tmp_path / "rows.csv", [], ("a", "b"))
    assert (tmp_path / "rows.csv").read_text() == "a,b\n"
    assert artifacts.read_rows(tmp_path / "rows.csv") == []


def test_a_row_with_an_unknown_column_leaves_the_old_table(tmp_path: Path) -> None:
    artifacts.write_rows(tmp_path / "rows.csv", [{"a": 1}], ("a",))
    with pytest.raises(ValueError, match="b"):
        artifacts.write_rows(tmp_path / "rows.csv", [{"a": 2}, {"a": 3, "b": 4}], ("a",))
    assert artifacts.read_rows(tmp_path / "rows.csv") == [{"a": "1"}]


def test_json_reads_back_and_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    whole = {"name": "Straße", "values": [0.1, 1e-323, 2**62, None, True]}
    artifacts.write_json(tmp_path / "a.json", whole)
    with pytest.raises(TypeError):
        artifacts.write_json(tmp_path / "a.json", {"values": {1, 2}})
    assert artifacts.read_json(tmp_path / "a.json") == whole
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_what_must_outlive_dvc_lies_in_the_main_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert artifacts.working("checkpoints") == Path(".segpipe/checkpoints")
    monkeypatch.setenv("DVC_ROOT", "the/repository")
    assert artifacts.working("checkpoints") == Path("the/repository/.segpipe/checkpoints")
