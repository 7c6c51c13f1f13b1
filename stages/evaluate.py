"""Score one trained experiment on its split."""

from segpipe.terminal import door


def main(name: str) -> None:
    from segpipe.evaluation.scoring import evaluate

    evaluate(name)


if __name__ == "__main__":
    door(main, __doc__, block="experiments")
