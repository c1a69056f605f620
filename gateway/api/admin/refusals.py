"""What operators are told where something is refused: what, and what to do about it."""

from typing import Final

from gateway import errors
from gateway.api.admin.shown import SET_IN
from gateway.keys import Caller, ConflictError, UnknownRecordError
from gateway.store import StoreAwayError
from translators.errors import SERVER_ERROR, ApiError

_LIMITS: Final = "/admin/v1/limits"


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


def method_refused(method: str, path: str, allowed: str) -> ApiError:
    """405 naming what is allowed, and where else something is set."""
    refusal = errors.method_not_allowed(method, allowed)
    if path.rstrip("/") == _LIMITS:
        refusal.message += (
            f" These limits are set in {SET_IN}: change penstock.yaml and start the gateway anew. Those of "
            "keys and teams are changed with PATCH /admin/v1/keys/{key_id} and PATCH "
            "/admin/v1/teams/{team_id}."
        )
    return refusal


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
