"""What operators are told where something is refused: what, and what to do about it."""

from gateway.keys import Caller, ConflictError, UnknownRecordError
from gateway.store import StoreAwayError
from translators.errors import SERVER_ERROR, ApiError


def check_role(caller: Caller, *, reads: bool) -> None:
    """Let a caller in, for reading or for changing something.

    Raises:
        ApiError: 403.
    """
    if not caller.may_read:
        raise ApiError(
            403,
            "This API key is for asking models and may not use the admin API. Use one whose role is 'admin', "
            "or 'read_only' for looking; GET /v1/key shows what a key's own holder may see.",
            code="insufficient_permissions",
        )
    if not reads and not caller.is_admin:
        raise ApiError(
            403,
            "This API key may only read. To change something, use a key whose role is 'admin'.",
            code="insufficient_permissions",
        )


def refusal_of(error: Exception) -> ApiError | None:
    """What is answered for an error of the rooms below; None where it is a mistake of ours."""
    match error:
        case ApiError():
            return error
        case UnknownRecordError():
            kind = "teams" if "team" in str(error) else "keys"
            return ApiError(
                404, f"{_sentence(error)}. GET /admin/v1/{kind} lists what there is.", code="not_found"
            )
        case ConflictError():
            return ApiError(409, f"{_sentence(error)}.", code="conflict")
        case StoreAwayError():
            return store_away()
        case _:
            return None


def store_away() -> ApiError:
    """503: nobody knows what there is, or whether it was changed."""
    return ApiError(
        503,
        "The store that holds keys and teams does not answer, or there is none. If this was to change "
        "something, look whether it did before you ask again; if it stays so, see whether the server at "
        "redis_url runs.",
        type=SERVER_ERROR,
        code="store_unavailable",
        retry_after=1.0,
    )


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
