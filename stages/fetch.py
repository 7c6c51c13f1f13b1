"""Get one set of encoder weights: published, from a file, or random."""

from segpipe.terminal import door


def main(name: str) -> None:
    from segpipe import params
    from segpipe.preparation.weights import fetch

    fetch(name, params.weights(name))


if __name__ == "__main__":
    door(main, __doc__, block="weights")
