"""WCAG 2.2 AA, computed from the stylesheet: 4.5 to 1 for text (1.4.3), 3 to 1 for edges and marks (1.4.11)."""

import re
from importlib.resources import files

import pytest

STYLESHEET = (files("outbox.ops.console") / "static" / "console.css").read_text()
TONES = ("good", "busy", "warn", "bad", "calm")
GROUNDS = ("paper", "surface", "sunken")
TEXTS = [
    *((ink, ground) for ink in ("ink", "soft", "accent") for ground in GROUNDS),
    *((tone, f"{tone}-ground") for tone in TONES),
    *((tone, "surface") for tone in TONES),
    ("on-accent", "accent"),
    ("surface", "bad"),
    ("bad", "sunken"),
]
MARKS = [("edge", ground) for ground in ("paper", "surface")] + [("accent", "paper")]


def palettes() -> dict[str, dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", STYLESHEET, re.DOTALL)
    named = r"--([a-z-]+): (#[0-9a-f]{6});"
    return {
        "light": dict(re.findall(named, light)),
        "dark": dict(re.findall(named, light)) | dict(re.findall(named, dark)),
    }


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_formula_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_by_everybody(scheme: str) -> None:
    colours = palettes()[scheme]

    weak = {pair: contrast(*(colours[name] for name in pair)) for pair in TEXTS}

    assert {pair: round(ratio, 2) for pair, ratio in weak.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_edges_of_fields_and_the_focus_can_be_seen(scheme: str) -> None:
    colours = palettes()[scheme]

    weak = {pair: contrast(*(colours[name] for name in pair)) for pair in MARKS}

    assert {pair: round(ratio, 2) for pair, ratio in weak.items() if ratio < 3} == {}
