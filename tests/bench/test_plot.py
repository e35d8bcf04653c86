"""Charts: where things are placed, and that the documents are well-formed."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from bench.plot import HEIGHT, LEFT, RIGHT, Lines, Powers, bars, lines

SVG = "{http://www.w3.org/2000/svg}"


def test_a_power_is_a_step() -> None:
    """Each power of ten is as far from the next; what lies beyond an end is drawn at it."""
    axis = Powers(0, 2)
    assert [axis.share(value) for value in (1, 10, 100)] == pytest.approx([0, 0.5, 1])
    assert [axis.share(value) for value in (0, 0.1, 5_000)] == [0, 0, 1]
    assert axis.ticks() == [(1, "1"), (10, "10"), (100, "100")]


def test_an_axis_is_as_long_as_its_values_need() -> None:
    """Whole powers of ten around them, at least one apart; what has no logarithm does not count."""
    assert Powers.around([3, 40, 0]) == Powers(0, 2)
    assert Powers.around([10, 10]) == Powers(1, 2)
    assert Powers.around([]) == Powers(0, 1)


def test_lines_are_drawn_between_the_axes_ends() -> None:
    """A series from corner to corner, its name beside it, and a mark where it ends."""
    panel = Lines(
        "a < b", Powers(0, 1), Powers(0, 1), {"x & y": [(1, 1), (10, 10)]}, {"x & y": (10, "ends at 10")}
    )
    root = ET.fromstring(lines([panel], "a remark"))  # noqa: S314 - made above
    (drawn,) = root.iter(f"{SVG}polyline")
    assert drawn.get("points") == f"{LEFT:.1f},{40 + HEIGHT:.1f} {RIGHT:.1f},{40:.1f}"
    assert {"a < b", "x & y: ends at 10", "a remark"} <= {each.text for each in root.iter(f"{SVG}text")}
    assert len(list(root.iter(f"{SVG}circle"))) == 1


def test_bars_are_as_long_as_their_values() -> None:
    """Parts stand one after the other, sums at the ends, a goal across."""
    chart = bars("costs", {"one": {"a": 1.0, "b": 2.0}, "two": {"a": 4.0}}, "${:.2f}", {"one": 2.0})
    root = ET.fromstring(chart)  # noqa: S314 - made above
    _, *drawn = root.iter(f"{SVG}rect")
    *parts, whole = [float(each.get("width", "")) for each in drawn]
    assert parts[1] == pytest.approx(2 * parts[0], abs=0.2)
    assert whole == pytest.approx(4 * parts[0], abs=0.4)
    assert {"one", "two", "a", "b", "$3.00", "$4.00"} <= {each.text for each in root.iter(f"{SVG}text")}
    assert len(list(root.iter(f"{SVG}line"))) == 1
