"""Print what an experiment resolves to, with everything that it stands on."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment", nargs="?", help="a key of `experiments:` in params.yaml; none lists them all")
    parser.add_argument("--profile", choices=("demo", "full"), help="another profile than params.yaml names")


def run(experiment: str | None, profile: str | None) -> None:
    from segpipe import params

    loaded = params.load(profile=profile)
    blocks = params.resolve(loaded)
    if experiment is None:
        _print_yaml({"profile": loaded.profile, **blocks["descriptions"]})
    else:
        _print_yaml(params.everything_behind(experiment, blocks))


def _print_yaml(content: Any) -> None:
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None  # leaves on one line: a colour is one thing to read
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(content, sys.stdout)
