"""The open loop: each answer is counted as what it is, and what counts are those after the warm-up."""

import asyncio

import pytest

from tests.bench import upstream
from tests.bench.load import Address
from tests.bench.open_loop import Answers, Offer, _Load
from tests.bench.test_load import Canned, serving
from tests.bench.works import BURST, CHAT, Work

REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}"


async def _offered(work: Work, offer: Offer, path: str = "/v1/chat/completions") -> Answers:
    loop = asyncio.get_running_loop()
    async with serving(lambda: upstream.Connection(loop)) as port:
        return await _Load(Address(port, path=path), work, offer).run()


@pytest.mark.parametrize("work", [CHAT, BURST], ids=lambda work: work.name)
async def test_whole_answers_are_good(work: Work) -> None:
    answers = await _offered(work, Offer(rate=100, seconds=0.1))
    assert answers.offered == answers.good == len(answers.first_bytes) > 0
    assert (answers.faults, answers.refused, answers.unanswered) == ({}, 0, 0)


async def test_the_warm_up_does_not_count() -> None:
    answers = await _offered(CHAT, Offer(rate=100, seconds=0.05, warm_seconds=0.2))
    assert 0 < answers.offered == answers.good < 10


async def test_a_503_is_a_refusal_and_no_fault() -> None:
    async with serving(lambda: Canned(REFUSAL)) as port:
        answers = await _Load(Address(port), CHAT, Offer(rate=50, seconds=0.1)).run()
    assert answers.offered == answers.refused == len(answers.refusals) > 0
    assert (answers.faults, answers.good) == ({}, 0)


async def test_another_status_is_a_fault() -> None:
    answers = await _offered(CHAT, Offer(rate=50, seconds=0.1), "/nowhere")
    assert answers.good == 0
    assert answers.faults == {"HTTP/1.1 404": answers.offered}


async def test_half_a_stream_is_a_fault() -> None:
    async with serving(lambda: Canned(upstream.OPENAI[1][0])) as port:
        answers = await _Load(Address(port), BURST, Offer(rate=50, seconds=0.1)).run()
    assert answers.faults == {"the connection closed before the answer's end": answers.offered}
