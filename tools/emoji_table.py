"""Writes ``shared/domain/emoji_table.py``: every emoji that Unicode recommends for general interchange (RGI).

``python -m tools.emoji_table [--check]``; the sequences come from the package ``emoji``, which follows Unicode's
``emoji-test.txt``. ``--check`` exits with 1 where the file is not what would be written.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import emoji

from tools.generated import run

PATH: Final = Path(__file__).resolve().parents[1] / "shared" / "domain" / "emoji_table.py"
WIDTH: Final = 20
"""Emoji in a line."""


def table() -> str:
    """The module's text."""
    full = sorted(
        each for each, facts in emoji.EMOJI_DATA.items() if facts["status"] == emoji.STATUS["fully_qualified"]
    )
    lines = [" ".join(full[at : at + WIDTH]) for at in range(0, len(full), WIDTH)]
    return (
        f'"""All {len(full):,} emoji that are recommended for general interchange (RGI, Unicode '
        f"{max(facts['E'] for facts in emoji.EMOJI_DATA.values()):g}).\n\n"
        'Written by ``python -m tools.emoji_table``.\n"""\n\n'
        "# ruff: noqa: E501, RUF001\n\n"
        "from typing import Final\n\n"
        'FULLY_QUALIFIED: Final = """\n' + "\n".join(lines) + '\n"""\n'
        '"""Each as it is kept, with its variation selectors."""\n'
    )


if __name__ == "__main__":
    sys.exit(run(PATH, lambda _: table(), "emoji", None))
