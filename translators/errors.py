"""The common error: what went wrong, in the words and numbers that every client dialect can write.

A backend's error becomes an `ApiError` in the backend's dialect; a client dialect writes it in its own
envelope. The texts here are read by users: what, where, what to do. They never hold a URL, a host, a
path or a key of a backend.
"""

from typing import Final

INVALID_REQUEST: Final = "invalid_request_error"
SERVER_ERROR: Final = "server_error"
INVALID_OUTPUT: Final = "invalid_structured_output"  # the model did not give the JSON that was asked for


class ApiError(Exception):
    """An error as a client will see it.

    Attributes:
        status: The HTTP status, 400 to 599.
        message: What, where, what to do.
        type: OpenAI's error class, such as `invalid_request_error`.
        code: OpenAI's machine-readable code, or None.
        param: The request parameter at fault, such as `messages[0].content`, or None.
        retry_after: Seconds after which asking again helps, or None.

    A `quote` is a backend's sentence about the request, cleared of all that is none of the client's
    business; it is put behind the message.
    """

    def __init__(  # noqa: PLR0913 - the fields of an error are what they are
        self,
        status: int,
        message: str,
        *,
        type: str = INVALID_REQUEST,  # noqa: A002 - OpenAI's own name of the field
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        quote: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = f"{message.rstrip('.')}: {quote}." if quote else message
        self._unquoted = message
        self.type = type
        self.code = code
        self.param = param
        self.retry_after = retry_after

    def unquoted(self) -> "ApiError":
        """The same error without the backend's own words."""
        return ApiError(
            self.status,
            self._unquoted,
            type=self.type,
            code=self.code,
            param=self.param,
            retry_after=self.retry_after,
        )

    def __repr__(self) -> str:
        return f"ApiError({self.status}, {self.message!r}, code={self.code!r}, param={self.param!r})"


class CredentialError(ApiError):
    """The backend refuses the credential, or was asked too often with it; another one may do."""

    def unquoted(self) -> "CredentialError":
        """The same: the sentence is ours."""
        return self


def invalid(message: str, param: str | None, code: str | None = None) -> ApiError:
    """A 400 about one parameter of the client's request."""
    return ApiError(400, message, code=code, param=param)


def wrong_type(param: str, wanted: str, value: object) -> ApiError:
    """A 400 saying what type a parameter must have and which it has."""
    got = json_type(value)
    return invalid(f"'{param}' must be {wanted}, but it is {got}.", param, "invalid_type")


def bad_answer(message: str) -> ApiError:
    """A 502: the backend said something that is no answer."""
    return ApiError(502, message, type=SERVER_ERROR, code="bad_backend_answer")


def json_type(value: object) -> str:
    """The JSON name of a decoded value's type, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
