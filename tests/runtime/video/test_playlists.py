"""Playlists on the disk: FFmpeg would follow their addresses; a run reads none of them."""

from __future__ import annotations

import socket
import threading

import pytest
from processes import posec
from tiny_bundles import write_tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "bundle").folder


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n{url}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {url}\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n/etc/passwd\n#EXT-X-ENDLIST\n",
    ],
)
def test_a_playlist_contacts_no_server_and_shows_no_file(bundle, tmp_path, playlist):
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = []

        def accept():
            try:
                while True:
                    asked.append(server.accept())
            except OSError:
                pass  # closed

        threading.Thread(target=accept, daemon=True).start()
        path = tmp_path / "list.m3u8"
        path.write_text(playlist.format(url=f"http://127.0.0.1:{server.getsockname()[1]}/film.ts"))
        done = posec("run", bundle, "--source", path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "root:" not in done.stderr
    assert asked == []
