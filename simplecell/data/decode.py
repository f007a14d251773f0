"""A picture's bytes to its pixels: uint8, H, W, C, the way a person would see it.

JPEG goes through simplejpeg (libjpeg-turbo), everything else through Pillow. What is decided here:

* EXIF orientation is applied (Exif 2.3, tag 0x0112), in every format that carries it.
* Grey pictures have one channel, all others three (RGB). CMYK is converted without a colour profile.
* Transparent pixels are composited over white. (The colour key of a 16-bit RGB PNG is not applied.)
* 16-bit pixels are scaled to 8 bits by taking the high byte; pixels of other depth by their own maximum.
* Of an animation or a file of several pages, the first picture counts.
* The size is read from the header first: above ``max_pixels()`` nothing is decoded.
* A file that ends early, or whose data are corrupt where the format can tell, is refused.
"""

from __future__ import annotations

import logging
import os
import re
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from io import BytesIO
from typing import Any, Final

import numpy as np
import PIL
import simplejpeg
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from simplecell.errors import UserError

#: Changes whenever the same bytes may give other pixels; part of the key of every cached picture.
DECODER_VERSION: Final = f"1 simplejpeg-{simplejpeg.__version__} pillow-{PIL.__version__}"

#: Suffixes, in lower case, of the files that count as pictures.
PICTURE_SUFFIXES: Final = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".webp"),
        *(".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    }
)

_MAX_PIXELS: Final = 100_000_000
_ORIENTATION: Final = 0x0112
_REMEDY: Final = "restore it from its source, or remove it"

# First complaints of libjpeg about files whose pixels may well be whole: stray bytes before the end mark, of
# which the widely used cats-and-dogs photographs have some, and odd headers. Simplejpeg stops there; Pillow
# goes on, and still refuses a file that ends early. Any other complaint means damage.
_HARMLESS: Final = (
    "extraneous bytes before marker 0xd9",
    "Invalid SOS parameters",
    "JFIF revision",
    "Adobe color transform",
)

# Pillow warns and logs about metadata that are of no concern here. Where nobody listens to its log, Python
# would print it.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())

# Scans that a JPEG may have. A progressive one has about ten; each goes over all pixels however few bytes it
# takes, so that a file of a megabyte could keep a processor busy for an hour.
_MOST_SCANS: Final = 100
_JPEG_SEGMENT: Final = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
# Pillow expands run-length encoded BMPs in Python, at a tenth of a microsecond a pixel.
_MOST_BMP_RUNS: Final = 10_000_000
_PPM_COMMENT: Final = re.compile(rb"#[^\r\n]*[\r\n]?")

# Rows of a picture that are worked on at once where that takes more than a byte a value.
_STRIP: Final = 256


class TooManyPixelsError(UserError):
    """A picture that is larger than allowed."""


def decode(content: bytes, where: str, most: int | None = None) -> NDArray[np.uint8]:
    """Decode a picture: uint8, H, W, C with C 1 (grey) or 3 (RGB), contiguous and writable.

    ``where`` names the file in the sentence of the UserError that is raised for bytes that are no picture,
    are cut short or damaged, have too many pixels, or pixels whose range of values is unknown.
    ``most``: pixels that it may have, where that is less than ``max_pixels()``.
    """
    if not content:
        raise UserError("the file is empty", where=where, remedy=_REMEDY)
    decoder = _decode_jpeg if content.startswith(b"\xff\xd8\xff") else _decode_other
    return np.ascontiguousarray(decoder(content, where, most))


def max_pixels() -> int:
    """How many pixels (height × width) a picture may have: 100 million, or SIMPLECELL_MAX_PIXELS."""
    text = os.environ.get("SIMPLECELL_MAX_PIXELS")
    if text is None:
        return _MAX_PIXELS
    if not text.isascii() or not text.isdecimal() or int(text) == 0:
        raise UserError(
            f"{text!r} is not a number of pixels",
            where="SIMPLECELL_MAX_PIXELS",
            remedy="set a whole number such as 100000000, or unset it",
        )
    return int(text)


def _check_size(width: int, height: int, where: str, most: int | None) -> None:
    if width * height > _limit(most):
        raise _too_many(f"{width} × {height} pixels, more than", where, most)


def _limit(most: int | None) -> int:
    return max_pixels() if most is None else min(most, max_pixels())


def _too_many(pixels: str, where: str, most: int | None) -> TooManyPixelsError:
    trusted = "" if most is not None else ", or raise SIMPLECELL_MAX_PIXELS if you trust it"
    return TooManyPixelsError(
        f"the picture has {pixels} the {_limit(most):,} allowed",
        where=where,
        remedy=f"make it smaller{trusted}",
    )


def _damaged(reason: str, where: str) -> UserError:
    return UserError(f"the picture is cut short or damaged ({reason})", where=where, remedy=_REMEDY)


# ---------------------------------------------------------------------------------------------- JPEG


def _decode_jpeg(content: bytes, where: str, most: int | None) -> NDArray[np.uint8]:
    if content.count(b"\xff\xda") > _MOST_SCANS and (scans := _jpeg_scans(content)) > _MOST_SCANS:
        raise UserError(
            f"the JPEG has {scans:,} scans, more than the {_MOST_SCANS} allowed",
            where=where,
            remedy="save it anew, or remove it",
        )
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(content, strict=False)
    except (ValueError, KeyError):  # unusual subsampling, or no whole header: Pillow can tell
        return _decode_pillow(content, where, most, JpegImagePlugin.JpegImageFile)
    _check_size(width, height, where, most)
    target = {"Gray": "GRAY", "CMYK": "CMYK", "YCCK": "CMYK"}.get(space, "RGB")
    try:
        pixels = simplejpeg.decode_jpeg(content, target)
    except ValueError as error:
        if any(words in str(error) for words in _HARMLESS):
            return _decode_pillow(content, where, most, JpegImagePlugin.JpegImageFile)
        raise _damaged(_reason(error), where) from error
    if target == "CMYK":
        pixels = _inverted_cmyk_to_rgb(pixels)
    return _turn(pixels, jpeg_orientation(content))


def _jpeg_scans(content: bytes) -> int:
    """How many scans a JPEG has before its end mark; what follows that is no part of the picture."""
    scans, at = 0, 2
    while (segment := _JPEG_SEGMENT.search(content, at)) and segment[0] != b"\xff\xd9":
        scans += segment[0] == b"\xff\xda"
        at = segment.end() + max(2, int.from_bytes(content[segment.end() : segment.end() + 2], "big"))
    return scans


def _reason(error: Exception) -> str:
    """What a library says, as the end of one sentence."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _inverted_cmyk_to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """CMYK as JPEG files hold it (255 is no ink, the custom since Photoshop) to RGB: colour × black."""
    rgb = np.empty((*pixels.shape[:2], 3), dtype=np.uint8)
    for top in range(0, len(pixels), _STRIP):
        ink_free = pixels[top : top + _STRIP].astype(np.uint16)
        rgb[top : top + _STRIP] = (ink_free[..., :3] * ink_free[..., 3:] + 127) // 255
    return rgb


def jpeg_orientation(content: bytes) -> int:
    """EXIF orientation of a JPEG, 1 to 8; 1 where there is none or the metadata make no sense."""
    try:
        at = 2
        while content[at] == 0xFF and content[at + 1] not in (0xDA, 0xD9):
            if content[at + 1] == 0xFF:  # a fill byte before the marker
                at += 1
                continue
            (length,) = struct.unpack_from(">H", content, at + 2)
            if content[at + 1] == 0xE1 and content[at + 4 : at + 10] == b"Exif\0\0":
                return _tiff_orientation(content[at + 10 : at + 2 + length])
            at += 2 + max(length, 2)
    except (IndexError, struct.error):
        pass
    return 1


def _tiff_orientation(block: bytes) -> int:
    """The orientation in the first directory of a TIFF structure. Raises struct.error if it is cut."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return 1
    (directory,) = struct.unpack_from(order + "I", block, 4)
    (entries,) = struct.unpack_from(order + "H", block, directory)
    for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, kind, count, value = struct.unpack_from(order + "HHIH", block, entry)
        if tag == _ORIENTATION:
            return value if kind == 3 and count == 1 and 1 <= value <= 8 else 1
    return 1


def _turn(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo how the camera was held: EXIF orientation 1 to 8 says where row 0 and column 0 lie."""
    if orientation >= 5:  # rows of the file are columns of the picture
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


# ------------------------------------------------------------------------------------- other formats

_PLUGINS: Final[tuple[tuple[tuple[bytes, ...], Callable[[BytesIO], ImageFile.ImageFile]], ...]] = (
    ((b"\x89PNG\r\n\x1a\n",), PngImagePlugin.PngImageFile),
    ((b"GIF87a", b"GIF89a"), GifImagePlugin.GifImageFile),
    ((b"BM",), BmpImagePlugin.BmpImageFile),
    ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImagePlugin.TiffImageFile),
    (tuple(b"P%d" % kind for kind in range(1, 7)), PpmImagePlugin.PpmImageFile),
)


def _decode_other(content: bytes, where: str, most: int | None) -> NDArray[np.uint8]:
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _decode_pillow(content, where, most, WebPImagePlugin.WebPImageFile)
    if content.startswith((b"P1", b"P2", b"P3")):
        content = _PPM_COMMENT.sub(b"", content)  # Pillow copies all that follows for each
    for signatures, plugin in _PLUGINS:
        if content.startswith(signatures):
            return _decode_pillow(content, where, most, plugin)
    raise UserError(
        "the file is not a picture that can be read (JPEG, PNG, GIF, WebP, BMP, TIFF, PPM)",
        where=where,
        remedy="convert it to one of these, or remove it",
    )


def _decode_pillow(
    content: bytes, where: str, most: int | None, plugin: Callable[[BytesIO], ImageFile.ImageFile]
) -> NDArray[np.uint8]:
    """Decode by one of Pillow's plugins, chosen by the signature.

    Image.open would try them all, and would warn about large pictures, which are refused here already.
    """
    try:
        image = plugin(BytesIO(content))
        _check_size(*image.size, where, most)
        if any(tile.codec_name == "bmp_rle" for tile in image.tile):
            _check_size(*image.size, where, _MOST_BMP_RUNS)
        with _silent_stderr() if image.format == "TIFF" else nullcontext():
            image.load()
        if image.format == "PNG" and b"IEND" not in content:
            raise EOFError("no end mark")
        return _turn(_pixels(image, content, where), _pillow_orientation(image))
    except UserError:
        raise
    except Image.DecompressionBombError as error:  # found by Pillow as it opens a GIF or WebP
        raise _too_many("more pixels than", where, most) from error
    except Exception as error:  # on hostile bytes the plugins raise nearly anything
        raise _damaged(_reason(error), where) from error


def _pillow_orientation(image: ImageFile.ImageFile) -> int:
    if image.format == "TIFF":
        return 1  # the plugin has turned it already
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # metadata that make no sense cost nothing but the orientation
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _pixels(image: ImageFile.ImageFile, content: bytes, where: str) -> NDArray[np.uint8]:
    """The pixels of a loaded image, H, W, 1 or 3, before it is turned."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return _grey_of_16_bits(image)
    if image.mode in ("I", "F", "LAB"):
        raise UserError(
            f"the picture's pixels ({'CIE Lab' if image.mode == 'LAB' else '32-bit numbers'}) "
            "have no known range of values",
            where=where,
            remedy="save it with 8 or 16 bits a channel, grey or RGB",
        )
    if image.format == "PNG":
        _scale_colour_key(image, bits=content[24])
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if image.has_transparency_data:
        return _over_white(np.array(image.convert(mode + "A")))
    return np.array(image.convert(mode)).reshape(image.height, image.width, -1)


def _grey_of_16_bits(image: ImageFile.ImageFile) -> NDArray[np.uint8]:
    values = np.asarray(image).astype(np.uint16)
    tags: Any = getattr(image, "tag_v2", {})
    bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0]  # 12-bit TIFFs have the same mode
    grey: NDArray[np.uint8] = (values >> (bits - 8)).astype(np.uint8)
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        grey = ~grey  # white is zero
    key = image.info.get("transparency")
    if isinstance(key, int):
        grey[values == key] = 255
    return grey[..., None]


def _scale_colour_key(image: ImageFile.ImageFile, bits: int) -> None:
    """Bring the transparent value of a PNG, which Pillow leaves at the file's depth, to 8 bits."""
    key = image.info.get("transparency")
    if isinstance(key, int) and image.mode in ("1", "L"):
        image.info["transparency"] = key * 255 // (2**bits - 1)
    elif isinstance(key, tuple) and bits == 16:  # the pixels' low bytes are gone: no comparing with the key
        del image.info["transparency"]


def _over_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Composite H, W, C+1, alpha last, over white: H, W, C."""
    composite = np.empty((*pixels.shape[:2], pixels.shape[2] - 1), dtype=np.uint8)
    for top in range(0, len(pixels), _STRIP):
        strip = pixels[top : top + _STRIP].astype(np.uint16)
        colour, alpha = strip[..., :-1], strip[..., -1:]
        composite[top : top + _STRIP] = (colour * alpha + 255 * (255 - alpha) + 127) // 255
    return composite


_STDERR: Final = threading.Lock()


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep libtiff, which writes its complaints to the process's stderr, from being heard."""
    with _STDERR:
        try:
            saved = os.dup(2)
        except OSError:  # there is no stderr
            yield
            return
        try:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), 2)
                yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
