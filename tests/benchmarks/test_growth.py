"""How costs grow is told by an exponent, and drawn."""

from xml.etree import ElementTree as ET

import pytest

from benchmarks import growth


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_is_that_of_the_power_that_the_figures_follow(power):
    points = [(many, 0.01 * many**power) for many in (100, 1000, 10_000)]

    assert growth.exponent(points) == pytest.approx(power)


def test_each_line_is_drawn_with_its_exponent_and_without_what_is_noise():
    drawn = ET.fromstring(growth._drawn({"apps: exponent 1.00": [(10, -0.01), (100, 0.1), (1000, 1.0)]}))

    assert "apps: exponent 1.00" in [each.text for each in drawn]
    (line,) = (each.get("points") for each in drawn if each.tag.endswith("polyline"))
    assert line == "280,255 390,200"
