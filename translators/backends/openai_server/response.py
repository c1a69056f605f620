"""A server's answer, read into deltas."""

from translators.answers.reader import Reader as AnyReader
from translators.backends.openai_server.errors import read_error
from translators.errors import ApiError


class Reader(AnyReader):
    """Reads one answer; the arguments are those of any reader."""

    who = "The server"

    def error_in(self, status: int, body: bytes, now: int) -> ApiError:
        """The common error of an answer that is no success."""
        return read_error(status, body, now)
