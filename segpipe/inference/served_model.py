"""The registered model as MLflow runs it: this file is its code, the artifacts beside it its weights and settings.

An image goes in as base64 of a PNG or JPEG; its mask comes out as base64 of a PNG of class ids, at the image's size.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class ServedModel(PythonModel):  # type: ignore[misc] # mlflow's types are too slow to follow
    """Loads without pickle: safetensors, JSON, and segpipe's own code."""

    def load_context(self, context: Any) -> None:
        from segpipe import artifacts, params
        from segpipe.devices import machine
        from segpipe.inference.usable_model import assembled

        files = {name: Path(path) for name, path in context.artifacts.items()}
        config = artifacts.read_json(files["config"])
        here = machine(params.hardware())  # of the environment: SEGPIPE_DEVICE, SEGPIPE_PRECISION
        self.usable = assembled("served", config, files["checkpoint"], files["origin"], here)

    # MLflow takes other hints than a table's for the schema of a request, and warns where there are none.
    def predict(
        self, context: Any, model_input: pandas.DataFrame, params: dict[str, Any] | None = None
    ) -> pandas.DataFrame:
        return pandas.DataFrame({"mask": [self._mask(encoded) for encoded in model_input["image"]]})

    def _mask(self, encoded: str) -> str:
        from PIL import Image

        mask = self.usable.mask(np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")))
        png = io.BytesIO()
        Image.fromarray(mask).save(png, format="PNG")
        return base64.b64encode(png.getvalue()).decode()


set_model(ServedModel())
