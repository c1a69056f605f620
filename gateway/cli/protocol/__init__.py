"""The server's side of HTTP: uvicorn's httptools protocol, with the bounds that it lacks.

`connection` waits, reads and refuses; `head` says what is no unambiguous request; `cycle` is one request with
its answer.
"""

from gateway.cli.protocol.connection import SWEEP, Bounds, Protocol, sweep

__all__ = ["SWEEP", "Bounds", "Protocol", "sweep"]
