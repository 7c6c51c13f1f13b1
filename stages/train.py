"""Train one experiment, or go on with it where a killed run stopped."""

import os

from segpipe.terminal import door


def main(name: str) -> None:
    # torch takes fresh pages for every large tensor. Huge ones make steps over kept features up to twice as fast.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    from segpipe.training.loop import train

    train(name)


if __name__ == "__main__":
    door(main, __doc__, block="experiments")
