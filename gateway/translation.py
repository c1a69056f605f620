"""A request translated for its target, with the fate of every parameter; and the same explained to people."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.keys import Caller
from gateway.routing import Plan, Routes, Target
from translators.backends.openai_server.request import translate as for_server
from translators.backends.openai_server.servers import Served
from translators.backends.workers_ai.request import translate as for_workers_ai
from translators.call import Stamp
from translators.chat import ChatRequest
from translators.clients import OPENAI_CHAT, OPENAI_COMPLETIONS
from translators.clients.body import decode
from translators.dialogue import Dialogue
from translators.report import Entry, Fate, Report, header, refuse_dropped


def translate_for(
    plan: Plan, target: Target, request: ChatRequest, stamp: Stamp
) -> tuple[Dialogue, tuple[Entry, ...]]:
    """The calls that answer a request at a target, and the fate of each of its parameters.

    Raises:
        ApiError: 400 for what the target cannot meet, or what a strict route would have to drop.
    """
    report = Report()
    filled: Mapping[str, Any] = {}
    if plan.defaults:
        request, filled = _with_defaults(request, plan.defaults)
    if target.room is not None:
        # The backend's count of the prompt is exact; ours, by which the translator clamps, is high.
        request = msgspec.structs.replace(request, max_tokens=target.room)
        target = msgspec.structs.replace(target, facts=msgspec.structs.replace(target.facts, window=None))
        note = f"the backend counted the prompt, which leaves {target.room} tokens for the answer"
        report.note("max_tokens", Fate.CLAMPED, note)
    dialogue = _translated(request, target, stamp, report)
    if target.fallback:
        note = f"'{target.fallback}' answers in place of '{plan.route}'"
        report.note("model", Fate.TRANSFORMED, note)
    for name, value in filled.items():
        report.note(name, Fate.DEFAULTED, f"{value}, by the route or the key")
    if target.note:
        report.note("model", Fate.TRANSFORMED, target.note)
    entries = report.entries(request.sent, request.settled)
    refusal = refuse_dropped(entries) if plan.strict else None
    if refusal is not None:
        raise refusal
    return dialogue, entries


def _translated(request: ChatRequest, target: Target, stamp: Stamp, report: Report) -> Dialogue:
    facts = target.facts
    if isinstance(facts, Served):
        return for_server(request, target.model, facts, stamp, report)
    return for_workers_ai(request, target.model, facts, stamp, report)


def _with_defaults(
    request: ChatRequest, defaults: Mapping[str, Any]
) -> tuple[ChatRequest, Mapping[str, Any]]:
    """The request with the route's defaults for what the client did not send, and which these are."""
    given = {**request.parameters, **request.extra}
    if request.max_tokens is not None:
        given["max_tokens"] = request.max_tokens
    filled = {name: value for name, value in defaults.items() if name not in given}
    parameters = {name: value for name, value in filled.items() if name != "max_tokens"}
    completed = msgspec.structs.replace(
        request,
        parameters={**request.parameters, **parameters},
        max_tokens=filled.get("max_tokens", request.max_tokens),
    )
    return completed, filled


def explain(
    routes: Routes, body: bytes, model: str | None = None, caller: Caller | None = None
) -> dict[str, Any]:
    """What a request would become, nothing sent.

    Args:
        routes: The models that are served.
        body: An OpenAI chat body, or a completions body (which has a `prompt` and no `messages`).
        model: Asked for in place of the body's own.
        caller: Whose request it would be; None for anybody's.

    Returns:
        `model`, `target` {backend, model}, `calls` [{method, path, body}], `report` [{parameter, fate,
        detail}] and `header`, the value of `x-penstock-translation`.

    Raises:
        ApiError: What the gateway would answer instead.
    """
    fields = decode(body)
    if model is not None:
        fields["model"] = model
    dialect = OPENAI_COMPLETIONS if "prompt" in fields and "messages" not in fields else OPENAI_CHAT
    request = dialect.read(msgspec.json.encode(fields))
    if caller is not None:
        caller.check_model(request.model)
    plan = routes.resolve(request.model, caller.defaults if caller is not None else None)
    target = plan.targets[0]
    dialogue, entries = translate_for(plan, target, request, Stamp(0, "0" * 24))
    return {
        "model": request.model,
        "target": {"backend": target.backend, "model": target.model},
        "calls": [
            {"method": "POST", "path": "/".join(call.segments), "body": msgspec.json.decode(call.body)}
            for call in dialogue.first()
        ],
        "report": [
            {"parameter": entry.parameter, "fate": entry.fate.word, "detail": entry.detail}
            for entry in entries
        ],
        "header": header(entries),
    }
