"""Keeps the first tool call of each choice, for `parallel_tool_calls: false` on backends that ignore it."""

from collections.abc import Iterator

from translators.deltas import Arguments, Call, Delta


class OneCall:
    """Drops every call but the first."""

    satisfied = False

    def feed(self, delta: Delta) -> Iterator[Delta]:
        """Pass on all but later calls and their arguments."""
        if isinstance(delta, Call | Arguments) and delta.index > 0:
            return
        yield delta
