"""``python -m simplecell`` is the command ``simplecell``."""

from simplecell.cli import main

main()
