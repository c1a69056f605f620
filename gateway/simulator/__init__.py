"""A Cloudflare account with Workers AI on this machine, true to the wire: what `penstock simulate` serves.

Self-hosted servers, vLLM and its like, are simulated in `servers` by the same model.

It is written from what is publicly known of the service and shares no code with the translators, so that it
cannot agree with their mistakes. It reaches nothing outside itself, costs nothing, and answers the same
request the same way every time.

    edge          routes, credentials, the two forms of a refusal; `codes` words those of Workers AI
    listing       the search for models and their schemas, from `models`: the catalogue with window and price
    schemas       what bodies of the legacy families may hold, `chat_schemas` those of the OpenAI family
    validator     checks a body as Workers AI does and words the refusal; `ecmascript` prints values
    strict        checks bodies of the OpenAI family, as far as is known
    conversation  what a request asks for, freed from its wire form
    composition   from a conversation to answers: `thinking`, then a verdict of `guard`, JSON, or `speech`;
                  `instructions` finds JSON mode and tools where words ask for them
    model         an answer while it is produced, with exact counts, by
      tools         which tools are asked for
      arguments     what to pass them, by `plain` (their schemas) and `clues` (the sentence), from
                    `texts`, `quantities` and `patterns`
      vocabulary    the tokens, and `chances`, how likely each was
    legacy, chat, chat_stream, responses
                  the wire forms of an answer, over `wire`: ids, usage, events
    account       from a request's body to an answer
    faults        the menu of what can be made to go wrong, by a header or a model's name
    delivery      sends an answer in pieces, paced, cut or broken off; `pieces` cuts streams at odd places
    asgi          what the applications share: bodies, JSON, clients that leave
    app           the ASGI application

Nothing but `delivery`, `app` and their like in `servers` waits. The model `@cf/simulator/code.4006`, or the
header `x-simulator-fault: code:4006` beside any model, gets that error.
"""

from gateway.simulator.app import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator
from gateway.simulator.servers import PRODUCTS, SimulatedServer, create_server

__all__ = [
    "PRODUCTS",
    "SIMULATED_ACCOUNT_ID",
    "SIMULATED_API_TOKEN",
    "SimulatedServer",
    "Simulator",
    "create_server",
]
