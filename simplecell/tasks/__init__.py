"""The tasks by name: module and class, and one line of summary. Text only, so listing them costs nothing."""

from __future__ import annotations

TASKS: dict[str, tuple[str, str]] = {
    "classify": ("simplecell.tasks.classify:Classify", "which class is in the picture"),
}
