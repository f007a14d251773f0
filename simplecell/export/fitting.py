"""The first half of preprocessing as an ONNX graph: whole pictures, uint8 RGB, become fitted ones.

It is ``simplecell.data.geometry`` once more, in another language, for pictures of any size. ONNX Runtime's
antialiased Resize averages as Pillow and torch do; where a pixel lies between two levels they may round it
differently: pixels differ by a level of 255, those of a bicubic filter by two at most.
"""

from __future__ import annotations

from typing import Any

from simplecell.data.geometry import LETTERBOX_GREY, LONGEST_STRIP, Geometry

_HEAD = """
<ir_version: {ir}, opset_import: ["" : {opset}]>
fit (uint8[N,H,W,3] picture) => (uint8[N,{channels},{height},{width}] fitted) {{
    target = Constant <value_ints=[{height}, {width}]> ()
"""

# A side is max(covering, ⌊other covering · side / other side⌋): the picture just covers the target/margin.
_CROP = """
    whole_size = Shape <start=1, end=3> (picture)
    shorter = ReduceMin <keepdims=1> (whole_size)
    slim = Constant <value=double {{{slim}}}> ()
    shorter_float = Cast <to=11> (shorter)
    longest_float = Mul (slim, shorter_float)
    longest_up = Ceil (longest_float)
    longest = Cast <to=7> (longest_up)
    zero = Constant <value_int=0> ()
    two = Constant <value_int=2> ()
    rows_columns = Constant <value_ints=[1, 2]> ()
    surplus = Sub (whole_size, longest)
    cut = Max (surplus, zero)
    first = Div (cut, two)
    last = Add (first, longest)
    middle = Slice (picture, first, last, rows_columns)
    moved = Transpose <perm=[0, 3, 1, 2]> (middle)
    size = Shape <start=2> (moved)
    covering = Constant <value_ints=[{tall}, {wide}]> ()
    turned_covering = Constant <value_ints=[{wide}, {tall}]> ()
    height = Shape <start=2, end=3> (moved)
    width = Shape <start=3> (moved)
    turned_size = Concat <axis=0> (width, height)
    scaled = Mul (turned_covering, size)
    shared = Div (scaled, turned_size)
    resized_size = Max (covering, shared)
    spare = Sub (resized_size, target)
    spare_float = Cast <to=11> (spare)
    half = Constant <value=double {{0.5}}> ()
    offset_float = Mul (spare_float, half)
    offset_round = Round (offset_float)
    offset = Cast <to=7> (offset_round)
    offset_end = Add (offset, target)
    down_across = Constant <value_ints=[2, 3]> ()
    outer = Shape <end=2> (moved)
    sizes = Concat <axis=0> (outer, resized_size)
    resized = Resize <{resize}> (moved, , , sizes)
    placed = Slice (resized, offset, offset_end, down_across)
"""

_SQUASH = """
    moved = Transpose <perm=[0, 3, 1, 2]> (picture)
    outer = Shape <end=2> (moved)
    sizes = Concat <axis=0> (outer, target)
    placed = Resize <{resize}> (moved, , , sizes)
"""

_LETTERBOX = """
    moved = Transpose <perm=[0, 3, 1, 2]> (picture)
    size = Shape <start=2> (moved)
    size_float = Cast <to=11> (size)
    target_float = Cast <to=11> (target)
    scales = Div (target_float, size_float)
    scale = ReduceMin <keepdims=1> (scales)
    scaled = Mul (size_float, scale)
    rounded = Round (scaled)
    whole = Cast <to=7> (rounded)
    one = Constant <value_int=1> ()
    at_least = Max (whole, one)
    resized_size = Min (at_least, target)
    outer = Shape <end=2> (moved)
    sizes = Concat <axis=0> (outer, resized_size)
    resized = Resize <{resize}> (moved, , , sizes)
    two = Constant <value_int=2> ()
    spare = Sub (target, resized_size)
    before = Div (spare, two)
    after = Sub (spare, before)
    none = Constant <value_ints=[0, 0]> ()
    margins = Concat <axis=0> (none, before, none, after)
    grey = Constant <value=uint8 {{{grey}}}> ()
    placed = Pad (resized, margins, grey)
"""

_COLOUR = """
    fitted = Identity (placed)
}}
"""

# The luma of ITU-R BT.601 in whole numbers, as in simplecell.data.geometry.with_channels.
_GREY = """
    weights = Constant <value=int32[1,3,1,1] {{19595, 38470, 7471}}> ()
    placed_int = Cast <to=6> (placed)
    weighted = Mul (placed_int, weights)
    channel = Constant <value_ints=[1]> ()
    sum = ReduceSum (weighted, channel)
    up = Constant <value=int32 {{32768}}> ()
    sum_up = Add (sum, up)
    parts = Constant <value=int32 {{65536}}> ()
    luma = Div (sum_up, parts)
    fitted = Cast <to=2> (luma)
}}
"""

_FILTERS = {
    "bilinear": 'antialias=1, exclude_outside=1, mode="linear"',
    "bicubic": 'antialias=1, exclude_outside=1, mode="cubic", cubic_coeff_a=-0.5',
}


def fitting(geometry: Geometry, *, opset: int, ir_version: int) -> Any:
    """The graph (an ``onnx.ModelProto``) that does what ``geometry.fit`` does to pictures of one size.

    Input ``picture``: uint8 N, H, W, 3, RGB, with N, H and W free. Output ``fitted``: uint8 N, C, h, w.
    """
    from onnx import parser

    ways = {"crop": _CROP, "squash": _SQUASH, "letterbox": _LETTERBOX}
    text = _HEAD + ways[geometry.how] + (_COLOUR if geometry.channels == 3 else _GREY)
    return parser.parse_model(
        text.format(
            ir=ir_version,
            opset=opset,
            channels=geometry.channels,
            height=geometry.height,
            width=geometry.width,
            tall=round(geometry.height / geometry.margin),
            wide=round(geometry.width / geometry.margin),
            slim=LONGEST_STRIP * max(geometry.height / geometry.width, geometry.width / geometry.height),
            resize=_FILTERS[geometry.filter],
            grey=LETTERBOX_GREY,
        )
    )
