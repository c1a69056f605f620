"""Server-sent events, line by line as the standard has it."""

import pytest

from translators.sse import Event, EventDecoder, EventTooLongError


def _events(*pieces: bytes, limit: int = 1000) -> list[Event]:
    decoder = EventDecoder(limit)
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()


def test_data_lines_of_one_event_are_joined_by_a_newline() -> None:
    assert _events(b"data: a\ndata:b\n\n") == [Event(b"a\nb")]


def test_only_the_first_space_behind_the_colon_belongs_to_the_format() -> None:
    assert _events(b"data:  a\n\n") == [Event(b" a")]


def test_an_event_has_the_name_that_stands_before_it_and_only_that_one() -> None:
    assert _events(b"event: ping\ndata: a\n\ndata: b\n\n") == [Event(b"a", b"ping"), Event(b"b")]


def test_an_event_without_data_is_none() -> None:
    assert _events(b"event: ping\n\n: comment\n\nid: 1\nretry: 5\n\n") == []


def test_a_bare_field_name_has_an_empty_value() -> None:
    assert _events(b"data\n\n") == [Event(b"")]


def test_the_word_that_ends_a_stream_needs_no_field() -> None:
    ended = [Event(b"a"), Event(b"[DONE]")]
    assert _events(b"data: a\n\n[DONE]\n\n") == ended
    assert _events(b"data: a\n\n[DO", b"NE]") == ended
    assert _events(b"[DONE]x\n\n[done]\n\n") == []


def test_a_byte_order_mark_is_passed_over_at_the_beginning_only() -> None:
    mark = b"\xef\xbb\xbf"
    assert _events(mark + b"data: a\n\n" + mark + b"data: b\n\n") == [Event(b"a")]


@pytest.mark.parametrize("newline", [b"\n", b"\r", b"\r\n"])
def test_each_line_ending_ends_a_line(newline: bytes) -> None:
    assert _events(newline.join([b"data: a", b"", b"data: b", b"", b""])) == [Event(b"a"), Event(b"b")]


def test_line_separators_inside_a_string_are_text() -> None:
    text = '"\u2028\u2029\u0085\x0b\x0c\x1c"'.encode()
    assert _events(b"data: " + text + b"\n\n") == [Event(text)]


def test_the_last_event_needs_no_blank_line() -> None:
    assert _events(b"data: a\n\ndata: b") == [Event(b"a"), Event(b"b")]


def test_an_event_over_the_limit_is_an_error_that_keeps_the_events_before_it() -> None:
    with pytest.raises(EventTooLongError, match="longer than 70 bytes") as caught:
        _events(b"data: a\n\ndata: 0123456789\n\n", limit=70)
    assert caught.value.before == [Event(b"a")]


def test_the_limit_is_counted_anew_for_each_event() -> None:
    assert len(_events(b"data: 1234\n\n" * 100, limit=70)) == 100


@pytest.mark.parametrize("size", [58, 59, 60, 70])
def test_the_limit_is_the_same_however_an_event_is_cut(size: int) -> None:
    def is_too_long(*pieces: bytes) -> bool:
        try:
            _events(*pieces, limit=66 + 56)
        except EventTooLongError:
            return True
        return False

    event = b"data: " + b"x" * size + b"\n\n"
    assert is_too_long(event) == is_too_long(event[:9], event[9:]) == is_too_long(event[:-1], event[-1:])


def test_lines_without_content_count_towards_the_limit() -> None:
    with pytest.raises(EventTooLongError):
        _events(b"data:\n" * 100)


def test_an_unfinished_line_counts_towards_the_limit() -> None:
    decoder = EventDecoder(10)
    assert decoder.feed(b"data: 1234") == []
    with pytest.raises(EventTooLongError):
        decoder.feed(b"5")
