"""Validate params.yaml and write what every block resolves to in the chosen profile."""

from segpipe.terminal import door


def main() -> None:
    from segpipe import params

    params.write_resolved(params.resolve(params.load()))


if __name__ == "__main__":
    door(main, __doc__)
