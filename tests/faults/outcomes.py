"""What a fault may lead to, and how it is checked: DESIGN's rules for every error and every ending."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import httpx

from tests.faults.chaos_server import PATIENCE, ChaosServer
from tests.gateway.served import Served, events, text_of

SLOWEST = 10  # seconds that a test may be late where a time is compared

CANARY = "canary"  # in every text of the backend's that nobody may see


@dataclass(frozen=True)
class Says:
    """A complete and correct answer."""

    text: str = "Hello"
    outcome: str = "ok"


@dataclass(frozen=True)
class Fails:
    """An error in the place of an answer.

    Attributes:
        deadline: The reason under which it counts as a deadline.
        headers: What else the answer says.
        at: The time until which it tells to wait, in seconds since 1970.
    """

    status: int
    code: str | None
    outcome: str
    deadline: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    at: int | None = None


@dataclass(frozen=True)
class Breaks:
    """A stream that has begun and ends with an event that says why."""

    code: str
    outcome: str
    deadline: str = ""
    text: str = "Hel"


Outcome = Says | Fails | Breaks


def is_error(error: Any) -> bool:
    """Whether this is OpenAI's error object, and tells nothing of the backend."""
    return (
        set(error) == {"message", "type", "param", "code"}
        and bool(error["message"])
        and CANARY not in error["message"].lower()
        and "://" not in error["message"]
    )


def check(answer: httpx.Response, expected: Outcome) -> None:
    """Assert that the client has seen what it should."""
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers
    assert CANARY not in str(answer.headers)
    streams = answer.headers["content-type"].startswith("text/event-stream")
    match expected:
        case Fails(status, code):
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), (
                answer.text
            )
            error = answer.json()["error"]
            assert is_error(error)
            assert error["code"] == code
            if expected.at is not None:
                assert abs(time.time() + int(answer.headers["retry-after"]) - expected.at) < SLOWEST
            assert dict(expected.headers).items() <= dict(answer.headers).items(), answer.headers
        case Says(text) if streams:
            assert answer.status_code == 200
            assert text_of(answer.text) == text
            _check_complete(answer.text)
        case Says(text):
            assert answer.status_code == 200, answer.text
            [choice] = answer.json()["choices"]
            assert (choice["message"]["content"], choice["finish_reason"]) == (text, "stop")
        case Breaks(code, _, _, text):
            assert streams, answer.text
            assert answer.status_code == 200
            assert text_of(answer.text) == text
            _check_broken(answer.text, code)


def _check_complete(body: str) -> None:
    *chunks, last = events(body)
    assert last == "[DONE]"
    assert body.count("[DONE]") == 1
    assert body.endswith("data: [DONE]\n\n")
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert [each for each in reasons if each] == ["stop"]
    assert all(not line or line.startswith(("data: ", ": ")) for line in body.split("\n"))


def _check_broken(body: str, code: str) -> None:
    *chunks, last = events(body)
    assert set(last) == {"error"}
    assert is_error(last["error"])
    assert last["error"]["code"] == code
    assert not any(choice["finish_reason"] for chunk in chunks for choice in chunk["choices"])
    assert "[DONE]" not in body


async def check_books(served: Served, expected: Outcome) -> None:
    """Assert that the metrics tell what happened, by reason."""
    attempts = await served.metric("penstock_upstream_attempts_total")
    assert await served.metric("penstock_upstream_attempts_total", outcome=expected.outcome) == attempts == 1
    deadline = "" if isinstance(expected, Says) else expected.deadline
    assert await served.metric("penstock_deadlines_total") == bool(deadline)
    if deadline:
        assert await served.metric("penstock_deadlines_total", reason=deadline) == 1
    assert await served.metric("penstock_inflight_requests") == 1  # the request for the metrics


async def check_nothing_left(served: Served, chaos: ChaosServer) -> None:
    """Assert that no exchange, connection or slot is left of what happened, but idle connections."""
    await served.settled()
    assert not served.gateway.ticker._live
    for upstream in served.gateway.dispatch.upstreams.values():
        pool = upstream._pool
        async with asyncio.timeout(PATIENCE):
            while pool._open - set(pool._idle):  # noqa: ASYNC110 - turns of the loop, not time
                await asyncio.sleep(0)
        if not pool._idle:
            await chaos.left()
