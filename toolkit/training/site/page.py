"""A page that shows what the adaptation to a site changed."""

from __future__ import annotations

from html import escape

from ...report.formatting import number
from ...report.tables import table
from .adapt_site import Adapted

_STYLE = "body{font:16px sans-serif;max-width:52em;margin:2em auto}table{border-collapse:collapse}"
_STYLE += "td,th{padding:.3em .8em;border-bottom:1px solid #ccc;text-align:right}"
_STYLE += "td:first-child,th:first-child{text-align:left}"


def site_page(network: str, cameras: list[str], found: Adapted) -> str:
    """Return the page as HTML."""
    rows = []
    for name, before, after in zip(cameras[1:], found.before, found.after, strict=True):
        figures = (
            ("disagreement of the joints, mm", before.disagreement_mm, after.disagreement_mm, 1),
            ("disagreement of the place, mm", before.root_mm, after.root_mm, 0),
            ("people found by both cameras together", before.people, after.people, 0),
            ("sightings of one person by both", before.pairs, after.pairs, 0),
        )
        for figure, was, is_now, digits in figures:
            label = f"{escape(cameras[0])} and {escape(name)}: {figure}"
            rows.append((label, number(was, digits), number(is_now, digits)))
    about = (
        f"Learned from {found.lessons} sightings of one person by two cameras; measured on the last "
        f"{found.held_back_s:.0f} seconds, which were held back. Joints of {found.elsewhere_people} people "
        f"from elsewhere moved by {found.elsewhere_mm:.1f} mm."
    )
    shown = table(("figure", "before", "after"), rows, about)
    title = f"{escape(network)}, adapted to its site"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1>{shown}</html>\n"
    )
