"""The command line: `python -m segpipe …`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from segpipe.terminal import exit_code


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m segpipe", description="Look at what segpipe does.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    show = commands.add_parser("params", help="print what an experiment resolves to, with everything that it stands on")
    show.add_argument("experiment", nargs="?", help="a key of `experiments:` in params.yaml; none lists them all")
    show.add_argument("--profile", choices=("demo", "full"), help="another profile than the one that params.yaml names")
    show.set_defaults(action=_show_params)
    arguments = vars(parser.parse_args())
    action = arguments.pop("action")
    arguments.pop("command")
    sys.exit(exit_code(lambda: action(**arguments)))


def _show_params(experiment: str | None, profile: str | None) -> None:
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


if __name__ == "__main__":
    main()
