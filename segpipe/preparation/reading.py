"""Reads images as RGB and masks as raw ids, and refuses every file whose pixels could mean something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

CURES = {
    "unreadable": "Every file must decode to its last pixel: fetch it again",
    "orientation": "Images must be stored upright, since masks do not turn with the tag: turn the pixels instead",
    "mode": "Images have 8 bits a channel, masks one channel of raw ids (or equal ones): convert the file",
}
"""What is expected, and what to do next, for each check that a file can fail."""

ORIENTATION_TAG = 0x0112
IMAGE_MODES = {"1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}
DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


class Refusal(ValueError):
    """A file that cannot be trusted: which check it fails, and what was found."""

    def __init__(self, path: Path, check: str, found: str) -> None:
        super().__init__(path, check, found)  # as they are, so that it can cross from process to process
        self.path, self.check, self.found = path, check, found

    def __str__(self) -> str:
        return f"{self.path}: {self.found}. {CURES[self.check]}"


def read_image(path: Path) -> np.ndarray:
    """[H, W, 3] uint8, RGB."""
    image = _load(path)
    if image.mode not in IMAGE_MODES:
        raise Refusal(path, "mode", f"image of mode {image.mode}")
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def read_raw_mask(path: Path) -> np.ndarray:
    """[H, W] uint8, the raw ids: grey values or palette indices, never palette colours."""
    image = _load(path)
    if image.mode in ("1", "L", "P"):
        return np.asarray(image).astype(np.uint8, copy=False)
    if image.mode not in ("LA", "PA", "RGB", "RGBA"):
        raise Refusal(path, "mode", f"mask of mode {image.mode}")
    channels = np.asarray(image)
    if image.mode.endswith("A"):
        if (channels[..., -1] != 255).any():
            raise Refusal(path, "mode", "mask with transparent pixels")
        channels = channels[..., :-1]
    ids = channels[..., 0]
    if any((channels[..., i] != ids).any() for i in range(1, channels.shape[-1])):
        raise Refusal(path, "mode", "mask whose channels differ")
    return np.ascontiguousarray(ids)


def _load(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            # Pillow keeps only the high byte of 16-bit colour, without a word: its name is in the decoder's arguments.
            is_deep = ";16" in str(image.tile)
            image.load()
    except DECODING_ERRORS as error:
        raise Refusal(path, "unreadable", _what_failed(path, error)) from error
    if is_deep:
        raise Refusal(path, "mode", "16 bits a channel")
    if (orientation := image.getexif().get(ORIENTATION_TAG, 1)) != 1:
        raise Refusal(path, "orientation", f"EXIF orientation {orientation}")
    return image


def _what_failed(path: Path, error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image" if path.stat().st_size else "empty file"
    return getattr(error, "strerror", None) or str(error)
