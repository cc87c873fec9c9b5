"""Latency percentiles in bounded memory, and the rate of the last seconds."""

from __future__ import annotations

import math
from collections import deque

_RELATIVE_ERROR = 0.01
_GAMMA = (1 + _RELATIVE_ERROR) / (1 - _RELATIVE_ERROR)
_LOWEST_S = 1e-6
_HIGHEST_S = 1e6
_SCALE = 1 / math.log(_GAMMA)
_OFFSET = -math.log(_LOWEST_S) * _SCALE
_LAST_BUCKET = math.ceil(math.log(_HIGHEST_S) * _SCALE + _OFFSET)


class LatencyHistogram:
    """Counts latencies in buckets whose bounds grow by 2 %.

    A percentile is exact to 1 % of its value between 1 µs and 11 days (relative to the
    nearest-rank percentile of all values); below and above, to that range's end. Memory is 1,383
    counters whatever is added. The buckets are those of DDSketch (Masson, Rim and Lee: DDSketch:
    A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees, VLDB 2019).
    """

    def __init__(self) -> None:
        self.total = 0
        self.highest_s = 0.0
        self._buckets = [0] * (_LAST_BUCKET + 1)

    def add(self, seconds: float) -> None:
        """Count one latency. What is no number is left out; a negative one counts as 0."""
        if seconds > _LOWEST_S:
            if seconds < _HIGHEST_S:
                self._buckets[math.ceil(math.log(seconds) * _SCALE + _OFFSET)] += 1
            else:
                self._buckets[_LAST_BUCKET] += 1
            if seconds > self.highest_s:
                self.highest_s = seconds
        elif seconds <= _LOWEST_S:
            self._buckets[0] += 1
        else:
            return
        self.total += 1

    def percentiles(self, *shares: float) -> list[float | None]:
        """The latencies in seconds below or at which each of `shares` (rising, 0 to 1) of the
        values lie; None where nothing was added."""
        if not self.total:
            return [None] * len(shares)
        found: list[float | None] = []
        ranks = [max(1, math.ceil(share * self.total)) for share in shares]
        seen = 0
        for bucket, counted in enumerate(self._buckets):
            seen += counted
            while len(found) < len(ranks) and seen >= ranks[len(found)]:
                found.append(self._middle(bucket))
            if len(found) == len(ranks):
                break
        return found

    def _middle(self, bucket: int) -> float:
        # The value that is equally far, relatively, from both bounds of the bucket.
        middle = _LOWEST_S * _GAMMA**bucket * 2 / (1 + _GAMMA)
        return min(middle, self.highest_s) if self.highest_s else middle


class RateMeter:
    """How fast a count grew over the last `window_s` seconds."""

    def __init__(self, window_s: float = 10.0) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, int]] = deque()

    def measure(self, now: float, counted: int) -> float | None:
        """Note that the count stands at `counted` at the time `now`; returns the growth per
        second, or None before there is anything to compare with."""
        samples = self._samples
        if not samples or now - samples[-1][0] >= self._window_s / 100:
            samples.append((now, counted))
        while len(samples) > 2 and samples[1][0] <= now - self._window_s:
            samples.popleft()
        then, before = samples[0]
        return (counted - before) / (now - then) if now > then else None
