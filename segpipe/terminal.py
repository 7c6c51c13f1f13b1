"""What a person at the terminal sees: errors in a line, exit codes, progress with the time left, quiet lines in CI."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

from segpipe import artifacts

FAILURE, SIGNALLED = 1, 128
STOPPED = "stopped: nothing is half-written. Run the same command to go on."
QUIET_SECONDS = 15.0


def door(main: Callable[..., Any], description: str | None, block: str | None = None) -> None:
    """Run a stage as a command: parse the one name that it takes, if any, a key of `block` in params.yaml."""
    specification = sys.modules["__main__"].__spec__
    program = f"python -m {specification.name}" if specification else None
    parser = argparse.ArgumentParser(prog=program, description=description)
    if block:
        parser.add_argument("name", help=f"a key of `{block}:` in params.yaml")
    arguments = parser.parse_args()
    began = time.monotonic()
    code = exit_code(lambda: main(**vars(arguments)))
    stage = os.environ.get("DVC_STAGE")
    if stage and not code:
        with contextlib.suppress(OSError):  # what `segpipe plan` reads is worth no error
            artifacts.write_json(artifacts.took(stage), {"seconds": time.monotonic() - began})
    sys.exit(code)


def exit_code(action: Callable[[], Any]) -> int:
    """What the process should exit with; errors that are for people are said in a line, without a traceback."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        code: int = action() or 0
        sys.stdout.flush()  # here, where a reader that is gone can still be told apart
        return code
    except KeyboardInterrupt as interrupt:  # from where work had to be taken down first: segpipe/parallel.py
        say(STOPPED)
        return SIGNALLED + int(interrupt.args[0] if interrupt.args else signal.SIGINT)
    except BrokenPipeError:  # whoever read our output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except Exception as error:  # the last stop of every error: shown to the person, never swallowed
        if os.environ.get("SEGPIPE_DEBUG") == "1":
            raise
        say(explained(error))
        return FAILURE


def _stop(number: int, _frame: Any) -> NoReturn:
    """End at once: an exception would pass through the C++ of torch, which aborts, and unloading torch takes long."""
    artifacts.abandon_work()
    say("\n" + STOPPED if sys.stderr.isatty() else STOPPED)  # under the bar and the ^C
    os._exit(SIGNALLED + number)


def explained(error: BaseException) -> str:
    """One to three lines: what was found, what was expected, what to do next."""
    if isinstance(error, OSError) and error.errno in _OS_CURES:
        where = error.filename or "the disk"
        return f"error: {where}: {(error.strerror or '').lower()}. {_OS_CURES[error.errno]}"
    if isinstance(error, ModuleNotFoundError):
        cure = "Run `make setup`, then `source .venv/bin/activate`"
        return f"error: {sys.executable} has no package '{error.name}'. {cure}"
    if isinstance(error, (ValueError, OSError)):
        return f"error: {error}"
    return f"error: {type(error).__name__}: {error}\nThis one was not foreseen: SEGPIPE_DEBUG=1 shows where it arose."


_OS_CURES = {
    errno.ENOSPC: "Free some space (`dvc gc -w` drops old results), then run the same command again.",
    errno.EDQUOT: "Your quota is used up: free some space, then run the same command again.",
    errno.EACCES: "This folder must be writable by you: change its owner or mode, or work in another clone.",
    errno.EPERM: "This folder must be writable by you: change its owner or mode, or work in another clone.",
    errno.EROFS: "segpipe writes into the project's folder: clone it to a place that can be written.",
}


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def progress(items: Iterable[Any], label: str, total: int | None = None) -> Iterator[Any]:
    """Yield the items under a bar with the time left; without a terminal, a quiet line now and then."""
    if total is None and isinstance(items, Sequence):
        total = len(items)
    if total == 0:
        return
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, desc=label, total=total, leave=False, dynamic_ncols=True, file=sys.stderr)
    else:
        yield from _quiet_lines(items, label, total)


def _quiet_lines(items: Iterable[Any], label: str, total: int | None) -> Iterator[Any]:
    began = said = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - said > QUIET_SECONDS:
            said = now
            left = f" of {total}, {(now - began) / done * (total - done):.0f} s left" if total else ""
            say(f"{label}: {done}{left}")


def duration(seconds: float) -> str:
    """`7 s`, `3 min`, `2 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
