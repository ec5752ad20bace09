"""The plot of `posec blame`: drift of each head and of each layer, as a stand-alone SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .charts import bars

if TYPE_CHECKING:
    from ..verification.sensitivity import Sensitivity

STYLE = (
    "svg{background:#fff}text{font:13px system-ui,sans-serif;fill:#222}text.tick{fill:#666}.bar{fill:#cf5a1b}"
)
_LABELS, _WIDTH = 330, 860


def blame_picture(found: Sensitivity, most: int | None = None) -> str:
    """Return an SVG file: drift in mm that each head accounts for, and of each of the `most` worst layers alone in int8."""
    whole = found.whole.drift_mm
    rows = [
        (f"head {name}", whole - remains.drift_mm, f"{whole - remains.drift_mm:.2f} mm of {whole:.2f}")
        for name, remains in found.heads.items()
    ]
    rows += [
        (each.layer, each.int8_only.drift_mm, f"{each.int8_only.drift_mm:.2f} mm alone")
        for each in found.layers[:most]
    ]
    drawing = bars("What int8 costs, by head and by layer", rows, "int8", left=_LABELS, full=_WIDTH)
    return (
        drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
            ">", f"><style>{STYLE}</style>", 1
        )
        + "\n"
    )
