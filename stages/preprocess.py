"""Decode, resize, remap and pack one prepared set."""

from segpipe.terminal import door


def main(name: str) -> None:
    from segpipe import params
    from segpipe.preparation.packing import pack

    pack(name, params.prepared(name))


if __name__ == "__main__":
    door(main, __doc__, block="prepared")
