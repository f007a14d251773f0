"""Pictures that lie, are cut, or are spliced: pixels or a sentence, in bounded time and memory."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from judging import judged
from mutation import EXAMPLES, mutated

from simplecell.data.decode import decode
from simplecell.errors import UserError

# As everywhere outside of tests; here they would be errors, and what follows them never tried.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")


ODD = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)
SMOOTH = Image.fromarray(ODD).resize((40, 30))


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def rle_bmp() -> bytes:
    """8 bits a pixel, run-length encoded: runs, a literal, a jump, ends of line; Pillow writes none."""
    data = bytes([5, 1, 0, 3, 1, 2, 3, 0, 0, 0, 0, 2, 1, 1, 4, 2, 0, 0, 8, 3, 0, 1])
    palette = bytes(range(256)) * 4
    header = struct.pack("<IiiHHIIiiII", 40, 8, 4, 1, 8, 1, len(data), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(data), 0, 0, 54 + 1024) + header + palette + data


def with_exif(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a description"
    return exif


def real_pictures() -> dict[str, list[bytes]]:
    """Small files of every format that ``decode`` takes, by format, in the variants that differ inside."""
    grey, palette = SMOOTH.convert("L"), SMOOTH.convert("P")
    sixteen = Image.fromarray(np.arange(63, dtype=np.uint16).reshape(7, 9) * 1000)
    frames = [SMOOTH.resize((20, 15)).rotate(90 * turn) for turn in range(3)]
    more = {"save_all": True, "append_images": frames[1:]}
    cut = [SMOOTH.convert("RGBA"), grey.convert("LA")]
    for image in cut:
        image.putalpha(grey)
    return {
        "JPEG": [
            encoded(SMOOTH, "JPEG", exif=with_exif()),
            encoded(SMOOTH, "JPEG", progressive=True, subsampling=0),
            encoded(SMOOTH.convert("CMYK"), "JPEG"),
            encoded(grey, "JPEG", restart_marker_blocks=2),
        ],
        "PNG": [
            encoded(SMOOTH, "PNG", exif=with_exif(), icc_profile=b"profile" * 9),
            encoded(palette, "PNG", transparency=3),
            encoded(sixteen, "PNG"),
            encoded(cut[0], "PNG", interlace=1),
            encoded(grey.convert("1"), "PNG"),
            encoded(frames[0], "PNG", **more),
        ],
        "GIF": [encoded(palette, "GIF", transparency=2, comment=b"hello"), encoded(frames[0], "GIF", **more)],
        "WebP": [
            encoded(SMOOTH, "WEBP", exif=with_exif()),
            encoded(cut[0], "WEBP", lossless=True, xmp=b"<tiff:Orientation>6<"),
            encoded(frames[0], "WEBP", **more),
        ],
        "BMP": [
            encoded(SMOOTH, "BMP"),
            encoded(palette, "BMP"),
            encoded(grey.convert("1"), "BMP"),
            rle_bmp(),
        ],
        "TIFF": [
            encoded(SMOOTH, "TIFF", exif=with_exif()),
            encoded(sixteen, "TIFF", compression="tiff_lzw"),
            encoded(SMOOTH, "TIFF", compression="jpeg"),
            encoded(SMOOTH, "TIFF", compression="tiff_deflate", big_tiff=True),
            encoded(grey.convert("1"), "TIFF", compression="group4"),
            encoded(cut[1], "TIFF", compression="packbits"),
            encoded(frames[0], "TIFF", **more),
        ],
        "PPM": [
            encoded(SMOOTH, "PPM"),
            encoded(grey, "PPM"),
            b"P1\n# a comment\n3 2\n1 0 1\n010\n",
            b"P3\n2 2 # sizes\n15\n1 2 3 4 5 6 7 8 9 10 11 12\n",
            b"P5\n3 2\n65535\n" + bytes(range(12)),
            b"P6\n2 1\n100\n" + bytes(range(6)),
        ],
    }


PICTURES = real_pictures()
SIGNS = [
    b"IHDR",
    b"IDAT",
    b"IEND",
    b"PLTE",
    b"tRNS",
    b"acTL",
    b"fdAT",
    b"eXIf",
    b"\xff\xd8",
    b"\xff\xda",
    b"\xff\xc2",
]
SIGNS += [
    b"\xff\xdd",
    b"\xff\xd9",
    b"Exif\0\0",
    b"II*\0",
    b"MM\0*",
    b"RIFF",
    b"VP8X",
    b"ALPH",
    b"ANMF",
    b"!\xf9",
    b"#",
]


def with_right_sums(content: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what is in them now: spoilt ones get further so."""
    at, parts = 8, [content[:8]]
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        end = min(at + 8 + length, len(content) - 4)
        parts += [content[at:end], struct.pack(">I", zlib.crc32(content[at + 4 : end]))]
        at = end + 4
    return b"".join(parts) + content[at:]


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is spoilt claims any size; a low limit keeps the honest work of most examples small."""
    monkeypatch.setenv("SIMPLECELL_MAX_PIXELS", "4000000")


@pytest.mark.parametrize("format", PICTURES)
def test_the_pictures_to_be_spoilt_are_whole(format: str) -> None:
    for content in PICTURES[format]:
        assert decode(content, "x").size


@pytest.mark.parametrize("format", PICTURES)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_a_spoilt_picture_is_pixels_or_a_sentence(format: str, data: st.DataObject) -> None:
    content = data.draw(mutated(PICTURES[format], SIGNS))
    if format == "PNG" and data.draw(st.booleans()):
        content = with_right_sums(content)
    pixels = judged(lambda: decode(content, "album/x.jpg"), "album/x.jpg")
    if not isinstance(pixels, UserError):
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] in (1, 3)
        assert pixels.size <= 3 * 4_000_000


# ---- lies, one by one


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*chunks: bytes, width: int = 4, height: int = 4) -> bytes:
    """A grey PNG with these chunks between its header and its end."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


@cache
def bomb(mebibytes: int = 1024) -> bytes:
    """Zlib data of a megabyte that unpack to a thousand."""
    zeros, packer, total = bytes(1 << 20), zlib.compressobj(9), 1
    blocks = [packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)]
    for _ in range(mebibytes):
        total = zlib.adler32(zeros, total)
    return blocks[0] + blocks[1] * (mebibytes - 1) + b"\x03\0" + struct.pack(">I", total)


PIXELS_OF_4 = chunk(b"IDAT", zlib.compress((b"\0" + b"\x80" * 4) * 4))


def directory(*entries: tuple[int, int, int, int], after: int = 0) -> bytes:
    """A TIFF of one directory: (tag, type, count, value or offset) each, then where the next one is."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + struct.pack("<I", after)


def tiff(
    width: int = 4, height: int = 4, after: int = 0, more: tuple[tuple[int, int, int, int], ...] = ()
) -> bytes:
    """A grey TIFF of 16 bytes of pixels."""
    size = 8 + 2 + 12 * (9 + len(more)) + 4
    usual = ((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1))
    usual += ((273, 4, 1, size), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 16))
    return directory(*usual, *more, after=after) + bytes(range(100, 116))


def same_data(tags: int, size: int) -> tuple[tuple[int, int, int, int], ...]:
    """Tags that all hold the same bytes: a reader that keeps each has many times the file."""
    return tuple((1000 + number, 7, size, 8) for number in range(tags))


def riff(width: int, height: int) -> bytes:
    """A WebP with an extended header that claims a size."""
    body = encoded(SMOOTH, "WEBP", lossless=True)[12:]
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    extended = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sizes + body
    return b"RIFF" + struct.pack("<I", len(extended)) + extended


def many_scans(scans: int) -> bytes:
    """A progressive JPEG that refines the same coefficients again and again."""
    content = encoded(Image.new("L", (64, 64), 99), "JPEG", progressive=True)
    tables, scan = content.rindex(b"\xff\xc4"), content.rindex(b"\xff\xd9")
    return content[:scan] + content[tables:scan] * scans + content[scan:]


def gif_beyond_its_screen() -> bytes:
    content = bytearray(PICTURES["GIF"][0])
    frame = content.index(b",\0\0\0\0")
    content[frame + 5 : frame + 9] = b"\xff" * 4
    return bytes(content)


TOO_MANY, DAMAGED = "pixels, more than the 4,000,000 allowed", "is cut short or damaged"
LIES: dict[str, tuple[bytes, str]] = {
    "PNG of 2**31 columns": (png(PIXELS_OF_4, width=2**31), TOO_MANY),
    "PNG of no columns": (png(PIXELS_OF_4, width=0), DAMAGED),
    "PNG of pixels it has not": (png(PIXELS_OF_4, width=2000, height=2000), DAMAGED),
    "PNG with a bomb for text": (png(chunk(b"zTXt", b"text\0\0" + bomb()), PIXELS_OF_4), DAMAGED),
    "PNG with a bomb for a profile": (png(chunk(b"iCCP", b"name\0\0" + bomb()), PIXELS_OF_4), DAMAGED),
    "GIF whose frame is larger than its screen": (
        gif_beyond_its_screen(),
        "more pixels than the 4,000,000 allowed",
    ),
    "WebP of 2**24 columns": (riff(2**24, 200), "more pixels than the 4,000,000 allowed"),
    "WebP of too many pixels": (encoded(Image.new("L", (2100, 2000)), "WEBP", lossless=True), TOO_MANY),
    "WebP whose canvas is not its picture's": (riff(1000, 1000), DAMAGED),
    "TIFF of 2**31 columns": (tiff(width=2**31), TOO_MANY),
    "TIFF of a million rows": (tiff(height=2**20), TOO_MANY),
    "TIFF of rows it has not": (tiff(height=2**19), DAMAGED),
    "JPEG of a thousand scans": (many_scans(1000), "has 1,006 scans, more than the 100 allowed"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_picture_that_lies_gets_its_sentence(lie: str) -> None:
    content, words = LIES[lie]
    error = judged(lambda: decode(content, "album/x.jpg"), "album/x.jpg")
    print(error)
    assert isinstance(error, UserError)
    assert words in str(error)


ODDITIES = {
    "PNG whose pixels go on": png(chunk(b"IDAT", bomb())),
    "PNG of tags with the same data": png(
        chunk(b"eXIf", directory(*same_data(20_000, 240_000))), PIXELS_OF_4
    ),
    "PNG of a hundred thousand chunks": png(chunk(b"tEXt", b"a\0b") * 100_000, PIXELS_OF_4),
    "TIFF whose directories go round": tiff(after=8),
    "TIFF of tags with the same data": tiff(more=same_data(20_000, 240_000)),
    "GIF of many comments": PICTURES["GIF"][1][:-1] + b"!\xfe\x01a\0" * 300_000 + b";",
    "PPM of millions of comments": b"P2\n2 2 3\n" + b"#\n" * 3_000_000 + b"0 1 2 3\n",
    "JPEG followed by other things": PICTURES["JPEG"][0] + b"\xff\xda" * 1000,
}


@pytest.mark.parametrize("oddity", ODDITIES)
def test_a_picture_with_an_odd_surrounding_is_read_in_bounded_memory(oddity: str) -> None:
    pixels = judged(lambda: decode(ODDITIES[oddity], "album/x.jpg"), "album/x.jpg")
    print(pixels if isinstance(pixels, UserError) else pixels.shape)
    assert not isinstance(pixels, UserError)


def test_run_lengths_of_many_pixels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIMPLECELL_MAX_PIXELS")
    content = rle_bmp()[:18] + struct.pack("<ii", 10_000_001, 1) + rle_bmp()[26:]
    error = judged(lambda: decode(content, "album/x.bmp"), "album/x.bmp")
    assert "pixels, more than the 10,000,000 allowed" in str(error)


def test_comments_between_numbers_change_nothing() -> None:
    plain = decode(b"P3\n2 2\n15\n1 2 3 4 5 6\n7 8 9 10 11 12\n", "x")
    spoken = decode(b"P3 #a\n2 2 #b\n15\n1 2#c\r 3 4 5 6 # 99 98\n7 8 9#\n 10 11 12\n# end", "x")
    assert (spoken == plain).all()


@pytest.mark.parametrize("number", range(len(PICTURES["PNG"])))
def test_a_png_cut_in_any_chunk_is_refused(number: int) -> None:
    content = PICTURES["PNG"][number]
    at = 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        # The pixels are whole once the name of the last chunk is there.
        last = content[at + 4 : at + 8] == b"IEND"
        for cut in (at, at + 4) if last else (at, at + 4, at + 8, at + 8 + length // 2, at + 8 + length):
            assert isinstance(judged(lambda cut=cut: decode(content[:cut], "x.png"), "x.png"), UserError)
        at += 12 + length
