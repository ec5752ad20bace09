"""Fixtures of the runtime's tests."""

import pytest
from recorded_heads import recorded_heads, replay_bundle


@pytest.fixture
def folder(tmp_path):
    """The folder of a replay bundle without people."""
    replay_bundle(tmp_path / "tiny", recorded_heads([]))
    return tmp_path / "tiny"
