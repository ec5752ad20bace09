"""The plot of `posec blame`: drift of each head and of each layer, as a stand-alone SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .bar_charts import Bar, bars

if TYPE_CHECKING:
    from ...verification.sensitivity import Sensitivity

_STYLE = (
    "svg{background:#fff}text{font:13px system-ui,sans-serif;fill:#222}text.tick{fill:#666}.bar{fill:#cf5a1b}"
)
_LABELS, _WIDTH = 330, 860


def sensitivity_plot(found: Sensitivity, most: int | None = None) -> str:
    """Return an SVG file: drift in mm of each head, and of each of the `most` worst layers alone in int8."""
    whole = found.whole.drift_mm
    rows = []
    for name, remaining in found.heads.items():
        removed_mm = whole - remaining.drift_mm
        rows.append(Bar(f"head {name}", removed_mm, f"{removed_mm:.2f} mm of {whole:.2f}"))
    for each in found.layers[:most]:
        drift_mm = each.int8_only.drift_mm
        rows.append(Bar(each.layer, drift_mm, f"{drift_mm:.2f} mm alone"))
    drawing = bars("Sensitivity to int8, by head and by layer", rows, "int8", left=_LABELS, width=_WIDTH)
    drawing = drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return drawing.replace(">", f"><style>{_STYLE}</style>", 1) + "\n"
