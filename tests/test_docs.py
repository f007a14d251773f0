"""Every block of code on the pages runs: `make docs`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("block", ["```python\n1 / 0\n```", "```sh\nfalse\n```", "```sh\nfalse | true\n```"])
def test_a_block_that_fails_fails_the_page_with_its_line(tmp_path: Path, block: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{block}\n", encoding="utf-8")
    ran = run_page(page, tmp_path)
    assert ran.returncode != 0
    assert "page.md:4" in ran.stdout
