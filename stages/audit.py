"""Prove one dataset: every raw id, pair, size, split and twin. Fails when something is wrong."""

from segpipe.terminal import door


def main(name: str) -> None:
    from segpipe import artifacts, params
    from segpipe.datasets import opened
    from segpipe.preparation.audit import audit

    dataset = params.dataset(name)
    facts = opened(dataset.name, dataset.layout)
    audit(name, facts, dataset.views, dataset.split, dataset.seed, artifacts.raw(name), artifacts.audit(name))


if __name__ == "__main__":
    door(main, __doc__, block="datasets")
