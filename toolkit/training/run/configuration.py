"""The configuration file of the training: one section per stage.

Options of the command line take precedence.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from ...errors import PosecError
from ...ir.toml_file import read_toml
from .runs import Settings

REFERENCE = Path(__file__).parents[1] / "configs/reference.toml"
# Names in configuration files of earlier versions, and the present names.
FORMER_SECTIONS = {"lift": "pretrain", "quantized": "finetune"}
FORMER_SETTINGS = {
    "trunk_rate": "backbone_rate",
    "integers": "int8_share",
    "anchor": "distillation_weight",
    "anchor_pictures": "distillation_pictures",
    "align": "align_weight",
    "cycle": "cycle_weight",
    "agree": "consistency_weight",
    "agree_pictures": "consistency_pictures",
    "fitted": "fitted_pose_weight",
    "average": "average_decay",
    "losses": "loss_weights",
    "held": "held_out",
}
# Former files of the reference's configuration, and the sections that have their settings.
FORMER_FILES = {"keypoint_network.toml": "network", "keypoint_finish.toml": "int8_finish"}
Chosen = TypeVar("Chosen", bound=Settings)


def read_section(path: Path, section: str) -> dict[str, Any]:
    """Return a section of a configuration file, former names replaced.

    Raises PosecError where there is none.
    """
    if path.name in FORMER_FILES and not path.exists():
        path, section = REFERENCE, FORMER_FILES[path.name]
    try:
        document = read_toml(path)
        former = next((name for name in document if FORMER_SECTIONS.get(name) == section), section)
        values = document[section if section in document else former]
    except (PosecError, KeyError) as error:
        raise PosecError(
            f"'{path}' has no usable [{section}] section: {error}; '{REFERENCE}' has all sections"
        ) from error
    if not isinstance(values, dict):
        raise PosecError(f"'{path}': {section} = {values!r} should be a section, [{section}]")
    entries: dict[str, Any] = values
    return {FORMER_SETTINGS.get(name, name): value for name, value in entries.items()}


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the option `--config`."""
    parser.add_argument(
        "--config",
        type=Path,
        default=REFERENCE,
        help="TOML file with one section per stage (default: the reference's)",
    )


def add_settings(parser: argparse.ArgumentParser, settings: type[Settings], section: str) -> None:
    """Add `--config`, and an option per field of a settings dataclass, which takes precedence."""
    add_config(parser)
    parser.set_defaults(section=section)
    reference = read_section(REFERENCE, section)
    former = {name: old for old, name in FORMER_SETTINGS.items()}
    for option in fields(settings):
        flags = ["--" + name.replace("_", "-") for name in (option.name, former.get(option.name)) if name]
        help_text = f"default: the configuration file's, {reference[option.name]:g} in the reference"
        parser.add_argument(*flags, dest=option.name, type=type(option.default), help=help_text)


def chosen_settings(arguments: argparse.Namespace, settings: type[Chosen]) -> Chosen:
    """Return the settings of a command line made by `add_settings` and of its configuration file.

    Raises PosecError for an unknown entry, and for a value of another type.
    """
    path, section = arguments.config, arguments.section
    known: dict[str, Any] = {option.name: type(option.default) for option in fields(settings)}
    stored = read_section(path, section)
    check_names(path, section, stored, known=known)
    for name, value in stored.items():
        if isinstance(value, bool) or not isinstance(value, (int, known[name])):
            raise PosecError(
                f"'{path}': {section}.{name} = {value!r} should be of type {known[name].__name__}"
            )
    options = {name: getattr(arguments, name) for name in known if getattr(arguments, name) is not None}
    return settings(**{name: known[name](value) for name, value in {**stored, **options}.items()})


def check_names(path: Path, section: str, stored: Mapping[str, Any], *, known: Mapping[str, Any]) -> None:
    """Raise PosecError for the first entry of a section that is not known."""
    for name in stored:
        if name not in known:
            raise PosecError(f"'{path}': no setting '{name}' in [{section}]; known: {', '.join(known)}")
