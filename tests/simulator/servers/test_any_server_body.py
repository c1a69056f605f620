"""Whatever a client sends to whichever product, it gets an answer or a refusal, and a stream ends."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator import PRODUCTS, create_server
from tests.simulator.servers.asking import client
from tests.simulator.test_any_body import BODIES, KEYS, VALUES

SERVERS = {product: create_server(product) for product in PRODUCTS}
PATHS = ("/v1/chat/completions", "/v1/completions")


@given(
    st.sampled_from(list(PRODUCTS)),
    st.sampled_from(PATHS),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5),
    BODIES,
)
def test_any_body_is_answered_or_refused(
    product: str, path: str, odd: dict[str, Any], plain: dict[str, Any]
) -> None:
    async def ask() -> None:
        async with client(SERVERS[product]) as asking:
            answer = await asking.post(path, json={"model": "simulated"} | odd | plain)
        assert answer.status_code == 200 or 400 <= answer.status_code < 500
        if "event-stream" in answer.headers["content-type"]:
            assert answer.text.endswith("data: [DONE]\n\n")

    asyncio.run(ask())
