"""Nets from a file."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from torch import nn

from simplecell import nets
from simplecell.errors import UserError
from simplecell.nets.outside import from_file, from_text, to_text

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
            return nn.Sequential(nn.Flatten(), nn.Linear(144, 5))
        """,
    )
    assert isinstance(from_file(f"{file}:build", **PICTURES), nn.Sequential)


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

            def forward(self, pictures):
                return self.last(pictures.mean((1, 2)))
        """,
    )
    assert from_file(f"{file}:Net", **PICTURES)(torch.zeros(2, 3, 8, 6)).shape == (2, 5)


def test_a_file_beside_it_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "my_blocks_beside.py").write_text(
        "from torch import nn\nblock = lambda: nn.Sequential(nn.Flatten(), nn.Linear(144, 5))\n"
    )
    file = written(
        tmp_path,
        """
        def build():
            from my_blocks_beside import block
            return block()
        """,
    )
    before = list(sys.path)
    assert isinstance(from_file(f"{file}:build", **PICTURES), nn.Sequential)
    assert sys.path == before


def test_a_fault_in_a_file_beside_it_is_told_with_the_line_that_imports_it(tmp_path: Path) -> None:
    (tmp_path / "my_faulty_file_beside.py").write_text("\n\n\nx = (\n")
    file = written(tmp_path, "import torch\nimport my_faulty_file_beside\n")
    with pytest.raises(UserError, match=r"my_net\.py, line 2: SyntaxError: '\(' was never closed"):
        from_file(f"{file}:build", **PICTURES)


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    for name in ("ELU", "GELU"):
        (tmp_path / name).mkdir()
        layers = f"nn.Flatten(), nn.LazyLinear(5), nn.{name}()"
        text = f"from torch import nn\ndef build(): return nn.Sequential({layers})"
        written(tmp_path / name, text)
    built = [from_file(f"{tmp_path / name / 'my_net.py'}:build", **PICTURES) for name in ("ELU", "GELU")]
    assert [type(net[2]) for net in built] == [nn.ELU, nn.GELU]


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
            "from torch import nn\nbuild = nn.Flatten",
            "my_net.py:build: makes (2, 144) of two pictures of 3 × 8 × 6, not (2, 5); make it give one logit"
            " a class.",
        ),
        (
            "from torch import nn\nclass build(nn.Module):\n def forward(self, x):\n  return x @ x",
            "my_net.py, line 4: RuntimeError: Expected size for first two dimensions of batch2 tensor to be:"
            " [6, 6] but got: [6, 8]; mend the file; --debug shows the whole traceback.",
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


def test_trying_a_net_changes_neither_it_nor_the_generator(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        from torch import nn, rand

        class Noisy(nn.Module):
            def __init__(self):
                super().__init__()
                self.norm, self.last = nn.BatchNorm2d(3), nn.LazyLinear(5)

            def forward(self, pictures):
                return self.last(self.norm(pictures).flatten(1)) * rand(1)
        """,
    )
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    net = from_file(f"{file}:Noisy", **PICTURES)
    assert torch.equal(torch.rand(4), expected)
    assert net.training
    assert net.norm.num_batches_tracked == 0
    assert net.last.weight.shape == (5, 144)  # the lazy layer knows its size: an optimiser can take it


def test_a_net_of_ones_own_is_built_by_what_the_settings_hold(tmp_path: Path) -> None:
    file = written(
        tmp_path, "from torch import nn\ndef build(): return nn.Sequential(nn.Flatten(), nn.LazyLinear(5))"
    )
    given = nn.Sequential(nn.Flatten(), nn.Linear(144, 5))
    for name in (f"{file}:build", to_text(given)):
        assert nets.build(name, **PICTURES)(torch.zeros(2, 3, 8, 6)).shape == (2, 5)
        with pytest.raises(UserError, match="has no setting 'depth'; leave it out: it has no settings"):
            nets.build(name, depth=3, **PICTURES)


def test_a_described_net_that_does_not_fit_the_pictures_gets_its_sentence() -> None:
    text = to_text(nn.Sequential(nn.Flatten(), nn.Linear(100, 5)))
    with pytest.raises(
        UserError, match=r"fails on pictures of 3 × 8 × 6: RuntimeError: mat1 .*; make its layers fit"
    ):
        from_text(text, **PICTURES)
    with pytest.raises(UserError, match=r"makes \(2, 144\) of two pictures"):
        from_text(to_text(nn.Flatten()), **PICTURES)


def test_what_is_no_net_is_refused() -> None:
    with pytest.raises(UserError, match=r"a list is no torch\.nn\.Module; give a net or its name"):
        to_text([nn.Identity()])  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"'{broken' is no net; give a net's name, or my_net.py:build"):
        from_text("{broken", **PICTURES)
