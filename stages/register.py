"""Register the gated experiments, and make champions of those whose gate is open."""

from segpipe.terminal import door


def main() -> int:
    from segpipe import params
    from segpipe.promotion.register import register_all

    return register_all(params.gates())


if __name__ == "__main__":
    door(main, __doc__)
