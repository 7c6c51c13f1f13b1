"""Check floors, and that no candidate is worse than its champion. Exit code 1 when the gate is closed."""

from segpipe.terminal import door


def main() -> int:
    from segpipe import params
    from segpipe.promotion.gate import run_gate

    return run_gate(params.gates())


if __name__ == "__main__":
    door(main, __doc__)
