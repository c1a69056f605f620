"""A Cloudflare account with Workers AI on this machine, true to the wire: what `penstock simulate` serves.

It is written from what is publicly known of the service and shares no code with the translators, so that it
cannot agree with their mistakes. It reaches nothing outside itself, costs nothing, and answers the same
request the same way every time.

    edge          routes, credentials, the two forms of a refusal
    validator     checks a body as Workers AI does and words the refusal; `ecmascript` prints values
    schemas       what each family's bodies may hold; `models` lists the models with window and price
    conversation  what a request asks for, freed from its wire form
    model         from a conversation to an answer with exact counts, by
      tools         which tools are asked for
      arguments     what to pass them, by `plain` (their schemas) and `clues` (the sentence), from
                    `texts`, `quantities` and `patterns`
      speech        what is said otherwise
      vocabulary    the tokens
    legacy        the wire form of an answer, whole and streamed; `pieces` cuts streams at odd places
    account       from a request's body to an answer
    app           the ASGI application; the only module that waits

Another wire family is another row in `models`, its schema, and a module beside `legacy`.
"""

from gateway.simulator.app import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator

__all__ = ["SIMULATED_ACCOUNT_ID", "SIMULATED_API_TOKEN", "Simulator"]
