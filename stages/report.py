"""Compare all experiments: tables, figures and the page, from files only."""

from segpipe.terminal import door


def main() -> None:
    from segpipe import reporting

    reporting.draw()


if __name__ == "__main__":
    door(main, __doc__)
