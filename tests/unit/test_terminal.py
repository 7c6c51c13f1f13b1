"""What a person sees: exit codes, errors in a few lines, progress on a terminal, quiet everywhere else."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from segpipe import terminal

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test does to the handling of signals ends with it."""
    monkeypatch.delenv("SEGPIPE_DEBUG", raising=False)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def raising(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


def script(folder: Path, body: str) -> list[str]:
    """A command that runs `body` as `python -m stage`, with segpipe at hand."""
    (folder / "stage.py").write_text(f"from segpipe.terminal import door, progress, say\n{body}\n")
    return [sys.executable, "-m", "stage"]


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=20)


# Exit codes


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (1, 1), (3, 3)])
def test_the_exit_code_is_what_the_stage_answers(answer: int | None, code: int) -> None:
    assert terminal.exit_code(lambda: answer) == code


def test_an_error_for_people_is_said_in_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert terminal.exit_code(raising(ValueError("found this.\nExpected that"))) == 1
    assert capsys.readouterr() == ("", "error: found this.\nExpected that\n")


@pytest.mark.parametrize(("sign", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_interrupt_is_no_error_and_leaves_nothing_half_written(tmp_path: Path, sign: str, code: int) -> None:
    body = f"""
import os, signal
from pathlib import Path
from segpipe import artifacts

def main():
    with artifacts.replacing_folder(Path("folder")) as partial, artifacts.replacing_file(Path("file")) as file:
        (partial / "half").touch()
        file.touch()
        os.kill(os.getpid(), signal.{sign})
        input()

door(main, None)"""
    done = run(script(tmp_path, body), tmp_path)
    assert done.returncode == code
    assert done.stderr.strip() == "stopped: nothing is half-written. Run the same command to go on."
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["stage.py"]


def test_debugging_lets_the_error_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGPIPE_DEBUG", "1")
    with pytest.raises(ValueError, match="found this"):
        terminal.exit_code(raising(ValueError("found this")))


def test_a_stage_takes_one_name_and_says_so(tmp_path: Path) -> None:
    command = script(tmp_path, "door(lambda name: say(f'did {name}'), 'Train one.', block='experiments')")
    assert run([*command, "unet"], tmp_path).stderr == "did unet\n"
    missing = run(command, tmp_path)
    assert missing.returncode == 2
    assert missing.stderr.startswith("usage: python -m stage ")
    assert "Traceback" not in missing.stderr
    assert run([*command, "unet", "unet"], tmp_path).returncode == 2
    shown = run([*command, "--help"], tmp_path)
    assert shown.returncode == 0
    assert "Train one." in shown.stdout
    assert "a key of `experiments:` in params.yaml" in shown.stdout


@pytest.mark.parametrize(("debug", "lines"), [("0", 1), ("1", 5)])
def test_a_failing_stage_shows_a_traceback_only_when_asked(tmp_path: Path, debug: str, lines: int) -> None:
    body = "def main():\n    raise ValueError('found this')\n\nif __name__ == '__main__':\n    door(main, None)"
    done = run(script(tmp_path, body), tmp_path, SEGPIPE_DEBUG=debug)
    assert done.returncode == 1
    assert ("Traceback" in done.stderr) == (debug == "1")
    assert len(done.stderr.splitlines()) >= lines
    assert done.stderr.splitlines()[-1] in ("error: found this", "ValueError: found this")


def test_a_real_stage_says_which_name_was_meant(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    done = run([sys.executable, "-m", "stages.download", "dron"], tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: params.yaml: datasets: there is no 'dron' (did you mean 'drone'?)\n"


# What is said


@pytest.mark.parametrize(
    ("number", "found", "cure"),
    [
        (errno.ENOSPC, "no space left on device", "Free some space (`dvc gc -w` drops old results), then run"),
        (errno.EDQUOT, "disk quota exceeded", "Your quota is used up: free some space, then run"),
        (errno.EACCES, "permission denied", "This folder must be writable by you: change its owner or mode"),
        (errno.EROFS, "read-only file system", "segpipe writes into the project's folder: clone it to a place"),
    ],
)
def test_a_disk_that_cannot_be_written_gets_the_cure(number: int, found: str, cure: str) -> None:
    line = terminal.explained(OSError(number, os.strerror(number), "data/raw/drone"))
    assert line.startswith(f"error: data/raw/drone: {found}. {cure}")
    assert len(line.splitlines()) == 1


def test_a_full_disk_is_known_without_the_name_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    def fill_the_disk() -> None:
        Path("/dev/full").write_text("x" * 100)

    assert terminal.exit_code(fill_the_disk) == 1
    assert capsys.readouterr().err.startswith("error: the disk: no space left on device. Free some space")


def test_a_missing_package_names_the_python_that_misses_it() -> None:
    with pytest.raises(ModuleNotFoundError) as missing:
        __import__("no_such_package")
    assert terminal.explained(missing.value) == (
        f"error: {sys.executable} has no package 'no_such_package'. Run `make setup`, then `source .venv/bin/activate`"
    )


def test_an_error_that_nobody_foresaw_says_how_to_see_more() -> None:
    assert terminal.explained(KeyError("splits")) == (
        "error: KeyError: 'splits'\nThis one was not foreseen: SEGPIPE_DEBUG=1 shows where it arose."
    )


@pytest.mark.parametrize("text", ["one line", "line\n" * 100_000])
def test_a_reader_who_has_read_enough_is_no_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "text").write_text(text)
    command = script(tmp_path, "input()\ndoor(lambda: print(open('text').read()), None)")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes) as process:  # type: ignore[call-overload]
        process.stdout.close()
        process.stdin.write(b"go\n")
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode in (0, 1)


# Progress


class Clock:
    """A clock that a test moves by hand."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    hands = Clock()
    monkeypatch.setattr(terminal, "time", SimpleNamespace(monotonic=hands.monotonic))
    monkeypatch.setattr(terminal, "QUIET_SECONDS", 15.0)
    return hands


def test_slow_work_without_a_terminal_says_a_line_now_and_then(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in terminal.progress(range(10), "packing"):
        clock.now += 6  # seconds an item: a line at 18, 36 and 54 seconds
    assert capsys.readouterr().err.splitlines() == [
        "packing: 3 of 10, 42 s left",
        "packing: 6 of 10, 24 s left",
        "packing: 9 of 10, 6 s left",
    ]


def test_work_of_unknown_length_says_how_far_it_is(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in terminal.progress(iter(range(3)), "packing"):
        clock.now += 20
    assert capsys.readouterr().err.splitlines() == ["packing: 1", "packing: 2", "packing: 3"]


def test_a_total_may_be_given_for_what_has_no_length(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in terminal.progress(iter(range(2)), "packing", total=2):
        clock.now += 20
    assert capsys.readouterr().err.splitlines() == ["packing: 1 of 2, 20 s left", "packing: 2 of 2, 0 s left"]


def test_quick_work_without_a_terminal_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in terminal.progress(range(10), "packing"):
        clock.now += 1.5
    assert list(terminal.progress([], "packing")) == []
    assert capsys.readouterr() == ("", "")


def test_every_item_arrives_once_and_in_order() -> None:
    assert list(terminal.progress(iter("abc"), "packing", total=7)) == ["a", "b", "c"]


def on_a_terminal(command: list[str], folder: Path) -> str:
    """All that the command writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=theirs, stdout=theirs) as process:
        os.close(theirs)
        written = b""
        with contextlib.suppress(OSError):  # how Linux says that the other side is gone
            while chunk := os.read(ours, 4096):
                written += chunk
    os.close(ours)
    assert process.returncode == 0
    return written.decode()


def what_remains(written: str) -> str:
    """The last line of a terminal after this, blanks aside: each carriage return writes over what is there."""
    line = ""
    for part in written.rsplit("\n", 1)[-1].split("\r"):
        line = part + line[len(part) :]
    return re.sub(r"\x1b\[\w", "", line).strip()


def test_a_terminal_shows_a_bar_with_the_time_left_and_then_clears_it(tmp_path: Path) -> None:
    body = "import time\nfor _ in progress(range(12), 'packing'):\n    time.sleep(0.05)"
    written = on_a_terminal(script(tmp_path, body), tmp_path)
    assert re.search(r"packing: +\d+%\|.+\| \d+/12 \[00:00<00:00", written)
    assert what_remains(written) == ""


def test_nothing_to_do_leaves_nothing_on_a_terminal(tmp_path: Path) -> None:
    written = on_a_terminal(script(tmp_path, "list(progress([], 'packing'))"), tmp_path)
    assert what_remains(written) == ""
    assert "packing" not in written


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (7.4, "7 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (200, "3 min"),
        (5340, "89 min"),
        (5400, "1 h 30 min"),
        (7500, "2 h 05 min"),
        (90000, "25 h 00 min"),
    ],
)
def test_a_duration_is_told_as_people_would(seconds: float, text: str) -> None:
    assert terminal.duration(seconds) == text
