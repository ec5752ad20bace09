"""The latest picture for viewers: the loop stores it, and viewers' threads encode it on request."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import deque
from typing import Any, Deque, Dict, List, Optional, Tuple

import cv2
import numpy as np

from ..sensors import board_state
from ..video.result import Result

# Pictures are sent with at most so many pixels on the longer side, and at most so many per second.
LONGEST_PX = 960
MOST_PER_S = 15.0
JPEG_QUALITY = 70
SENSORS_EVERY_S = 1.0
_RATE_OVER = 30  # pictures


class Feed:
    """Hands the latest picture to any number of viewers.

    The loop only stores a reference. The first viewer that asks for a picture encodes it, in its own thread;
    others get the same bytes. Without viewers nothing is encoded.
    """

    def __init__(self) -> None:
        self._changed, self._encoding = threading.Condition(), threading.Lock()
        self._latest: Optional[Result] = None
        self._number, self._dropped, self._closed = 0, 0, False
        self._came: Deque[float] = deque(maxlen=_RATE_OVER)
        self._message, self._message_number, self._encoded_at = b"", 0, 0.0
        self._sensors: Dict[str, Any] = {}
        self._sensed_at = 0.0
        self.encoded = 0

    def put(self, result: Result) -> None:
        """Store a picture; never waits for a viewer."""
        with self._changed:
            self._latest, self._number = result, self._number + 1
            self._dropped += result.frame.dropped
            self._came.append(time.monotonic())
            self._changed.notify_all()

    def close(self) -> None:
        """Release waiting viewers; there are no more pictures."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """True after the last picture."""
        return self._closed

    def after(self, number: int, wait_s: float) -> Optional[bytes]:
        """Return the message of a picture later than `number`; None if there is none within `wait_s`.

        A message is the length of its head (4 bytes, big-endian), the head (JSON), and a JPEG file.
        A `number` beyond the latest picture is of an earlier run and counts as 0.
        """
        with self._changed:
            if number > self._number:
                number = 0
            self._changed.wait_for(lambda: self._closed or self._number > number, wait_s)
            if self._number <= number:
                return None
        with self._encoding:
            pause_s = self._encoded_at + 1 / MOST_PER_S - time.monotonic()
            if self._message_number > number and pause_s > 0:
                return self._message
            if pause_s > 0:
                time.sleep(pause_s)
            with self._changed:
                latest, latest_number, rate = self._latest, self._number, self._rate()
            if latest is not None and latest_number > self._message_number:
                self._encoded_at = time.monotonic()
                self._message = self._encode(latest, latest_number, rate)
                self._message_number = latest_number
            return self._message

    def _rate(self) -> Optional[float]:
        """Return pictures per second over the latest ones."""
        took = self._came[-1] - self._came[0] if len(self._came) > 1 else 0.0
        return round((len(self._came) - 1) / took, 1) if took > 0 else None

    def _encode(self, result: Result, number: int, rate: Optional[float]) -> bytes:
        try:
            picture, scale = _reduced(result.frame.picture)
            _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        except cv2.error as error:
            raise ValueError(f"cv2 cannot encode a picture: {error}") from error
        self.encoded += 1
        head = {
            "number": number,
            "seconds": round(result.frame.seconds, 3),
            "size": list(picture.shape[1::-1]),
            "people": _people(result, scale),
            "stages_ms": {name: round(ms, 2) for name, ms in result.stages_ms.items()},
            "rate": rate,
            "dropped": self._dropped if result.source.live else None,
            "board": self._board(),
        }
        text = json.dumps(head, allow_nan=False).encode()
        return len(text).to_bytes(4, "big") + text + jpeg.tobytes()

    def _board(self) -> Dict[str, Any]:
        now = time.monotonic()
        if now - self._sensed_at > SENSORS_EVERY_S:
            self._sensors, self._sensed_at = board_state(), now
        return self._sensors


def _reduced(picture: np.ndarray) -> Tuple[np.ndarray, float]:
    """Return the picture, smaller if it is large, and its scale."""
    times = math.ceil(max(picture.shape[:2]) / LONGEST_PX)
    if times <= 1:
        return picture, 1.0
    # By a whole number of times, which costs cv2 a fraction of any other scale.
    size = max(1, picture.shape[1] // times), max(1, picture.shape[0] // times)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA), 1 / times


def _people(result: Result, scale: float) -> List[Dict[str, Any]]:
    """Return people as plain values: number, score, joints in px of the sent picture and in mm."""
    people = result.people
    joints_mm = people.joints_mm + people.roots_mm[:, None]
    return [
        {
            "number": None if result.numbers is None else int(result.numbers[person]),
            "score": round(float(people.scores[person]), 3),
            "root_mm": np.rint(people.roots_mm[person]).astype(int).tolist(),
            "joints_px": np.round(people.joints_px[person].astype(float) * scale, 1).tolist(),
            "joints_mm": np.rint(joints_mm[person]).astype(int).tolist(),
        }
        for person in range(len(people))
    ]
