"""Score the champion on today's data, so that the gate can compare a candidate with it."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a registered model: a key of `gates:` in params.yaml")


def run(model: str) -> None:
    from segpipe.promotion.rescore import rescore

    rescore(model)
