"""Kept features stand for their images: the same batches, the same logits but for bf16, each computed once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from segpipe import artifacts
from segpipe.devices import Machine
from segpipe.features import Feed, entry, feed, room
from segpipe.loading import Batch, Samples
from tests.unit.features.two_convolutions import HERE, TwoConvolutions
from tests.unit.preparation.test_manifest import packed

ROOT = Path(__file__).parents[3]
ORIGIN = Path("tiny.safetensors")
ROUNDING = 2**-8
"""bf16 keeps eight bits: the largest error of a sum of a few rounded values, as a share of the largest sum."""


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setenv("SEGPIPE_WORKERS", "2")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    forget()
    yield
    torch.set_num_threads(threads)


def forget() -> None:
    """As a process that has just begun."""
    room._in_use.clear()
    entry._proven.clear()


@pytest.fixture
def samples() -> Samples:
    folders = [packed(Path(name), {"train": counts}) for name, counts in (("town", [3, 4]), ("copies", [2]))]
    return Samples(folders, "train")


def pairs(one: Feed, other: Feed, recipe: str) -> list[tuple[Batch, Batch]]:
    """The batches of three epochs, and all as they lie."""
    passes = [[*each.in_order(4)] for each in (one, other)]
    for epoch in range(3):
        for batches, each in zip(passes, (one, other), strict=True):
            batches.extend(each.shuffled(4, recipe, "every_image", 5, epoch))
    return list(zip(*passes, strict=True))


@pytest.mark.parametrize("recipe", ["none", "flips"])
def test_features_stand_for_the_same_images_in_the_same_order(samples: Samples, recipe: str) -> None:
    model = TwoConvolutions()
    from_features, from_images = feed(model, samples, ORIGIN, HERE, recipe), Feed(model, samples)
    compared = pairs(from_features, from_images, recipe)
    assert len(compared) == 4 * from_features.num_batches(4) == 4 * from_images.num_batches(4)
    for kept, plain in compared:
        assert kept.names == plain.names
        assert torch.equal(kept.masks, plain.masks)
        assert (kept.images.numel(), len(kept.images)) == (0, len(plain.images))
        expected, found = from_images.logits(plain), from_features.logits(kept)
        assert found.shape == expected.shape
        assert 0 < (found - expected).abs().max() < ROUNDING * expected.abs().max()


def test_features_are_the_backbones_rounded_to_bf16_and_lie_channels_last(samples: Samples) -> None:
    model = TwoConvolutions()
    for kept in feed(model, samples, ORIGIN, HERE).in_order(3):
        images = torch.from_numpy(np.stack([samples[samples.names.index(name)][0] for name in kept.names[:1]]))
        made = model.features(model.normalised(images.permute(0, 3, 1, 2)))
        for ours, expected in zip(kept.features, made, strict=True):
            assert torch.equal(ours[:1], expected.to(torch.bfloat16))
        assert kept.features[0].is_contiguous(memory_format=torch.channels_last)
        break


def test_each_image_goes_through_the_backbone_once_for_each_flip_and_never_again(samples: Samples) -> None:
    model = TwoConvolutions()
    once = feed(model, samples, ORIGIN, HERE)
    assert model.seen == 9 + 1  # one for the shapes
    for _ in range(3):
        for batch in once.in_order(4):
            once.logits(batch)
    assert model.seen == 10
    flipped = feed(model, samples, ORIGIN, HERE, "flips")
    assert model.seen == 10 + 1 + 3 * 9  # as they lie, they are there
    other_head = TwoConvolutions(classes=5)
    assert feed(other_head, samples, ORIGIN, HERE, "flips").key == flipped.key != once.key
    assert other_head.seen == 1
    alone = Samples(samples.folders[:1], "train")
    assert feed(other_head, alone, ORIGIN, HERE).key is not None
    assert other_head.seen == 2


@pytest.mark.parametrize(
    "another",
    [
        TwoConvolutions(weights=1),
        TwoConvolutions(mean=0.4),
        TwoConvolutions(width=5),
    ],
    ids=["weights", "mean", "width"],
)
def test_another_backbone_or_normalisation_has_features_of_its_own(samples: Samples, another: TwoConvolutions) -> None:
    keys = {feed(model, samples, ORIGIN, HERE).key for model in (TwoConvolutions(), another)}
    assert len(keys) == 2
    assert another.seen >= 10


def test_another_precision_other_images_or_a_plain_setting_have_features_of_their_own(samples: Samples) -> None:
    model = TwoConvolutions()
    first = feed(model, samples, ORIGIN, HERE).key
    second = feed(model, samples, ORIGIN, Machine(torch.device("cpu"), "bf16")).key
    third = feed(model, Samples([packed(Path("village"), {"train": [9]})], "train"), ORIGIN, HERE).key
    model.backbone.padding = (0, 0)  # type: ignore[assignment] # torch types what a module has as a tensor or module
    fourth = feed(model, samples, ORIGIN, HERE).key
    assert len({first, second, third, fourth}) == 4


def test_what_is_not_frozen_or_changed_in_other_ways_is_fed_as_images(samples: Samples) -> None:
    model = TwoConvolutions()
    assert feed(model, samples, ORIGIN, HERE, "s1").key is None
    model.freeze()
    assert feed(model, samples, ORIGIN, HERE).key is None
    assert model.seen == 0


def shards() -> list[Path]:
    return sorted(artifacts.features().glob("*/*.npy"))


@pytest.mark.parametrize("harm", ["flipped bit", "cut off", "gone"])
def test_damaged_features_are_computed_anew_with_a_word(
    samples: Samples, harm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = TwoConvolutions()
    key = feed(model, samples, ORIGIN, HERE).key
    victim = shards()[0]
    whole = victim.read_bytes()
    changed = {"flipped bit": whole[:-1] + bytes([whole[-1] ^ 1]), "cut off": whole[:-1], "gone": b""}[harm]
    victim.unlink()
    if changed:
        victim.write_bytes(changed)
    forget()
    seen = model.seen
    assert feed(model, samples, ORIGIN, HERE).key == key
    assert f"{victim.name} is damaged; these features are computed anew" in capsys.readouterr().err
    assert victim.read_bytes() == whole
    assert model.seen - seen in (1 + 7, 1 + 2)  # the packed folder that it belongs to


def test_features_of_a_model_that_the_key_took_for_the_same_are_found_out(
    samples: Samples, capsys: pytest.CaptureFixture[str]
) -> None:
    model = TwoConvolutions()
    right = feed(model, samples, ORIGIN, HERE).key
    own = {path.parent: path for path in artifacts.features().glob("*/manifest.json")}
    feed(TwoConvolutions(weights=1), samples, ORIGIN, HERE)
    others = [path.parent for path in artifacts.features().glob("*/manifest.json") if path.parent not in own]
    for folder in own:
        count = artifacts.read_json(folder / "manifest.json")["count"]
        twin = next(path for path in others if artifacts.read_json(path / "manifest.json")["count"] == count)
        for file in folder.iterdir():
            file.write_bytes((twin / file.name).read_bytes())
    forget()
    assert feed(model, samples, ORIGIN, HERE).key == right
    assert "are not this model's; all are computed anew" in capsys.readouterr().err


def test_a_build_that_was_killed_goes_on_where_it_stopped(samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "SHARD_BYTES", 3 * 2 * (6 * 8 + 1) * 4)  # three images of four channels in bf16
    model = TwoConvolutions()
    key = feed(model, samples, ORIGIN, HERE).key
    (folder,) = {path.parent for path in shards() if path.name == "2-0.npy"}  # 3 + 3 + 1 images
    (folder / "manifest.json").unlink()
    (folder / "1.json").unlink()
    forget()
    seen = model.seen
    assert feed(model, samples, ORIGIN, HERE).key == key
    assert model.seen - seen == 1 + 3


def gigabytes(images: int) -> float:
    """What so many images take: maps of four channels and a token, in bf16."""
    return images * 2 * (6 * 8 + 1) * 4 / 1e9


def test_features_that_do_not_fit_are_done_without_and_a_word(
    samples: Samples, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEGPIPE_FEATURE_CACHE_GB", f"{gigabytes(9) * 0.999:.12f}")
    model = TwoConvolutions()
    fed = feed(model, samples, ORIGIN, HERE)
    assert "tiny, train: its features would take 0.0 GB" in capsys.readouterr().err
    assert fed.key is None
    assert all(batch.images.numel() for batch in fed.in_order(4))
    assert not shards()
    monkeypatch.setenv("SEGPIPE_FEATURE_CACHE_GB", f"{gigabytes(9) * 1.001:.12f}")
    assert feed(model, samples, ORIGIN, HERE).key is not None


def test_no_features_are_kept_where_nothing_may_be(samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGPIPE_FEATURE_CACHE_GB", "0")
    model = TwoConvolutions()
    assert feed(model, samples, ORIGIN, HERE).key is None
    assert model.seen == 0
    assert not artifacts.features().exists()


def test_the_least_recently_used_features_make_way_but_never_ones_in_use(
    samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGPIPE_FEATURE_CACHE_GB", f"{gigabytes(2 * 9 + 1):.12f}")
    first, second, third = (TwoConvolutions(weights=number) for number in range(3))
    feed(first, samples, ORIGIN, HERE)
    feed(second, samples, ORIGIN, HERE)
    assert feed(third, samples, ORIGIN, HERE).key is None  # both are in use, here
    forget()
    feed(first, samples, ORIGIN, HERE)
    forget()
    assert feed(third, samples, ORIGIN, HERE).key is not None
    forget()
    before = first.seen, second.seen
    feed(first, samples, ORIGIN, HERE)
    forget()
    feed(second, samples, ORIGIN, HERE)
    assert (first.seen - before[0], second.seen - before[1]) == (1, 1 + 9)


FEED = """
import sys
from pathlib import Path
from segpipe.features import feed
from segpipe.loading import Samples
from tests.unit.features.two_convolutions import HERE, TwoConvolutions
model = TwoConvolutions()
print(feed(model, Samples([Path("town")], "train"), Path("tiny"), HERE).key, model.seen)
"""


@pytest.mark.slow
def test_of_two_processes_that_want_the_same_features_one_computes_them() -> None:
    packed(Path("town"), {"train": [400]}, (60, 80))
    command = [sys.executable, "-c", FEED]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "", "SEGPIPE_WORKERS": "1"}
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0].split() for process in both]
    assert said[0][0] == said[1][0]
    assert sorted(int(seen) for _, seen in said) == [1, 401]
