"""How each benchmark's result is shown in the report: tables, and plots."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under a benchmark's heading.

    Attributes:
        blocks: Paragraphs and tables, in Markdown.
        plots: SVG documents by the file names that they get, shown before the blocks.
    """

    blocks: list[str]
    plots: dict[str, str] = field(default_factory=dict)
