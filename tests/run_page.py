"""Run the code of a Markdown page, block after block, as a reader would: python tests/run_page.py PAGE.

Blocks fenced as python share one namespace; blocks fenced as sh run under bash and must succeed; others
(console, toml, text) are for reading. Everything happens in the working folder.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[tuple[str, int, str]]:
    """The blocks to run, in order: language (python or sh), line where the code starts, code."""
    return [
        (match[1], text.count("\n", 0, match.start(2)) + 1, match[2])
        for match in FENCE.finditer(text)
        if match[1] in ("python", "sh")
    ]


def run(page: Path) -> None:
    """Run the page; the exception or the failing command stops it, with its line on the page."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    for language, line, code in blocks(page.read_text(encoding="utf-8")):
        print(f"{page}:{line}", flush=True)
        if language == "python":
            # Empty lines before it give a traceback the page's line numbers.
            exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)
        else:
            subprocess.run(["bash", "-euo", "pipefail", "-c", code], check=True)


if __name__ == "__main__":
    run(Path(sys.argv[1]).resolve())
