"""The server's side of HTTP: uvicorn's httptools protocol, with the bounds that it lacks.

`connection` waits, reads and refuses, within its `bounds`; `head` says what is no unambiguous request,
`familiar` knows one again that was read before, and `upgrade` reads the body of one that asks for another
protocol; `cycle` is one request with its answer.
"""

from gateway.cli.protocol.bounds import Bounds
from gateway.cli.protocol.connection import SWEEP, Protocol, sweep

__all__ = ["SWEEP", "Bounds", "Protocol", "sweep"]
