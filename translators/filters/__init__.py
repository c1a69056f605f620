"""Filters: deltas in, deltas out, shared by all backends.

A filter gives a model or a product what it lacks: `stop` ends an answer at the client's stop strings,
`one_call` keeps the first tool call, `think` takes thinking out of the text, `marked_calls` and `salvage`
read calls from it, `repaired_arguments` sets theirs right, `custom_calls` turns emulated custom tools back,
`in_order` lets choices begin one after the other. Facts of the model choose them. A filter may hold text
back only while it must, and gives out what it holds before anything that follows it.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from translators.deltas import Delta


class Filter(Protocol):
    """Delta -> deltas. One filter lives as long as one answer."""

    @property
    def satisfied(self) -> bool:
        """Whether nothing that may still come can matter, so that the backend can be closed."""

    def feed(self, delta: Delta) -> Iterable[Delta]:
        """Take the next delta and give what is to follow."""


def run(filters: Sequence[Filter], deltas: Iterable[Delta]) -> list[Delta]:
    """Send deltas through all filters in order."""
    batch = list(deltas)
    for each in filters:
        batch = [out for delta in batch for out in each.feed(delta)]
    return batch
