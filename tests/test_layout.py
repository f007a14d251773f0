"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "simplecell").rglob("*.py"))
    if path.stat().st_size
}
PICKLERS = {"pickle", "shelve", "dill", "joblib", "cloudpickle"}


def nodes(kind: type[ast.AST]) -> Iterator[tuple[str, Any]]:
    """Every node of a kind in the package, with where it stands."""
    for name, text in PACKAGE.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, kind):
                yield f"{name}:{getattr(node, 'lineno', 1)}", node


def project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]  # type: ignore[no-any-return]


def test_a_file_is_read_in_one_sitting_or_says_why_not() -> None:
    long = {name: text.splitlines() for name, text in PACKAGE.items() if len(text.splitlines()) > 400}
    assert [name for name, lines in long.items() if "400 lines" not in "\n".join(lines[:15])] == []


def test_a_module_says_what_it_is_for() -> None:
    assert [place for place, module in nodes(ast.Module) if not ast.get_docstring(module)] == []


def test_nothing_is_pickled() -> None:
    for place, node in nodes(ast.Import):
        assert not {alias.name.split(".")[0] for alias in node.names} & PICKLERS, place
    for place, node in nodes(ast.ImportFrom):
        assert (node.module or "").split(".")[0] not in PICKLERS, place
    for place, node in nodes(ast.Call):
        call = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        assert call != "torch.save", place
        assert call != "torch.load" or given.get("weights_only") == "True", place
        assert given.get("allow_pickle", "False") == "False", place


def test_only_the_loop_calls_backward() -> None:
    """Gradients elsewhere come from torch.autograd.grad, which leaves no .grad behind."""
    callers = {
        place.split(":")[0] for place, node in nodes(ast.Call) if ast.unparse(node.func).endswith(".backward")
    }
    assert {name for name in callers if not name.startswith("simplecell/learn/")} == set()


def test_no_device_is_taken_for_granted() -> None:
    assert [place for place, node in nodes(ast.Call) if ast.unparse(node.func).endswith(".cuda")] == []


def test_the_extras_that_sentences_name_exist() -> None:
    """`pip install simplecell[name]` stands in messages of the package and on its pages: each must work."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.py")]
    texts = PACKAGE | {page.name: page.read_text(encoding="utf-8") for page in pages}
    for name, text in texts.items():
        for extras in re.findall(r"simplecell\[([\w,-]+)\]", text):
            assert set(extras.split(",")) <= set(project()["optional-dependencies"]), f"{name}: [{extras}]"


def test_every_dependency_has_a_tested_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = {line.split("==")[0] for line in lines}
    extras = project()["optional-dependencies"].values()
    needs = [*project()["dependencies"], *(need for extra in extras for need in extra)]
    assert {re.split(r"[<>=]", need)[0] for need in needs} - tested == set()
