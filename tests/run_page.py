"""Run the code of a Markdown page, block after block, as a reader would: python tests/run_page.py PAGE.

Blocks fenced as python share one namespace; blocks fenced as sh run under bash and must succeed. A block
fenced as output says what the python block before it prints: word for word, with "within 0.02" behind the
fence's name where numbers may differ by so much. Others (console, toml, text) are for reading. Everything
happens in the working folder.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?")


def blocks(text: str) -> list[tuple[str, int, str, float]]:
    """What to run or compare, in order: language, line where it starts, code, allowance for numbers."""
    return [
        (match[1], text.count("\n", 0, match.start(3)) + 1, match[3], _allowance(match[2]))
        for match in FENCE.finditer(text)
        if match[1] in ("python", "sh", "output")
    ]


def run(page: Path) -> None:
    """Run the page; the exception or the failing command stops it, with its line on the page."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    printed = ""
    for language, line, code, allowance in blocks(page.read_text(encoding="utf-8")):
        print(f"{page}:{line}", flush=True)
        if language == "python":
            # Empty lines before it give a traceback the page's line numbers.
            printed = _printed(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)
        elif language == "sh":
            subprocess.run(["bash", "-euo", "pipefail", "-c", code], check=True)
        elif not agree(code, printed, allowance):
            sys.exit("the block before this one prints something else")


def agree(said: str, printed: str, allowance: float) -> bool:
    """Whether two texts have the same words, and numbers that differ by no more than the allowance."""
    if NUMBER.sub("#", said).split() != NUMBER.sub("#", printed).split():
        return False
    pairs = zip(_numbers(said), _numbers(printed), strict=True)
    return all(abs(one - other) <= allowance + 1e-9 for one, other in pairs)


def _allowance(info: str) -> float:
    found = re.fullmatch(r" within ([\d.]+)", info)
    return float(found[1]) if found else 0.0


def _numbers(text: str) -> list[float]:
    return [float(number.replace(",", "").replace("−", "-")) for number in NUMBER.findall(text)]


def _printed(code: object, namespace: dict[str, object]) -> str:
    """Run the code, and give back what it prints, which is shown as well."""
    heard = io.StringIO()
    try:
        with redirect_stdout(heard):
            exec(code, namespace)  # type: ignore[arg-type]
    finally:
        print(heard.getvalue(), end="", flush=True)
    return heard.getvalue()


if __name__ == "__main__":
    run(Path(sys.argv[1]).resolve())
