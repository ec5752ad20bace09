"""One configuration file for every stage of the training: a section each. What a command line says goes before it."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from ...errors import PosecError
from ...ir.toml_file import read_toml
from .runs import Settings

REFERENCE = Path(__file__).parents[1] / "configs/reference.toml"
Chosen = TypeVar("Chosen", bound=Settings)


def read_section(path: Path, section: str) -> dict[str, Any]:
    """Return a section of a configuration file. Raises PosecError where there is none."""
    try:
        found = read_toml(path)[section]
    except (PosecError, KeyError) as error:
        raise PosecError(
            f"'{path}' has no usable [{section}] section: {error}; '{REFERENCE}' has them all"
        ) from error
    if not isinstance(found, dict):
        raise PosecError(f"'{path}': {section} = {found!r} should be a section, [{section}]")
    return found


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the configuration file."""
    parser.add_argument(
        "--config",
        type=Path,
        default=REFERENCE,
        help="TOML file with a section per stage (default: the reference's)",
    )


def add_settings(parser: argparse.ArgumentParser, settings: type[Settings], section: str) -> None:
    """Give a command line `--config`, and one option per field of a settings dataclass, which goes before the file's section."""
    add_config(parser)
    parser.set_defaults(section=section)
    reference = read_section(REFERENCE, section)
    for option in fields(settings):
        told = f"(default: the configuration's, in the reference {reference[option.name]:g})"
        parser.add_argument("--" + option.name.replace("_", "-"), type=type(option.default), help=told)


def chosen_settings(arguments: argparse.Namespace, settings: type[Chosen]) -> Chosen:
    """Return the settings that a command line of `add_settings` and its configuration chose.

    Raises PosecError naming an entry that is not known, or is no number.
    """
    path, section = arguments.config, arguments.section
    known: dict[str, Any] = {option.name: type(option.default) for option in fields(settings)}
    stored = read_section(path, section)
    for name, value in stored.items():
        if name not in known:
            raise PosecError(f"'{path}': no setting '{name}' in [{section}]; known: {', '.join(known)}")
        if isinstance(value, bool) or not isinstance(value, (int, known[name])):
            raise PosecError(
                f"'{path}': {section}.{name} = {value!r} should be of type {known[name].__name__}"
            )
    said = {name: getattr(arguments, name) for name in known if getattr(arguments, name) is not None}
    return settings(**{name: known[name](value) for name, value in {**stored, **said}.items()})
