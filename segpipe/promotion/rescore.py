"""Scores the champion on the data of today, so that a candidate can be compared with it."""

from __future__ import annotations

from segpipe import artifacts, params
from segpipe.components import did_you_mean
from segpipe.inference.usable_model import chosen_machine, registered
from segpipe.promotion import evidence, recount
from segpipe.promotion.register import champion_of
from segpipe.terminal import say
from segpipe.tracking import registry


def rescore(model: str) -> None:
    """reports/champion.json with the champion's pixels on the set that its gate's experiment is prepared from."""
    gates = params.gates()
    if model not in gates:
        raise ValueError(f"params.yaml: gates: there is no '{model}'{did_you_mean(model, gates)}")
    experiment = gates[model].experiment
    prepared, how = params.experiment(experiment).prepared, params.evaluation(experiment)
    version = registry.find(model, registry.CHAMPION)
    champion = registered(version, chosen_machine())
    confusions = recount.recounted(champion, artifacts.prepared(prepared), how)
    before, miou = champion_of(version), recount.miou(confusions)
    today = {
        "counts": recount.counts(confusions),
        "data": artifacts.read_json(artifacts.prepared(prepared) / "manifest.json")["content"],
        "evaluation": how,
        "split": how.split,
        "miou": miou,
    }
    evidence.write_champion(model, before.model_copy(update=today))
    registered_miou = champion.config["metrics"]["miou"]
    where = f"{len(confusions)} images of {prepared}'s {how.split} split as they are today"
    say(
        f"{model}: version {version.number} was registered with mIoU {registered_miou:.4f}; "
        f"on {where}, it has {miou:.4f}"
    )
    say(f"{artifacts.CHAMPIONS} holds the new counts. Run the gate again: `python -m stages.gate`")
