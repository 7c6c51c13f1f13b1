"""Put the champion before the present one back, in the registry and in reports/champion.json.

The version that is taken down keeps a tag, by which `register` knows not to make it champion again.
"""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a registered model: a key of `gates:` in params.yaml")
    parser.add_argument("--to", metavar="VERSION", help="another version than the champion before the present one")


def run(model: str, to: str | None) -> None:
    from segpipe.promotion.rollback import rollback

    rollback(model, to)
