"""The page: whole, honest, self-contained, and the same bytes each time."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segpipe import artifacts
from segpipe.reporting import draw, evidence, page, wording

if TYPE_CHECKING:
    from tests.unit.reporting.conftest import Project

VOID = {"meta", "link", "img", "input", "br"}


class Reader(HTMLParser):
    """Keeps a page's tags, ids, words and references, and checks that each tag is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
            self.text.append(" ".join(data.split()))

    @property
    def words(self) -> str:
        return " ".join(filter(None, self.text))


def read() -> Reader:
    """The page without its charts, which take longest."""
    return Reader(page.rendered(evidence.gather()))


@pytest.mark.slow
def test_the_page_is_well_formed_and_asks_nothing_of_any_server(small_project: Project) -> None:
    draw()
    source = artifacts.PAGE.read_text(encoding="utf-8")
    tags = Reader(source).tags
    for tag, attributes in tags:
        for name, value in attributes.items():
            if tag == "a" and name == "href" and value.startswith("http://127.0.0.1:5000/#/"):
                continue  # asks nothing until the reader does
            assert not re.match(r"//|.*https?:", value), (tag, name)
            if name in ("src", "href", "xlink:href"):
                assert value.startswith(("data:", "#")), (tag, name, value[:80])
    assert not re.search(r"@import|fetch\(|XMLHttpRequest", source)
    assert artifacts.PAGE.stat().st_size < 15_000_000
    ids = Counter(attributes["id"] for _, attributes in tags if "id" in attributes)
    assert [name for name, times in ids.items() if times > 1] == []
    links = {attributes["href"][1:] for _, attributes in tags if attributes.get("href", "").startswith("#")}
    assert links <= set(ids)


def test_every_picture_has_words_and_every_slider_a_name(small_project: Project) -> None:
    reader = read()
    assert all(attributes["alt"] for tag, attributes in reader.tags if tag == "img")
    in_labels = ("opacity", "only-errors")
    assert all(a.get("aria-label") or a.get("class") in in_labels for tag, a in reader.tags if tag == "input")
    assert sum(a.get("class") == "split" for tag, a in reader.tags if tag == "input") == 3 * 10


def test_the_banner_says_what_the_numbers_are_worth(small_project: Project) -> None:
    assert "Fabricated data, weights random : these numbers show that the mechanics work, nothing else." in read().words


def test_a_page_on_real_data_and_real_weights_has_no_banner(small_project: Project) -> None:
    for path in small_project.root.glob("data/**/*.json"):
        text = path.read_text().replace('"fabricated": true', '"fabricated": false')
        path.write_text(text.replace("random: mechanics only", ""))
    assert page.caveat(evidence.gather()) == ""


def test_a_banner_that_holds_for_some_experiments_counts_them(small_project: Project) -> None:
    path = artifacts.evaluation("unet_two") / "metrics.json"
    artifacts.write_json(path, {**artifacts.read_json(path), "weights_label": ""})
    assert page.caveat(evidence.gather()).startswith("Fabricated data, weights random in 3 of 4 experiments:")


def test_what_is_missing_is_named_in_the_table(small_project: Project) -> None:
    assert (
        "data/evaluations/uformer_five/metrics.json is missing: run `dvc repro evaluate@uformer_five`" in read().words
    )


def test_a_score_taken_where_something_was_selected_is_called_flattered(small_project: Project) -> None:
    assert "which flatters it" not in read().words
    path = artifacts.evaluation("unet_two") / "metrics.json"
    artifacts.write_json(path, {**artifacts.read_json(path), "split": "val"})
    assert "on val; selected: checkpoint on val, the split it is scored on, which flatters it" in read().words


def test_rows_on_different_data_are_called_incomparable(small_project: Project) -> None:
    path = artifacts.evaluation("unet_five") / "metrics.json"
    artifacts.write_json(path, {**artifacts.read_json(path), "data": "0" * 64})
    assert read().words.count("These rows do not stand on the same data") == 1


def test_names_from_files_cannot_become_markup(project: Project) -> None:
    wicked = {"<script>alert(1)</script>": [200, 0, 0], 'b" onload="x': [0, 0, 200]}
    project.add_set("wicked", wicked)
    project.add_audit("wicked_source", wicked)
    project.add_experiment("unet", "wicked", description="<img src=x>")
    project.train("unet")
    project.evaluate("unet")
    reader = read()
    assert sum(tag == "script" for tag, _ in reader.tags) == 1
    assert not any("onload" in attributes for _, attributes in reader.tags)
    assert "<script>alert(1)</script>" in reader.words
    assert "<img src=x>" in reader.words


def test_a_page_can_be_drawn_when_the_prepared_data_is_not_here(small_project: Project) -> None:
    (artifacts.prepared("drone_two") / "manifest.json").unlink()
    words = read().words
    assert "data/prepared/drone_two/manifest.json is missing: run `dvc repro preprocess@drone_two`" in words


def test_a_page_can_be_drawn_before_anything_is_trained(project: Project) -> None:
    project.add_set("drone_two", project.TWO)
    project.add_experiment("unet", "drone_two")
    assert "nothing scored yet" in read().words


def test_a_class_without_pixels_is_drawn_as_absent(small_project: Project) -> None:
    path = artifacts.evaluation("unet_two") / "metrics.json"
    metrics = artifacts.read_json(path)
    nothing = dict.fromkeys(("iou", "dice", "precision", "recall")) | {"support": 0}
    metrics["per_class"]["obstacles"] = nothing
    artifacts.write_json(path, {**metrics, "miou_absent_as_zero": metrics["miou"] / 2})
    (path.parent / "confusion.csv").write_text("truth,obstacles,landing zones\nobstacles,0,0\nlanding zones,0,9\n")
    assert "if absent classes count as 0" in read().words


@pytest.mark.slow
def test_drawing_twice_gives_the_same_bytes(small_project: Project) -> None:
    draw()
    kept = [artifacts.COMPARISON, artifacts.PAGE, *sorted(artifacts.FIGURES.iterdir())]
    before = [path.read_bytes() for path in kept]
    draw()
    assert [path.read_bytes() for path in kept] == before


def test_the_spread_of_the_images_is_told_by_its_middle_and_its_lowest_tenth() -> None:
    # 0.0, 0.1 … 1.0: the middle is 0.5, and a tenth of the way up stands 0.1.
    told = wording.spread([k / 10 for k in range(11)])
    assert told == "Of 11 images, half score above 0.500 mIoU, and a tenth below 0.100."
    assert wording.spread([0.5]) == ""


def make_real(project: Project, licence: str) -> None:
    """The same files, as if they had come from a real drone_five under these terms."""
    for path in project.root.glob("data/**/*.json"):
        path.write_text(path.read_text().replace('"fabricated": true', '"fabricated": false'))
    path = artifacts.audit("drone_five_source") / "audit.json"
    content = artifacts.read_json(path)
    artifacts.write_json(path, {**content, "source": {**content["source"], "licence": licence}})


def pictures_of(path: Path) -> int:
    """How many pictures of drone_five a page holds: the panels of two experiments, and the contact sheet."""
    section, sheet = (
        path.read_text().partition(f'id="{name}"')[2] for name in ("set-drone_five", "data-drone_five_source")
    )
    return section.partition('id="set-drone_two"')[0].count("<img") + sheet.count("<img")


def test_pictures_that_may_not_be_passed_on_are_in_no_published_page(small_project: Project) -> None:
    make_real(small_project, "neither the data nor modified versions of it may be redistributed")
    page.write(evidence.gather())
    assert pictures_of(artifacts.PAGE) == 0
    assert pictures_of(artifacts.working(page.PRIVATE_PAGE)) == 2 * 10 * 4 + 1
    assert "data's terms forbid to pass them on: .segpipe/report.html" in artifacts.PAGE.read_text()


def test_pictures_whose_terms_say_nothing_against_it_are_shown(small_project: Project) -> None:
    make_real(small_project, "CC BY 4.0")
    artifacts.working(page.PRIVATE_PAGE).parent.mkdir()
    artifacts.working(page.PRIVATE_PAGE).write_text("of an earlier day")
    page.write(evidence.gather())
    assert pictures_of(artifacts.PAGE) == 2 * 10 * 4 + 1


def test_pictures_under_unknown_terms_are_kept_back(small_project: Project) -> None:
    make_real(small_project, "")
    page.write(evidence.gather())
    assert pictures_of(artifacts.PAGE) == 0


def test_an_interval_stands_beside_its_score_where_there_is_one(small_project: Project) -> None:
    path = artifacts.evaluation("unet_five") / "metrics.json"
    intervals = {"miou": [0.412, 0.4567], "pixel_accuracy": [0.8, 0.9]}
    artifacts.write_json(path, {**artifacts.read_json(path), "intervals": intervals})
    words = read().words
    assert words.count("0.412 to 0.457") == 2  # in the overview, and in its own row
    assert words.count(" to 0.") == 2  # and nowhere else: the others are older


def test_other_libraries_and_other_seeds_are_told(small_project: Project) -> None:
    words = read().words
    assert "torchmetrics mIoU 0.500 absent classes count as 0" in words
    assert "0.700 ± 0.100 over 3 seeds" in words


def test_calibration_is_told_in_words_where_it_was_measured(small_project: Project) -> None:
    words = read().words
    told = "Confidence and accuracy are 0.120 apart, and 0.030 once the logits are divided by 1.50."
    assert words.count(told) == words.count("Confidence and accuracy are") == 1


def test_a_run_is_linked_where_tracking_goes_and_no_password_is_shown(
    small_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = next(one for one in evidence.gather().experiments if one.name == "unet_two")
    assert experiment.training
    run = f"#/experiments/1/runs/{experiment.training.run['tracking']['run_id']}"
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert page.mlflow_run(experiment) == f"http://127.0.0.1:5000/{run}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@ml.example.org/flow/")
    assert page.mlflow_run(experiment) == f"https://ml.example.org/flow/{run}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    assert page.mlflow_run(experiment) == f"http://127.0.0.1:5000/{run}"


def test_class_balance_is_a_share_of_the_counted_pixels_of_each_split() -> None:
    view = {
        "classes": [{"name": "road", "color": [1, 2, 3]}, {"name": "boat", "color": [4, 5, 6]}],
        "splits": {
            "train": {"classes": {"road": {"pixels": 30, "images": 2}, "boat": {"pixels": 10, "images": 1}}},
            "val": {"classes": {"road": {"pixels": 8, "images": 1}, "boat": {"pixels": 0, "images": 0}}},
        },
    }
    road, boat = page.balance(view)
    assert road["splits"] == [{"share": 0.75, "images": 2}, {"share": 1.0, "images": 1}]
    assert boat["splits"] == [{"share": 0.25, "images": 1}, {"share": 0.0, "images": 0}]


def test_importing_the_report_loads_nothing_heavy() -> None:
    heavy = ["matplotlib", "numpy", "jinja2", "PIL", "cv2", "pandas", "torch", "mlflow"]
    check = f"import sys, segpipe.reporting; sys.exit(str([m for m in {heavy} if m in sys.modules] or ''))"
    root = Path(page.__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", check], cwd=root, capture_output=True, text=True, check=False)
    assert run.stderr.strip() == ""


@pytest.mark.slow
def test_thirty_experiments_are_drawn_in_twenty_seconds(project: Project) -> None:
    project.add_set("drone_two", project.TWO, (300, 400))
    project.add_set("drone_five", project.FIVE, (300, 400))
    for k in range(30):
        name = f"experiment_{k:02}"
        project.add_experiment(name, ("drone_two", "drone_five")[k % 2], epochs=40)
        project.train(name, shift=1 + k % 5)
        project.evaluate(name, shift=1 + k % 5, images=10)
    began = time.monotonic()
    draw()
    assert time.monotonic() - began < 20
    assert artifacts.PAGE.stat().st_size < 15_000_000
