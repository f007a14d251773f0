"""Land a known data set in a folder that trains: fetched, unpacked and laid out, or nothing at all."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from simplecell.data.download import fetch
from simplecell.data.known import Known
from simplecell.data.unpack import unpack
from simplecell.errors import UserError
from simplecell.run import to_json, write_atomically

#: Names the data set that a folder was landed with; hidden, so that no source takes it for data.
MARKER = ".simplecell.json"


def land(known: Known, folder: Path) -> None:
    """Fetch a data set and lay it out in ``folder``, ready to train; a folder that has it is left as it is.

    Files on their way lie in ``FOLDER.download``, from where an interrupted download goes on; ``folder``
    appears by one rename when it is complete. Raises UserError when ``folder`` holds something else, or the
    data set as it was not landed, and as ``fetch`` and ``unpack`` do.
    """
    folder = folder.absolute()  # so that "." has a name, too
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        _check_landed(known, folder)
        return
    downloads = folder.with_name(f"{folder.name}.download")
    try:
        fetched = [
            fetch(file.urls, downloads / file.name, checksum=file.checksum, size=file.size)
            for file in known.files
        ]
    except UserError:
        with suppress(OSError):
            downloads.rmdir()  # unless something has arrived
        raise
    with _staging(folder) as staging:
        if known.root is None:
            staging.mkdir()
            for path in fetched:
                shutil.copyfile(path, staging / path.name)
        else:
            unpack(fetched[0], staging, known.root)
            _rename_classes(staging, known.rename)
        _mark(known, staging)
        os.replace(staging, folder)
    shutil.rmtree(downloads, ignore_errors=True)


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A name beside ``folder`` to build it under; what is left under that name afterwards is removed."""
    staging = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        yield staging
    except OSError as error:
        raise UserError(
            f"cannot be written ({error.strerror or error})",
            where=folder,
            remedy="make room or choose another folder with --out, then run this again",
        ) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _rename_classes(folder: Path, names: Mapping[str, str]) -> None:
    """Give the class folders of every side their names."""
    for side in [path for path in folder.iterdir() if path.is_dir()]:
        for old, new in names.items():
            if (side / old).is_dir():
                (side / old).rename(side / new)


def _extent(folder: Path) -> dict[str, int]:
    """How many files there are below the folder, the marker aside, and how many bytes they hold."""
    sizes = [
        (Path(place) / name).stat().st_size
        for place, _, names in os.walk(folder)
        for name in names
        if name != MARKER
    ]
    return {"files": len(sizes), "bytes": sum(sizes)}


def _mark(known: Known, folder: Path) -> None:
    """Write down what the folder holds and whence."""
    facts = {
        "format": 1,
        "name": known.name,
        "licence": known.licence,
        "page": known.page,
        "from": {file.name: {"urls": file.urls, "checksum": file.checksum} for file in known.files},
        **_extent(folder),
    }
    write_atomically(folder / MARKER, to_json(facts))


def _check_landed(known: Known, folder: Path) -> None:
    """Raise UserError unless the folder is this data set, whole."""
    try:
        facts = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        name, extent = facts["name"], {key: facts[key] for key in ("files", "bytes")}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        name, extent = None, {}
    if name != known.name:
        raise UserError("holds something else", where=folder, remedy="choose another folder with --out")
    if _extent(folder) != extent:
        raise UserError(
            f"holds {known.name} with files changed, added or gone since it was fetched",
            where=folder,
            remedy="remove the folder and run this again",
        )
