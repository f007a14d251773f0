"""An exportable net as one ONNX model: pictures are fitted, normalised and answered inside."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from simplecell.errors import UserError
from simplecell.export.described import FITTED, PICTURE, Description
from simplecell.export.exportable import Exportable
from simplecell.export.fitting import fitting
from simplecell.export.session import library
from simplecell.own_code import one_line


def core(exportable: Exportable) -> Any:
    """The net alone as an ``onnx.ModelProto``: ``fitted``, uint8 N, C, h, w with N free, to its outputs.

    Raises UserError where torch.onnx cannot express the net.
    """
    library("onnx")
    library("onnxscript")  # by which torch.onnx writes
    geometry = exportable.geometry
    net = copy.deepcopy(exportable.net).cpu().eval()
    # Two: torch.export takes a batch of one for a net that answers one picture only.
    example = torch.zeros(2, geometry.channels, geometry.height, geometry.width, dtype=torch.uint8)
    with _silence():
        try:
            program = torch.onnx.export(
                net,
                (example,),
                dynamo=True,
                input_names=[FITTED],
                output_names=list(exportable.outputs),
                dynamic_shapes=({0: torch.export.Dim("N")},),
                verbose=False,
            )
        except Exception as error:  # a foreign net's code is traced: anything may be raised
            raise UserError(
                f"torch.onnx cannot express this net ({one_line(error)[:200]})",
                where="export",
                remedy="export it with --to safetensors, or train another net",
            ) from error
    assert program is not None
    return program.model_proto


def whole(net: Any, exportable: Exportable, description: Description) -> Any:
    """The net (an ``onnx.ModelProto`` from fitted pictures on) behind what fits whole pictures.

    Takes ``picture``, uint8 N, H, W, 3, RGB, with N, H and W free. Has the description as its metadata.
    """
    onnx = library("onnx")
    opset = next(each.version for each in net.opset_import if each.domain in ("", "ai.onnx"))
    first = fitting(exportable.geometry, opset=opset, ir_version=net.ir_version)
    # The halves' inner values may have equal names.
    first = onnx.compose.add_prefix(first, "fit.", rename_inputs=False, rename_outputs=False)
    for each in net.opset_import:  # quantised nets name domains that the other half has not
        if each.domain not in [known.domain for known in first.opset_import]:
            first.opset_import.append(each)
    model = onnx.compose.merge_models(first, net, io_map=[(FITTED, FITTED)], name="simplecell")
    model.producer_name = "simplecell"
    onnx.helper.set_model_props(model, description.to_metadata())
    onnx.checker.check_model(model)
    assert [each.name for each in model.graph.input] == [PICTURE]
    return model


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Within, the exporter keeps its progress and its advice to itself."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
