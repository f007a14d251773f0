"""The complete MNIST handwritten digits, as the four original idx files (gzip).

60,000 training and 10,000 test pictures of 28 × 28 grey pixels, in their original split and order.
LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, Proc. IEEE 86(11),
1998. The files have a licence of their own, CC BY-SA 3.0: see LICENCE beside them.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def path() -> Path:
    """The folder with the four files, for every reader of MNIST's idx format."""
    return Path(str(files(__name__)))
