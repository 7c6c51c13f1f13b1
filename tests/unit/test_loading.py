"""Batches: every sample once, image and mask together, the same again for the same seed, and no thread left behind."""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segpipe.augmentations import RECIPES
from segpipe.loading import AHEAD, SAMPLERS, Batch, Samples, in_order, num_batches, shuffled, training_samples
from tests.unit.preparation.test_manifest import packed

NAMES = [f"train-{n}" for n in range(7)]


@pytest.fixture(autouse=True)
def one_thread_of_torch() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    return Samples([packed(tmp_path / "town", {"train": [3, 4], "val": [2]})], "train")


@pytest.fixture
def traceable(tmp_path: Path) -> Samples:
    """Samples whose every mask pixel is the red of its image, and whose green says which sample it is."""
    folder = packed(tmp_path / "town", {"train": [6]}, (4, 6))
    masks = np.random.default_rng(0).integers(0, 250, (6, 4, 6), np.uint8)
    images = np.zeros((6, 4, 6, 3), np.uint8)
    images[..., 0], images[..., 1] = masks, np.arange(6)[:, None, None]
    np.save(folder / "train-0-images.npy", images)
    np.save(folder / "train-0-masks.npy", masks)
    return Samples([folder], "train")


def names(batches: Iterator[Batch]) -> list[str]:
    return [name for batch in batches for name in batch.names]


def test_in_order_gives_every_sample_once_as_it_lies(samples: Samples) -> None:
    batches = list(in_order(samples, 3))
    assert [name for batch in batches for name in batch.names] == NAMES
    images, masks = torch.cat([batch.images for batch in batches]), torch.cat([batch.masks for batch in batches])
    for index in range(7):
        image, mask = samples[index]
        assert np.array_equal(images[index].permute(1, 2, 0).numpy(), image)
        assert np.array_equal(masks[index].numpy(), mask)


@pytest.mark.parametrize(
    ("count", "batch", "sizes"),
    [
        (7, 1, [1] * 7),
        (7, 2, [2, 2, 3]),
        (7, 3, [3, 2, 2]),
        (7, 4, [4, 3]),
        (7, 5, [5, 2]),
        (7, 6, [5, 2]),
        (7, 7, [7]),
        (7, 100, [7]),
        (6, 2, [2, 2, 2]),
        (3, 2, [3]),
        (2, 2, [2]),
        (1, 2, [1]),
    ],
)
def test_no_sample_is_left_alone_in_the_last_batch(tmp_path: Path, count: int, batch: int, sizes: list[int]) -> None:
    """Batch norm over a map pooled to one value cannot take a batch of one. Of one sample there is no other way."""
    samples = Samples([packed(tmp_path / "town", {"train": [count]})], "train")
    assert num_batches(samples, batch) == len(sizes)
    for batches in (in_order(samples, batch), shuffled(samples, batch, "none", "every_image", 0, 1)):
        assert [len(one.names) for one in batches] == sizes


def test_images_arrive_as_bytes_channels_last_and_masks_as_bytes(samples: Samples) -> None:
    for batch in in_order(samples, 4):
        count = len(batch.names)
        assert (batch.images.dtype, batch.masks.dtype) == (torch.uint8, torch.uint8)
        assert (tuple(batch.images.shape), tuple(batch.masks.shape)) == ((count, 3, 6, 8), (count, 6, 8))
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.masks.is_contiguous()


def test_batches_are_ours_to_change(samples: Samples) -> None:
    for batch in in_order(samples, 4):
        batch.images.zero_()
        batch.masks.fill_(9)
    assert samples[0][1].max() <= 1


def test_several_folders_come_one_behind_the_other(tmp_path: Path) -> None:
    folders = [packed(tmp_path / name, {"train": [count]}) for name, count in (("town", 2), ("more", 3))]
    samples = Samples(folders, "train")
    assert (len(samples), samples.size) == (5, (6, 8))
    assert samples.names == ["train-0", "train-1", "train-0", "train-1", "train-2"]
    assert np.array_equal(samples[3][0], np.load(folders[1] / "train-0-images.npy")[1])


def test_a_split_that_is_not_there_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"town has no test images\. Change its dataset's `split:`"):
        Samples([packed(tmp_path / "town", {"train": [2]})], "test")


def test_copies_of_other_images_than_the_prepared_ones_are_refused(tmp_path: Path) -> None:
    prepared, augmented = (packed(tmp_path / name, {"train": [2]}) for name in ("town", "copies"))
    manifest = json.loads((prepared / "manifest.json").read_text())
    for content, is_refused in ((manifest["content"], False), ("another", True)):
        copies = json.loads((augmented / "manifest.json").read_text())
        copies["parent"] = {"name": "town", "content": content}
        (augmented / "manifest.json").write_text(json.dumps(copies))
        if is_refused:
            with pytest.raises(ValueError, match="dvc repro augment@copies"):
                training_samples(prepared, augmented)
        else:
            assert len(training_samples(prepared, augmented)) == 4


def test_shuffling_gives_every_sample_once_in_another_order_each_epoch(samples: Samples) -> None:
    orders = [names(shuffled(samples, 2, "none", "every_image", 5, epoch)) for epoch in range(1, 7)]
    assert all(sorted(order) == NAMES for order in orders)
    assert len({tuple(order) for order in orders}) == 6
    assert names(shuffled(samples, 2, "none", "every_image", 6, 1)) != orders[0]


def content(batches: Iterator[Batch]) -> list[tuple[list[str], bytes, bytes]]:
    return [(batch.names, batch.images.numpy().tobytes(), batch.masks.numpy().tobytes()) for batch in batches]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_same_seed_and_epoch_give_the_same_batches_however_many_threads(
    samples: Samples, recipe: str, sampler: str
) -> None:
    passes = []
    for threads in (1, 2, 5, 1):
        samples.threads = threads
        passes.append(content(shuffled(samples, 3, recipe, sampler, 5, 2)))
    assert passes[0] == passes[1] == passes[2] == passes[3]


def test_as_many_threads_fill_as_the_hardware_block_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = packed(tmp_path / "town", {"train": [20]})
    for workers in (1, 3):
        monkeypatch.setenv("SEGPIPE_WORKERS", str(workers))
        assert Samples([folder], "train").threads == workers


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "none"])
def test_another_epoch_and_another_seed_change_a_sample_otherwise(tmp_path: Path, recipe: str) -> None:
    """Of one sample nothing but the recipe can differ; one in four flips is the same again by chance."""
    samples = Samples([packed(tmp_path / "town", {"train": [1]})], "train")
    for places in ([(seed, 1) for seed in range(12)], [(1, epoch) for epoch in range(12)]):
        ways = {content(shuffled(samples, 1, recipe, "every_image", *place))[0][1] for place in places}
        assert len(ways) >= 3


def test_an_image_that_comes_twice_is_changed_twice(tmp_path: Path) -> None:
    folder = packed(tmp_path / "town", {"train": [200]})
    np.save(folder / "class_pixels.npy", [[48, 0]] * 199 + [[0, 48]])  # its factor is sqrt(0.1 / 0.005) = 4.47
    samples = Samples([folder], "train")
    ways = set()
    for batch in shuffled(samples, 50, "heavy", "rare_classes", 0, 1):
        ways |= {
            image.numpy().tobytes() for image, name in zip(batch.images, batch.names, strict=True) if name[6:] == "199"
        }
    assert len(ways) >= 4


def test_a_batch_is_nobody_elses_while_any_of_it_is_held(tmp_path: Path) -> None:
    """Its memory is taken again once it is let go: not before, whatever the hold is."""
    samples = Samples([packed(tmp_path / "town", {"train": [40]})], "train")
    held: list[tuple[Any, Any]] = []
    for number, batch in enumerate(shuffled(samples, 2, "none", "every_image", 0, 1)):
        parts: list[Any] = [
            batch,
            batch.images[1],
            batch.masks.numpy(),
            batch.images.permute(0, 2, 3, 1).numpy()[0, 1:],
        ]
        part = parts[number % 4]
        held.append((part, copy.deepcopy(part)))
    assert len(held) == 20
    for part, before in held:
        if isinstance(part, Batch):
            assert content(iter([part])) == content(iter([before]))
        else:
            assert np.array_equal(np.asarray(part), np.asarray(before))


def test_memory_does_not_grow_with_the_number_of_batches(tmp_path: Path) -> None:
    samples = Samples([packed(tmp_path / "town", {"train": [60]})], "train")
    samples.threads = 2
    places = [(batch.images.data_ptr(), batch.masks.data_ptr()) for batch in in_order(samples, 2)]
    assert len(places) == 30
    # Those read ahead, the one in hand, the one before it; and what a thread that just ended still holds for a moment.
    assert all(len(set(each)) <= AHEAD + 2 + samples.threads for each in zip(*places, strict=True))


def test_what_happens_to_a_sample_does_not_depend_on_the_size_of_the_batch(samples: Samples) -> None:
    by_size = []
    for size in (1, 3, 7):
        batches = list(shuffled(samples, size, "flips", "every_image", 5, 2))
        by_size.append((names(iter(batches)), torch.cat([batch.images for batch in batches])))
    for order, images in by_size[1:]:
        assert order == by_size[0][0]
        assert torch.equal(images, by_size[0][1])


def test_shuffled_images_keep_their_own_masks_and_names(samples: Samples) -> None:
    for batch in shuffled(samples, 3, "none", "every_image", 5, 1):
        for image, mask, name in zip(batch.images, batch.masks, batch.names, strict=True):
            original = samples[NAMES.index(name)]
            assert np.array_equal(image.permute(1, 2, 0).numpy(), original[0])
            assert np.array_equal(mask.numpy(), original[1])


def test_flips_turn_image_and_mask_together_and_differently_each_epoch(traceable: Samples) -> None:
    ways: list[str] = []
    for epoch in range(1, 21):
        for batch in shuffled(traceable, 4, "flips", "every_image", 1, epoch):
            assert torch.equal(batch.images[:, 0], batch.masks)
            for image, mask, name in zip(batch.images, batch.masks, batch.names, strict=True):
                number = int(name.removeprefix("train-"))
                assert (image[1] == number).all()
                original = traceable[number][1]
                turned = {"": original, "h": original[:, ::-1], "v": original[::-1], "hv": original[::-1, ::-1]}
                ways += [way for way, expected in turned.items() if np.array_equal(mask.numpy(), expected)]
    assert len(ways) == 120
    assert all(15 <= ways.count(way) <= 45 for way in ("", "h", "v", "hv"))


def test_in_order_changes_nothing(traceable: Samples) -> None:
    (batch,) = in_order(traceable, 6)
    assert torch.equal(batch.masks, torch.from_numpy(np.stack([traceable[n][1] for n in range(6)])))


def readers() -> list[threading.Thread]:
    """The threads that read ahead: all but those that were here before loading began."""
    return [thread for thread in threading.enumerate() if thread is not threading.main_thread() and thread.is_alive()]


def ends_soon(before: list[threading.Thread]) -> bool:
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        if not [thread for thread in readers() if thread not in before]:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_in_a_thread_reaches_whoever_waits_with_the_name_of_the_sample(
    tmp_path: Path, threads: int, recipe: str
) -> None:
    """The masks of the second shard have a row too few."""
    before = readers()
    folder = packed(tmp_path / "town", {"train": [3, 2]})
    np.save(folder / "train-1-masks.npy", np.zeros((2, 5, 8), np.uint8))
    samples = Samples([folder], "train")
    samples.threads = threads
    with pytest.raises(ValueError, match=r"sample 'train-[34]' could not .*\(5, 8\).* expected .*dvc repro"):
        list(shuffled(samples, 2, recipe, "every_image", 0, 1))
    assert ends_soon(before)


def test_batches_before_an_error_still_come(tmp_path: Path) -> None:
    folders = [packed(tmp_path / "town", {"train": [3]}), packed(tmp_path / "odd", {"train": [3]}, (5, 9))]
    batches = in_order(Samples(folders, "train"), 2)
    assert next(batches).names == ["train-0", "train-1"]
    with pytest.raises(ValueError, match="sample 'train-0' could not"):
        next(batches)


def test_a_finished_pass_leaves_no_thread(samples: Samples) -> None:
    before = readers()
    assert len(list(in_order(samples, 1))) == 7
    assert ends_soon(before)


@pytest.mark.parametrize("seen", [1, 5])
def test_a_pass_that_is_abandoned_leaves_no_thread(samples: Samples, seen: int) -> None:
    before = readers()
    batches = shuffled(samples, 1, "flips", "every_image", 0, 1)
    for _ in range(seen):
        next(batches)
    assert len(readers()) > len(before)
    del batches
    assert ends_soon(before)


def test_a_pass_that_never_begins_starts_no_thread(samples: Samples) -> None:
    before = readers()
    batches = in_order(samples, 1)
    assert readers() == before
    del batches


def test_a_batch_goes_to_a_device_whole(samples: Samples) -> None:
    batch = next(in_order(samples, 3))
    moved = batch.to(torch.device("cpu"))
    assert torch.equal(moved.images, batch.images)
    assert torch.equal(moved.masks, batch.masks)
    assert moved.names == batch.names


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_parts_of_several_processes_make_up_each_batch(samples: Samples, count: int) -> None:
    whole = list(shuffled(samples, 3, "flips", "every_image", 5, 2))
    parts = [list(shuffled(samples, 3, "flips", "every_image", 5, 2, (rank, count))) for rank in range(count)]
    for number, batch in enumerate(whole):
        theirs = [steps[number] for steps in parts]
        assert [name for part in theirs for name in part.names] == batch.names
        assert torch.equal(torch.cat([part.images for part in theirs]), batch.images)
        assert {part.whole for part in theirs} == {batch.whole} == {len(batch.names)}
        assert max(len(part.names) for part in theirs) - min(len(part.names) for part in theirs) <= 1


def test_several_processes_see_each_sample_once_and_no_empty_batch(samples: Samples) -> None:
    seen = [batch.names for rank in range(5) for batch in in_order(samples, 3, (rank, 5))]
    assert sorted(name for part in seen for name in part) == NAMES
    assert all(seen)
