"""Self-hosted servers on this machine, true to the wire: what `penstock simulate --server NAME` serves.

products     the products, a row each: how each spells answers, what it takes, how it goes on
request      from a body to a question: what is refused, what is left unread
refusals     what is said then, in each product's form
composition  from a question to answers, by the simulator's model; goes on with an answer that has begun
wire         what whole answers (`whole`) and streams (`stream`) share
load         the slots, those who wait for one, the prefixes that are still known
listing      models, health and load in the products' words, `metrics` in Prometheus' text
faults       the menu of what can be made to go wrong
sending      one answer on its way: paced, cut, stalled, with signs of life
app          the ASGI application
"""

from gateway.simulator.servers.app import SimulatedServer
from gateway.simulator.servers.products import PRODUCTS

create_server = SimulatedServer  # an ASGI application: create_server("vllm", slots=2)

__all__ = ["PRODUCTS", "SimulatedServer", "create_server"]
