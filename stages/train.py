"""Train one experiment, or go on with it where a killed run stopped."""

from segpipe.terminal import door


def main(name: str) -> None:
    from segpipe.training.loop import train

    train(name)


if __name__ == "__main__":
    door(main, __doc__, block="experiments")
