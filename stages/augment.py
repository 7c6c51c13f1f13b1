"""Make the offline copies of one augmented set."""

from segpipe.terminal import door


def main(name: str) -> None:
    from segpipe import params
    from segpipe.preparation.expansion import expand

    expand(name, params.augmented(name))


if __name__ == "__main__":
    door(main, __doc__, block="augmented")
