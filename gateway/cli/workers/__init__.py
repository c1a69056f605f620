"""Several processes that answer on one port, and the parent that keeps them.

`parent` opens nothing but the channels: it is given the listening socket, starts the workers on it, starts
them again when they die, keeps what dead ones had counted, and ends them. `worker` is what each of them runs.
`channel` carries messages between the two.
"""

from gateway.cli.workers.parent import Parent, WorkersError

__all__ = ["Parent", "WorkersError"]
