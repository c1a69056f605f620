"""Several processes that answer on one port, and the parent that keeps them.

`parent` is given the listening socket, starts the workers on it, starts them again when they die, and ends
them; `child` is one of them as it sees it. `worker` is what each of them runs. `channel` carries messages
between the two. `sums` adds up what the workers have counted, and `rounds` lets many who ask at once share
one answer.
"""

from gateway.cli.workers.parent import WorkersError, running_workers

__all__ = ["WorkersError", "running_workers"]
