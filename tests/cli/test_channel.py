"""Messages between the parent and a worker, over a real socket pair."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.workers.channel import Channel, ChannelError, Drain, Gathered, Message, Tell, Told

Ends = tuple[Channel, socket.socket]


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    """A channel, and the bare other end."""
    mine, its = socket.socketpair()
    with its:
        its.setblocking(False)
        channel = await Channel.over(mine)
        yield channel, its
        await channel.close()


messages = st.lists(
    st.builds(Told, st.integers(0, 2**40), st.binary(max_size=200))
    | st.builds(Tell, st.integers(0, 2**40))
    | st.builds(Gathered, st.integers(0, 9), st.binary(min_size=70_000, max_size=80_000))
    | st.just(Drain()),
    max_size=6,
)


@given(messages)
def test_messages_arrive_whole_and_in_order_until_the_other_side_is_gone(sent: list[Message]) -> None:
    async def talk() -> list[Message | None]:
        one, other = [await Channel.over(end) for end in socket.socketpair()]
        for message in sent:
            one.send(message)
        closing = asyncio.create_task(one.close())
        heard = [await other.receive() for _ in range(len(sent) + 1)]
        await closing
        await other.close()
        return heard

    assert asyncio.run(talk()) == [*sent, None]


@pytest.mark.parametrize(
    "said",
    [b"\xff\xff\xff\xff", b"\x04\0\0\0what", b"\x01\0\0\0\x80", b"\0\0\0\0"],
    ids=["too long", "no message", "of no kind", "empty"],
)
async def test_what_is_no_message_is_an_error(ends: Ends, said: bytes) -> None:
    channel, other = ends
    await asyncio.get_running_loop().sock_sendall(other, said)
    with pytest.raises(ChannelError):
        await channel.receive()


async def test_half_a_message_is_none(ends: Ends) -> None:
    channel, other = ends
    await asyncio.get_running_loop().sock_sendall(other, b"\x09\0\0\0hal")
    other.close()
    assert await channel.receive() is None


async def test_sending_to_who_is_gone_harms_nobody(ends: Ends) -> None:
    channel, other = ends
    other.close()
    for number in range(20):
        channel.send(Tell(number))
    assert await channel.receive() is None
