"""Reads images as RGB and masks as raw ids, and refuses every file whose pixels could mean something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from segpipe.labels import PLAIN, UNMAPPED, Color, Encoding, hexadecimal

CURES = {
    "unreadable": "Every file must decode to its last pixel: fetch it again",
    "orientation": "Images must be stored upright, since masks do not turn with the tag: turn the pixels instead",
    "mode": "Images have 8 bits a channel, masks one channel of raw ids (or equal ones): convert the file, "
    "or let a `layout:` read one `channel`, or colours",
}
"""What is expected, and what to do next, for each check that a file can fail."""

ORIENTATION_TAG = 0x0112
IMAGE_MODES = {"1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}
COLORS_NAMED = 100
"""Of one mask: a mask that was blurred or saved as JPEG has many thousands, and the first of them say so."""

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


def read_raw_mask(path: Path, encoding: Encoding = PLAIN) -> np.ndarray:
    """[H, W] uint8, the raw ids: grey values or palette indices, unless the encoding says channel or colour."""
    image = _load(path)
    if encoding.colors:
        return _places_of_colors(_color_codes(_opaque(path, image)), encoding.colors)
    if encoding.channel is not None:
        return np.ascontiguousarray(_opaque(path, image)[..., encoding.channel])
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


def unlisted_colors(path: Path, encoding: Encoding) -> dict[str, int]:
    """The colours of a mask that stand for no raw id, with their pixels: the most frequent ones."""
    codes = _color_codes(_opaque(path, _load(path)))
    found, counts = np.unique(codes[_places_of_colors(codes, encoding.colors) == UNMAPPED], return_counts=True)
    frequent = np.argsort(-counts, kind="stable")[:COLORS_NAMED]
    return {hexadecimal(int(found[i]).to_bytes(3, "big")): int(counts[i]) for i in frequent}


def _opaque(path: Path, image: Image.Image) -> np.ndarray:
    """[H, W, 3] uint8: what the mask looks like."""
    if image.mode not in ("1", "L", "P", "LA", "PA", "RGB", "RGBA"):
        raise Refusal(path, "mode", f"mask of mode {image.mode}")
    channels = np.asarray(image.convert("RGBA"))
    if (channels[..., 3] != 255).any():
        raise Refusal(path, "mode", "mask with transparent pixels")
    return channels[..., :3]


def _color_codes(colors: np.ndarray) -> np.ndarray:
    """A number for each colour: [..., 3] uint8 to [...] int32."""
    red, green, blue = np.moveaxis(colors.astype(np.int32), -1, 0)
    codes: np.ndarray = red << 16 | green << 8 | blue
    return codes


def _places_of_colors(codes: np.ndarray, colors: tuple[Color, ...]) -> np.ndarray:
    """The place of each pixel's colour among `colors`: [H, W] uint8, UNMAPPED where it is none of them."""
    listed = _color_codes(np.array(colors, np.uint8))
    order = np.argsort(listed)
    nearest = order[np.searchsorted(listed, codes, sorter=order).clip(max=len(colors) - 1)]
    return np.where(listed[nearest] == codes, nearest, UNMAPPED).astype(np.uint8)


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
