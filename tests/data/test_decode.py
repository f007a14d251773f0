"""Decoding: every kind of picture comes out as a person sees it, and everything else gets its sentence."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from simplecell.data import decode as module
from simplecell.data.decode import decode, jpeg_orientation
from simplecell.errors import UserError

# Outside pytest, Pillow's warnings on odd metadata are silenced; see the test of stderr below.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")


def blocks(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A colourful picture without symmetry: H, W, 3 of flat 8-pixel blocks, which JPEG keeps well."""
    cells = np.random.default_rng(7).integers(0, 256, (height // 8, width // 8, 3))
    return np.kron(cells, np.ones((8, 8, 1))).astype(np.uint8)


def encoded(image: Image.Image | NDArray[np.uint8], format: str, **options: object) -> bytes:
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, format, **options)
    return file.getvalue()


def with_orientation(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def refusal(content: bytes) -> str:
    with pytest.raises(UserError) as caught:
        decode(content, "album/x.jpg")
    assert caught.value.where == "album/x.jpg"
    assert caught.value.remedy
    return str(caught.value)


LOSSLESS = ["PNG", "BMP", "TIFF", "PPM"]
ALL = [*LOSSLESS, "JPEG", "GIF", "WEBP"]


@pytest.mark.parametrize("format", LOSSLESS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_lossless_pictures_keep_their_pixels_and_channels(format: str, mode: str) -> None:
    image = Image.fromarray(blocks()).convert(mode)
    content = encoded(image, format)
    pixels = decode(content, "")
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    assert (pixels == np.asarray(image).reshape(48, 64, -1)).all()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs_agree_with_pillow(mode: str, progressive: bool) -> None:
    content = encoded(Image.fromarray(blocks()).convert(mode), "JPEG", quality=90, progressive=progressive)
    reference = Image.open(io.BytesIO(content)).convert("L" if mode == "L" else "RGB")
    difference = decode(content, "").astype(int) - np.asarray(reference).reshape(48, 64, -1)
    assert abs(difference).max() <= 1  # the last bit of CMYK's product


def test_a_ycck_jpeg_agrees_with_pillow() -> None:
    content = bytearray(encoded(Image.fromarray(blocks()).convert("CMYK"), "JPEG", quality=90))
    adobe = content.index(b"Adobe")
    assert content[adobe + 11] == 0
    content[adobe + 11] = 2  # the transform flag: the first three channels are YCC
    assert simplejpeg.decode_jpeg_header(bytes(content))[2] == "YCCK"
    reference = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    assert abs(decode(bytes(content), "") - reference).max() <= 2


def test_a_jpeg_of_unusual_subsampling_is_read() -> None:
    # The four equal components of a CMYK file make a stream of three, of which the second has 2 x 1 blocks.
    content = bytearray(encoded(Image.new("CMYK", (8, 8), (30, 60, 90, 120)), "JPEG"))
    frame, scan = content.index(b"\xff\xc0"), content.index(b"\xff\xda")
    head = content[frame : frame + 10] + b"\x01\x11\x00\x02\x21\x00\x03\x11\x00"
    head[3], head[8], head[9] = 17, 16, 3  # length, width, components
    selectors = bytearray(b"\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00")
    rest = content[scan + 2 + int.from_bytes(content[scan + 2 : scan + 4]) :]
    tables = content[frame + 2 + int.from_bytes(content[frame + 2 : frame + 4]) : scan]
    odd = bytes(content[:frame] + head + tables + selectors + rest)
    with pytest.raises(ValueError, match="subsampling"):
        simplejpeg.decode_jpeg(odd)
    assert decode(odd, "").shape == (8, 16, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(format: str, orientation: int) -> None:
    options = {"lossless": True} if format == "WEBP" else {"quality": 95} if format == "JPEG" else {}
    content = encoded(blocks(), format, exif=with_orientation(orientation), **options)
    image = Image.open(io.BytesIO(content))
    reference = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert reference.shape == ((48, 64, 3) if orientation <= 4 else (64, 48, 3))
    assert (decode(content, "") == reference).all()


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_of_exif_are_understood(order: str) -> None:
    head = b"II*\0" if order == "<" else b"MM\0*"
    block = head + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    segment = b"\xff\xe1" + struct.pack(">H", 8 + len(block)) + b"Exif\0\0" + block
    plain = encoded(blocks(), "JPEG")
    content = plain[:2] + segment + plain[2:]
    assert jpeg_orientation(content) == 6
    assert (decode(content, "") == np.rot90(decode(plain, ""), -1)).all()


@given(st.binary(max_size=80))
def test_absurd_exif_costs_nothing_but_the_orientation(block: bytes) -> None:
    segment = b"\xff\xe1" + struct.pack(">H", 8 + len(block)) + b"Exif\0\0" + block
    plain = encoded(blocks(), "JPEG")
    assert jpeg_orientation(plain[:2] + segment + plain[2:]) in range(1, 9)


@given(st.binary(max_size=40), st.sampled_from([b"II*\0", b"MM\0*"]))
def test_exif_with_absurd_offsets_decodes(block: bytes, head: bytes) -> None:
    segment = b"\xff\xe1" + struct.pack(">H", 12 + len(block)) + b"Exif\0\0" + head + block
    plain = encoded(blocks(), "JPEG")
    assert decode(plain[:2] + segment + plain[2:], "").size == 48 * 64 * 3


def png(width: int, height: int, depth: int, kind: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG from its parts; rows of ``height`` lines, each after a filter byte of 0."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("depth", "row", "grey"),
    [
        (1, b"\x40", [0, 255]),
        (2, b"\x60", [85, 170]),
        (4, b"\x3c", [51, 204]),
        (8, b"\x03\xfe", [3, 254]),
        (16, b"\x12\x00\xfe\xff", [0x12, 0xFE]),
    ],
)
def test_grey_pngs_of_every_depth(depth: int, row: bytes, grey: list[int]) -> None:
    assert decode(png(2, 1, depth, 0, b"\0" + row), "")[..., 0].tolist() == [grey]


@pytest.mark.parametrize(
    ("depth", "row", "key", "grey"),
    [
        (1, b"\x40", 0, [255, 255]),
        (2, b"\x60", 1, [255, 170]),
        (4, b"\x3c", 3, [255, 204]),
        (8, b"\x03\xfe", 3, [255, 254]),
        (16, b"\x12\x00\xfe\xff", 0x1200, [255, 0xFE]),
        (16, b"\x12\x01\xfe\xff", 0x1200, [0x12, 0xFE]),
    ],
)
def test_the_transparent_grey_of_a_png_becomes_white(
    depth: int, row: bytes, key: int, grey: list[int]
) -> None:
    content = png(2, 1, depth, 0, b"\0" + row, (b"tRNS", struct.pack(">H", key)))
    assert decode(content, "")[..., 0].tolist() == [grey]


def test_the_transparent_colour_of_a_png_becomes_white() -> None:
    content = png(2, 1, 8, 2, b"\0" + bytes([1, 2, 3, 4, 5, 6]), (b"tRNS", struct.pack(">HHH", 1, 2, 3)))
    assert decode(content, "").tolist() == [[[255, 255, 255], [4, 5, 6]]]


def test_a_16_bit_colour_png_keeps_its_high_bytes() -> None:
    row = b"\0" + struct.pack(">6H", 0x0100, 0x0200, 0x0300, 0xFFFF, 0x80FF, 0)
    assert decode(png(2, 1, 16, 2, row), "").tolist() == [[[1, 2, 3], [255, 128, 0]]]
    keyed = png(2, 1, 16, 2, row, (b"tRNS", struct.pack(">HHH", 0x0100, 0x0200, 0x0300)))
    assert decode(keyed, "").tolist() == [[[1, 2, 3], [255, 128, 0]]]


def test_a_palette_png_with_partly_transparent_colours() -> None:
    chunks = [(b"PLTE", bytes([10, 20, 30, 200, 100, 0])), (b"tRNS", bytes([255, 51]))]
    pixels = decode(png(2, 1, 1, 3, b"\0\x40", *chunks), "")
    assert pixels.tolist() == [[[10, 20, 30], [244, 224, 204]]]  # a fifth of the colour, four of white


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_composited_over_white(mode: str) -> None:
    image = Image.fromarray(blocks()).convert(mode)
    alpha = Image.fromarray(np.arange(48 * 64, dtype=np.uint32).reshape(48, 64).astype(np.uint8))
    image.putalpha(alpha)
    pixels = decode(encoded(image, "PNG"), "")
    parts = np.asarray(image).astype(float) / 255
    expected = 255 * (parts[..., :-1] * parts[..., -1:] + 1 - parts[..., -1:])
    assert pixels.shape == expected.shape
    assert abs(pixels - expected).max() <= 0.5 + 1e-9


def ramp16() -> NDArray[np.uint16]:
    return np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)  # the 8-bit values, exactly


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_to_8_bits(format: str) -> None:
    pixels = decode(encoded(Image.fromarray(ramp16()), format), "")
    assert pixels[..., 0].ravel().tolist() == list(range(256))


def test_a_pgm_of_12_bits_is_scaled_by_its_own_maximum() -> None:
    values = np.array([0, 1024, 4095], ">u2")
    assert decode(b"P5\n3 1\n4095\n" + values.tobytes(), "")[..., 0].tolist() == [[0, 64, 255]]


def tiff16(values: NDArray[np.uint16], photometric: int) -> bytes:
    height, width = values.shape
    entries = [(256, 4, width), (257, 4, height), (258, 3, 16), (259, 3, 1), (262, 3, photometric)]
    entries += [(273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, values.nbytes)]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return (
        b"II*\0"
        + struct.pack("<I", 8 + values.nbytes)
        + values.astype("<u2").tobytes()
        + directory
        + bytes(4)
    )


@pytest.mark.parametrize("photometric", [0, 1])
def test_a_16_bit_tiff_may_count_from_white(photometric: int) -> None:
    grey = decode(tiff16(ramp16(), photometric), "")[..., 0].ravel().tolist()
    assert grey == (list(range(256)) if photometric else list(range(255, -1, -1)))


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_tiffs_of_unknown_range_are_refused(dtype: type) -> None:
    content = encoded(Image.fromarray(np.ones((4, 4), dtype)), "TIFF")
    assert "no known range of values; save it with 8 or 16 bits" in refusal(content)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_picture_of_several_counts(format: str) -> None:
    colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200)]
    frames = [Image.new("RGB", (16, 12), colour) for colour in colours]
    options = {"lossless": True} if format == "WEBP" else {}
    content = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(content)).n_frames == 3
    assert (decode(content, "") == np.array(colours[0])).all()


def test_a_transparent_gif_is_white_where_nothing_is() -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    assert decode(encoded(image, "GIF", transparency=0), "").tolist() == [[[255, 255, 255], [40, 50, 60]]]


@pytest.mark.parametrize("format", ALL)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9])
def test_a_truncated_picture_is_named(format: str, part: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = encoded(noise, format)
    assert "cut short or damaged" in refusal(content[: int(len(content) * part)])


@given(st.integers(min_value=1, max_value=10**6))
def test_a_jpeg_cut_anywhere_is_refused(cut: int) -> None:
    content = encoded(blocks(), "JPEG", progressive=bool(cut % 2))
    kept = content[: cut % (len(content) - 1) + 1]
    assert "album/x.jpg" in refusal(kept)


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_a_picture_with_corrupt_data_is_refused(format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = bytearray(encoded(noise, format))
    middle = len(content) // 2
    content[middle : middle + 40] = b"\x00\xff\xd0\xff\xd9" * 8
    assert "cut short or damaged" in refusal(bytes(content))


def test_a_whole_jpeg_with_stray_bytes_is_read() -> None:
    content = encoded(blocks(), "JPEG")
    stray = content[:-2] + b"stray bytes" + content[-2:]
    with pytest.raises(ValueError, match="extraneous"):
        simplejpeg.decode_jpeg(stray)
    assert (decode(stray, "") == decode(content, "")).all()


@pytest.mark.parametrize(
    "content", [b"<html>404 Not Found</html>", b"\0" * 5000, b"PK\x03\x04", b"\xff\xd8", b"%PDF-1.7"]
)
def test_what_is_no_picture_is_named(content: bytes) -> None:
    assert "is not a picture that can be read" in refusal(content)


def test_an_empty_file_is_named() -> None:
    assert "the file is empty" in refusal(b"")


@given(st.sampled_from(ALL), st.data())
def test_mangled_pictures_are_pictures_or_refused(format: str, data: st.DataObject) -> None:
    content = bytearray(encoded(blocks(16, 16), format))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels = decode(bytes(content), "x")
    except UserError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] in (1, 3)


def claiming(format: str, side: int) -> bytes:
    """A small file whose header claims side x side pixels."""
    content = bytearray(encoded(blocks(16, 16), format))
    if format == "PNG":
        content[16:24] = struct.pack(">II", side, side)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    elif format == "JPEG":
        at = content.index(b"\xff\xc0") + 5
        content[at : at + 4] = struct.pack(">HH", side, side)
    elif format == "GIF":
        content[6:10] = struct.pack("<HH", side, side)
    elif format == "BMP":
        content[18:26] = struct.pack("<ii", side, side)
    else:
        return f"P6\n{side} {side}\n255\n".encode()
    return bytes(content)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "PPM"])
def test_a_decompression_bomb_is_refused_by_its_header(format: str) -> None:
    assert "60000 × 60000 pixels, more than the 100,000,000 allowed" in refusal(claiming(format, 60000))


def test_the_limit_of_pixels_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(blocks(48, 64), "PNG")
    monkeypatch.setenv("SIMPLECELL_MAX_PIXELS", str(48 * 64))
    assert decode(content, "").shape == (48, 64, 3)
    monkeypatch.setenv("SIMPLECELL_MAX_PIXELS", str(48 * 64 - 1))
    assert "more than the 3,071 allowed" in refusal(content)
    monkeypatch.setenv("SIMPLECELL_MAX_PIXELS", "many")
    with pytest.raises(UserError, match="SIMPLECELL_MAX_PIXELS: 'many' is not a number of pixels"):
        decode(content, "")


def test_threads_decode_the_same_pictures() -> None:
    contents = [encoded(blocks(48, 64), format) for format in ALL] * 8
    alone = [decode(content, "") for content in contents]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(decode, contents, [""] * len(contents)))
    assert all((one == other).all() for one, other in zip(alone, together, strict=True))


def test_nothing_is_heard_on_stderr() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    broken = [encoded(noise, "TIFF", compression=kind) for kind in ("tiff_lzw", "jpeg", "tiff_deflate")]
    broken += [encoded(noise, format) for format in ALL]
    absurd = bytearray(tiff16(ramp16(), 1))
    samples = absurd.rindex(struct.pack("<HHI", 277, 3, 1))
    absurd[samples + 8] = 200  # samples a pixel, which Pillow logs as an error
    broken.append(bytes(absurd))
    program = (
        "import sys\n"
        "from simplecell.data.decode import decode\n"
        "from simplecell.errors import UserError\n"
        "for text in sys.stdin.read().split():\n"
        "    whole = bytes.fromhex(text)\n"
        "    half = len(whole) // 2\n"
        "    for content in (whole, whole[:half], whole[:half] + b'nonsense' * 3 + whole[half + 24 :]):\n"
        "        try: decode(content, 'x')\n"
        "        except UserError: pass\n"
        "print('still here', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input="\n".join(content.hex() for content in broken),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "still here\n"


def test_the_version_names_the_libraries() -> None:
    assert simplejpeg.__version__ in module.DECODER_VERSION
    assert Image.__version__ in module.DECODER_VERSION
