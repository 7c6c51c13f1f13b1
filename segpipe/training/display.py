"""What a person sees of a training: a bar for its epochs over one for its steps, or quiet lines in CI."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from segpipe.loading import Batch
from segpipe.processes import place
from segpipe.terminal import progress, say


def epochs(numbers: range, name: str) -> Iterator[int]:
    """Under a bar with the time left."""
    if not _has_bars():
        yield from numbers
        return
    from tqdm import tqdm

    done, all_of_them = numbers.start - 1, numbers.stop - 1
    yield from tqdm(numbers, desc=name, initial=done, total=all_of_them, unit="epoch", **_bar())


def steps(batches: Iterable[Batch], label: str, count: int, images: int, state: Callable[[], str]) -> Iterator[Batch]:
    """Under a bar with images a second, the time left, and what `state` says."""
    if not place().is_first:
        yield from batches
    elif not _has_bars():
        yield from progress(batches, label, count)
    else:
        from tqdm import tqdm

        with tqdm(desc=label, total=images, unit=" images", **_bar()) as bar:
            for batch in batches:
                yield batch
                bar.set_postfix_str(state(), refresh=False)
                bar.update(batch.whole)


def line(text: str) -> None:
    """A line of its own, above the bars."""
    if not place().is_first:
        return
    if _has_bars():
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)
    else:
        say(text)


def _bar() -> dict[str, Any]:
    return {"leave": False, "dynamic_ncols": True, "file": sys.stderr}


def _has_bars() -> bool:
    return place().is_first and sys.stderr.isatty()
