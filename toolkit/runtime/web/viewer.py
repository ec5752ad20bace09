"""The sink of `--web`: hands each result to the viewer page."""

from __future__ import annotations

from typing import Any, Dict

from ..console import Report, say
from ..estimator import PoseEstimator
from ..video.result import Result
from ..video.settings import Summary
from .address import parse_address
from .feed import Feed
from .server import ViewerServer


class Viewer:
    """Serves a page with the latest result until the run ends."""

    def __init__(self, address: str, estimator: PoseEstimator, report: Report = say) -> None:
        """Start to serve and report the link. Raises ViewerError for an address that cannot be had.

        Args:
            address: PORT or HOST:PORT; port 0 takes a free one.
            estimator: of the run, for the description on the page.
            report: called with the link.
        """
        self.server = ViewerServer(parse_address(address), Feed(), describe(estimator))
        self.server.announce(report)

    def write(self, result: Result) -> None:
        """Show a result in all open pages; never waits for one."""
        self.server.feed.put(result)

    def close(self, summary: Summary) -> None:
        """End the page."""
        self.server.close()


def describe(estimator: PoseEstimator) -> Dict[str, Any]:
    """Return the constants of the page: title, engine and skeleton."""
    about, skeleton = estimator.describe(), estimator.spec.skeleton
    title = [about.pop(name) for name in ("network", "target", "precision") if name in about]
    engine = " ".join(about.pop(name) for name in ("engine", "version") if name in about)
    return {
        "title": " · ".join(title) or estimator.spec.name,
        "engine": ", ".join([engine, *(f"{name}: {value}" for name, value in about.items())]),
        "names": list(skeleton.names),
        "parents": list(skeleton.parents),
        "bones": list(skeleton.bones),
        "root": skeleton.root,
    }
