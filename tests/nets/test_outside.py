"""Nets from a file."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from torch import nn

from simplecell.errors import UserError
from simplecell.nets.outside import from_file

PICTURES = {"channels": 3, "classes": 5, "height": 8, "width": 6}


def written(folder: Path, text: str) -> str:
    path = folder / "my_net.py"
    path.write_text(dedent(text), encoding="utf-8")
    return str(path)


def test_a_function_builds_a_net_from_the_arguments_it_accepts(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        from torch import nn

        def build(channels, *, classes, depth=2):
            assert (channels, classes, depth) == (3, 5, 2)
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
        """,
    )
    net = from_file(f"{file}:build", **PICTURES)
    assert net(torch.zeros(2, 3, 8, 6)).shape == (2, 5)


def test_keywords_of_any_name_get_all_four(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        from torch import nn

        def build(**given):
            assert given == {"channels": 3, "classes": 5, "height": 8, "width": 6}
            return nn.Identity()
        """,
    )
    assert isinstance(from_file(f"{file}:build", **PICTURES), nn.Identity)


def test_a_class_does_as_well_as_a_function(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        from __future__ import annotations
        from dataclasses import dataclass
        from torch import nn

        @dataclass
        class Sizes:  # looks its module up in sys.modules
            classes: int

        class Net(nn.Module):
            def __init__(self, classes: int, width: int) -> None:
                super().__init__()
                self.last = nn.Linear(width, Sizes(classes).classes)
        """,
    )
    assert from_file(f"{file}:Net", **PICTURES).last.out_features == 5


def test_a_file_beside_it_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "my_blocks_beside.py").write_text("from torch import nn\nblock = nn.Identity\n")
    file = written(
        tmp_path,
        """
        def build():
            from my_blocks_beside import block
            return block()
        """,
    )
    before = list(sys.path)
    assert isinstance(from_file(f"{file}:build", **PICTURES), nn.Identity)
    assert sys.path == before


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        written(tmp_path / name, f"from torch import nn\ndef build(): return nn.Linear(1, {ord(name)})\n")
    nets = [from_file(f"{tmp_path / name / 'my_net.py'}:build", **PICTURES) for name in "ab"]
    assert [net.out_features for net in nets] == [97, 98]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("build = 3", "my_net.py:build: is an int and cannot be called; name a function that returns a net."),
        ("def bild(): ...", "my_net.py: there is no 'build' in it; try 'bild'."),
        ("x = 1", "my_net.py: there is no 'build' in it; define 'build' there."),
        ("def build(): ...", "my_net.py:build: returned None and no torch.nn.Module; return the net."),
        (
            "def build(): return [1]",
            "my_net.py:build: returned a list and no torch.nn.Module; return the net.",
        ),
        (
            "def build(depth, classes): ...",
            "my_net.py:build: it needs an argument 'depth', and only channels, classes, height, width are"
            " given; give 'depth' a default value.",
        ),
        (
            "def build(classes, /): ...",
            "my_net.py:build: it needs an argument 'classes', and only channels, classes, height, width are"
            " given; give 'classes' a default value.",
        ),
        (
            "from torch import nn\nbuild = nn.Identity()",
            "my_net.py:build: is a net and not a function that builds one; write a function that returns a"
            " new net, so that a seed decides its first weights.",
        ),
        (
            "import torch\n\nimport no_such_module_here",
            "my_net.py, line 3: ModuleNotFoundError: No module named 'no_such_module_here'; mend the file;"
            " --debug shows the whole traceback.",
        ),
        (
            "def build(:\n    pass",
            "my_net.py, line 1: SyntaxError: invalid syntax; mend the file; --debug shows the whole"
            " traceback.",
        ),
        (
            "def build():\n    helper()\n\ndef helper():\n    raise ValueError('two\\nlines')",
            "my_net.py, line 5: ValueError: two lines; mend the file; --debug shows the whole traceback.",
        ),
        (
            "import sys\nsys.exit(3)",
            "my_net.py, line 2: SystemExit: 3; mend the file; --debug shows the whole traceback.",
        ),
    ],
)
def test_a_fault_in_the_file_gets_its_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(UserError) as caught:
        from_file(f"{file}:build", **PICTURES)
    assert str(caught.value) == f"{tmp_path.resolve()}/{sentence}"


def test_an_absent_file_gets_its_sentence() -> None:
    with pytest.raises(
        UserError, match=r"^nowhere/my_net.py: there is no such file; give the path of a Python"
    ):
        from_file("nowhere/my_net.py:build", **PICTURES)


@pytest.mark.parametrize("reference", ["my_net.py", "my_net.py:", ":build", "my_net.py:two words"])
def test_a_reference_without_file_or_name_gets_its_sentence(reference: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"{reference}: does not say which name in which file")):
        from_file(reference, **PICTURES)


def test_a_file_that_is_not_python_gets_its_sentence(tmp_path: Path) -> None:
    (tmp_path / "net.txt").write_text("hello")
    with pytest.raises(
        UserError, match=r"net\.txt: is not a Python file; give a file whose name ends in \.py"
    ):
        from_file(f"{tmp_path / 'net.txt'}:build", **PICTURES)
