"""The registered model as MLflow runs it: this file is its code, the artifacts beside it its weights and settings.

An image goes in as base64 of a PNG or JPEG; its mask comes out as base64 of a PNG of class ids, at the image's size.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class ServedModel(PythonModel):  # type: ignore[misc] # mlflow's types are too slow to follow
    """Loads without pickle: safetensors, JSON, and segpipe's own code."""

    def load_context(self, context: Any) -> None:
        from segpipe import artifacts
        from segpipe.checkpoints import build_model, load_model
        from segpipe.params.schema import Component

        files = {name: Path(path) for name, path in context.artifacts.items()}
        self.config = artifacts.read_json(files["config"])
        experiment = self.config["experiment"]
        settings = Component.model_validate(experiment["model"])
        model = build_model(settings, len(self.config["labels"]["classes"]), files["origin"], experiment["seed"])
        self.model = load_model(model, files["checkpoint"])

    # MLflow would take type hints here for the schema of a request.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        import pandas

        return pandas.DataFrame({"mask": [self._mask(encoded) for encoded in model_input["image"]]})

    def _mask(self, encoded: str) -> str:
        from PIL import Image

        from segpipe.inference.predict import predict

        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"))
        height, width = self.config["size"]
        mask = predict(self.model, image, (height, width), self.config["interpolation"])
        png = io.BytesIO()
        Image.fromarray(mask).save(png, format="PNG")
        return base64.b64encode(png.getvalue()).decode()


set_model(ServedModel())
