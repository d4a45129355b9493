"""The bar of a run."""

from __future__ import annotations

from tqdm import tqdm


class Progress:
    """Rows that are there, of those that are wanted: what runs now, the rate, the time left.

    Args:
        rows: how many are wanted.
        shown: whether there is a bar on stderr at all.
    """

    def __init__(self, rows: int, *, shown: bool) -> None:
        # Without smoothing: networks differ in speed, and the time left would jump with each.
        self._bar = tqdm(total=rows, unit="row", disable=not shown, smoothing=0)
        self._now = ""

    def says(self, now: str) -> None:
        """Name what is being done now."""
        if now != self._now:
            self._now = now
            self._bar.set_description(now)

    def found(self, rows: int) -> None:
        """Count rows that needed no computing; they make the rate no better."""
        if not self._bar.disable:
            self._bar.initial += rows
            self._bar.update(rows)

    def computed(self, rows: int) -> None:
        """Count rows that a network gave, or failed to give."""
        self._bar.update(rows)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()
