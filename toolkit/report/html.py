"""The report: results in, one self-contained page out, which needs no network."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from .. import __version__
from ..device.result import Result, read_results, titled
from ..errors import PosecError
from ..runtime.console import printable
from ..runtime.files.plain_files import write_plain
from .choosing.budgets import Budgets
from .choosing.comparison import Comparison, compare
from .clips.clips_table import over_time_section, read_over_time
from .clips.retrieval_table import read_retrieval, retrieval_section
from .file_kinds import CANDIDATES_ENDINGS, INSTRUCTIONS_ENDING, OVER_TIME_ENDING, RETRIEVAL_ENDING
from .formatting import safe
from .page_data import page_data
from .plain_tables import check_beside, write_beside
from .predicting.bound import Prediction
from .sections.accuracy import accuracy_section
from .sections.candidates import candidates_section, read_searches
from .sections.choices import choices_section
from .sections.cold_start import cold_start_section
from .sections.drift_table import drift_section
from .sections.explorer import explorer_section
from .sections.figures import figures
from .sections.instructions import instructions_section, read_instructions
from .sections.latency_table import latency_section
from .sections.overview import overview
from .sections.predicted import predicted_section
from .sections.provenance import bundles, machines
from .sections.summary import best, headline, pictures, tiles, warnings


def write_report(
    results: str | Path | Sequence[Result],
    out: str | Path,
    *,
    title: str = "",
    searches: Sequence[str | Path] = (),
    budgets: Budgets | None = None,
    predict: Callable[[Sequence[Result]], Sequence[Prediction]] = lambda results: (),
) -> Comparison:
    """Write the page whole or not at all, and Markdown and CSV of the same name beside it.

    The page also shows the precision searches, the counts of instructions and the measurements over time in
    the folder of the results.

    Args:
        results: from `measure_bundles`, or the folder or file that it wrote.
        out: the .html file.
        title: of the page; empty takes the name of the network.
        searches: files of `posec export --precision auto`, beside those in the folder of the results.
        budgets: limits for the recommendation.
        predict: returns the predicted times of boards, given the results.

    Raises PosecError where there are no results, or the file cannot be written.
    """
    if isinstance(results, (str, Path)):
        folder, found = Path(results), read_results(results)
    else:
        folder, found = None, list(results)
    if not found:
        raise PosecError("a report needs at least one result; make some with `posec bench`")
    named = [Path(path) for path in searches]
    _keep_inputs([*([] if folder is None else [folder]), *_files(folder, ".json"), *named], Path(out))
    check_beside(Path(out))
    beside = [path for ending in CANDIDATES_ENDINGS for path in _files(folder, ending)]
    counts = read_instructions(_files(folder, INSTRUCTIONS_ENDING))
    comparison = compare(ordered(found), budgets, counts=counts)
    page = report_page(
        comparison,
        title=title,
        searches=read_searches(dict.fromkeys([*beside, *named])),
        counts=counts,
        predicted=predict(found),
        over_time=read_over_time(_files(folder, OVER_TIME_ENDING)),
        retrieval=read_retrieval(_files(folder, RETRIEVAL_ENDING)),
    )
    try:
        write_plain(out, page)
    except OSError as error:
        raise PosecError(f"cannot write the report '{out}': {error.strerror}; name another file") from error
    write_beside(comparison, Path(out))
    return comparison


def ordered(results: Sequence[Result]) -> list[Result]:
    """Return the results by target, precision and network, with distinct titles."""
    names = ("target", "precision", "name")
    return titled(sorted(results, key=lambda result: tuple(result.bundle[name] for name in names)))


def report_page(
    comparison: Comparison,
    *,
    title: str = "",
    searches: Sequence[Mapping[str, Any]] = (),
    counts: Sequence[Mapping[str, Any]] = (),
    predicted: Sequence[Prediction] = (),
    over_time: Sequence[Mapping[str, Any]] = (),
    retrieval: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the page as HTML.

    `searches`, `counts`, `over_time` and `retrieval` come from `read_searches`, `read_instructions`,
    `read_over_time` and `read_retrieval`.
    """
    results = [option.result for option in comparison.options]
    network = ", ".join(dict.fromkeys(str(result.bundle["name"]) for result in results))
    measured = sorted({str(result.bench["measured_at"])[:10] for result in results if result.bench})
    recommended = comparison.recommended()
    chosen = recommended.result if recommended else best(results)
    style, script = (_text(f"page.{ending}") for ending in ("css", "js"))
    return Template(_text("page.html")).substitute(
        title=safe(title or f"posec report: {network}"),
        style=style,
        script=script,
        # Only this script may run, whatever the results contain.
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        data=page_data(comparison),
        network=safe(network),
        when=safe(", ".join(measured)),
        headline=safe(headline(results, chosen, recommended=recommended is not None)),
        warnings=warnings(results),
        choices=choices_section(comparison),
        explorer=explorer_section(comparison),
        pictures=pictures(results, chosen),
        tiles=tiles(chosen),
        overview=overview(results),
        charts=figures(results),
        latency=latency_section(results),
        drift=drift_section(results, [option.loss for option in comparison.options]),
        accuracy=accuracy_section(results),
        over_time=over_time_section(over_time),
        retrieval=retrieval_section(retrieval),
        candidates=candidates_section(searches),
        instructions=instructions_section(counts),
        predicted=predicted_section(predicted),
        cold_start=cold_start_section(results),
        machines=machines(results),
        bundles=bundles(results),
        commands=_commands(results),
        version=safe(__version__),
    )


def _text(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _keep_inputs(inputs: Sequence[Path], out: Path) -> None:
    """Raise PosecError if the page would replace one of its inputs."""
    if out.exists() and any(path.exists() and path.samefile(out) for path in inputs):
        raise PosecError(f"'{out}' is an input of this report; name another file for the page")


def _files(folder: Path | None, ending: str) -> list[Path]:
    return [] if folder is None else sorted(folder.glob(f"*{ending}"))


def _commands(results: Sequence[Result]) -> str:
    """Return the commands that repeat the measurement."""
    # Readers paste this into a shell; a folder's name comes from a file.
    folders = (printable(str(result.bundle.get("folder", "BUNDLE"))) + "/" for result in results)
    return safe(
        f"posec bench {' '.join(map(shlex.quote, folders))} -o results/\nposec report results/ -o report.html"
    )
