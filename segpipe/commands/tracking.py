"""Make the tracking store equal to the files: upload what it missed, or rebuild what it lost."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        choices=("sync", "rebuild"),
        help="sync: epochs, scores and ends that the store missed; rebuild: also whole runs that it has lost",
    )


def run(what: str) -> None:
    from segpipe import tracking
    from segpipe.terminal import say

    for line in tracking.upload(rebuild=what == "rebuild") or [f"{tracking.uri()} holds all that the files do"]:
        say(line)
