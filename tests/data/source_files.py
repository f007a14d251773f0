"""Small data sets as files and archives, and what reading a faulty one says."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from simplecell.data.sources import read_source
from simplecell.errors import UserError


def picture(shade: int = 0) -> bytes:
    """A tiny PNG whose pixels all have one shade of grey."""
    file = io.BytesIO()
    Image.new("RGB", (4, 3), (shade, shade, shade)).save(file, "PNG")
    return file.getvalue()


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def refusal(path: Path, format: str = "auto") -> str:
    with pytest.raises(UserError) as caught:
        read_source(path, format)
    assert caught.value.where
    assert caught.value.remedy
    return str(caught.value)


PETS = {f"{kind}/{number}.png": picture(number) for kind in ("cat", "dog") for number in range(3)}
