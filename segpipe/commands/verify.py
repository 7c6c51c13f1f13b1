"""Recompute the number that a model was registered with, and say whether it is the same to the last digit.

Exit code: 0 when it is, 3 when it is not, 1 when it could not be recomputed.
"""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", help="a registered model: name@champion, name@challenger, name@3; a name is its champion"
    )


def run(model: str) -> int:
    from segpipe.promotion.verify import verify

    return verify(model)
