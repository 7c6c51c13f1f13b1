"""Get one dataset: from its publisher, from a folder that you have, or fabricated."""

from segpipe.terminal import door


def main(name: str) -> None:
    from segpipe import acquisition, artifacts, params
    from segpipe.datasets import opened

    dataset = params.dataset(name)
    facts = opened(dataset.name, dataset.layout)
    acquisition.obtain(name, facts, dataset.source, dataset.seed, artifacts.raw(name))


if __name__ == "__main__":
    door(main, __doc__, block="datasets")
