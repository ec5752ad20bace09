"""The fields of bundle.json: their names, their types and the number of the format."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, Tuple

from .bundle_files import DESCRIPTION, BundleError

FORMAT = 1
# Field of bundle.json → its possible types. `format` is checked on its own.
FIELDS: Mapping[str, Tuple[type, ...]] = {
    **dict.fromkeys(("posec", "name", "target", "backend", "engine", "precision", "model"), (str,)),
    **dict.fromkeys(("float_baseline", "graph_sha256", "licence"), (str,)),
    **dict.fromkeys(("scheme", "ranges_sha256"), (str, type(None))),
    **dict.fromkeys(("frame", "spec", "tools", "allowed", "options", "files"), (dict,)),
    **dict.fromkeys(("passes", "float_layers"), (list,)),
}


def check_form(plain: Dict[str, Any], folder: Path) -> None:
    """Raise BundleError unless format number, names and types of the fields are as specified."""
    found = plain.get("format")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise BundleError(
            f"'{folder}/{DESCRIPTION}' has no bundle format number; "
            "give the directory that `posec export` wrote"
        )
    if found > FORMAT:
        raise BundleError(
            f"bundle '{folder}' has format {found}, this runtime reads up to {FORMAT}; "
            "update posec on this machine"
        )
    missing, unknown = sorted(set(FIELDS) - set(plain)), sorted(set(plain) - set(FIELDS) - {"format"})
    if missing or unknown:
        raise BundleError(
            f"bundle '{folder}': missing fields: {missing or 'none'}, unknown fields: {unknown or 'none'}; "
            "export again"
        )
    for name, types in FIELDS.items():
        if not isinstance(plain[name], types):
            raise BundleError(
                f"bundle '{folder}': field '{name}' must be {types[0].__name__}, "
                f"got {type(plain[name]).__name__}"
            )
