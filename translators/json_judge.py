"""Judges answers that have to be JSON: what can be put right is, what cannot is asked for once more.

OpenAI promises an object for `json_object`, and for `json_schema` with `strict` an answer that satisfies
the schema; without `strict` JSON is enough. What does not keep the promise after a second try is an error,
for a client would take it for what it asked for. An answer that calls tools, refuses, or was cut is not
judged: it is passed on as it is, as OpenAI does.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from translators.call import BackendCall
from translators.chat import ResponseFormat
from translators.deltas import Call, Delta, Failed, Finish, Reasoning, Refusal, Text
from translators.errors import INVALID_OUTPUT, SERVER_ERROR, ApiError
from translators.model_text.json_text import Reading, read_json
from translators.rounds import Held
from translators.schemas import Budget, JsonSchema

_LONGEST_ECHO: Final = 20_000  # characters of an answer that the model is shown again


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an answer has to be: JSON after a schema, or any object."""

    schema: JsonSchema | None
    strict: bool  # whether the schema is a promise to the client

    def fits(self, value: Any) -> bool:
        """Whether a value will do."""
        if self.schema is None:
            return isinstance(value, dict)
        return self.schema.fits(value) and (self.strict or value != self.schema.source)

    def keeps_promise(self, reading: Reading) -> bool:
        """Whether the client may have a value after the last try.

        Without `strict` a schema is a wish, and JSON all that is promised; but the client's own schema
        said back to it is no answer.
        """
        if reading.found is None or reading.fits:
            return reading.fits
        return not self.strict and self.schema is not None and reading.found.value != self.schema.source

    def problems(self, reading: Reading) -> str:
        """What is wrong with an answer that does not fit."""
        if reading.found is None:
            return reading.problem
        if self.schema is None:
            return "it is no JSON object"
        listed = self.schema.problems(reading.found.value, len(reading.found.text))
        return "; ".join(listed) or "it does not satisfy the schema"


def wanted_json(form: ResponseFormat, place: str, budget: Budget | None = None) -> Wanted:
    """What the client wants, its schema checked.

    Args:
        form: The client's `response_format`.
        place: Where its schema stood, for errors.
        budget: What the schema shares with those of the tools.

    Raises:
        ApiError: 400 naming a schema that is out of bounds or wrong in itself.
    """
    if form.schema is None:
        return Wanted(None, strict=True)
    return Wanted(JsonSchema(form.schema, place, budget), form.strict)


class JsonJudge:
    """Holds the text of one choice until it is whole.

    Args:
        wanted: What the answer has to be.
        repair: Makes the call that shows the model its answer and what is wrong with it; None where there is
            no second try.
        in_words: Makes the call that asks in words, for a backend that says that it could not produce JSON.
    """

    def __init__(
        self,
        wanted: Wanted,
        repair: Callable[[str, str], BackendCall] | None = None,
        in_words: Callable[[], BackendCall] | None = None,
    ) -> None:
        self._wanted = wanted
        self._repair = repair
        self._in_words = in_words
        self._held = Held()
        self._open = False  # whether the answer turned out to be one that is not judged
        self._asked = False
        self._asked_in_words = False

    def feed(self, delta: Delta) -> Iterable[Delta]:
        """Pass on thinking at once, and everything from the first call or refusal on."""
        if self._open or isinstance(delta, Reasoning):
            return (delta,)
        self._held.add(delta)
        if not isinstance(delta, Call | Refusal):
            return ()
        self._open = True
        return self._held.take()

    def again(self) -> BackendCall | None:
        """The question with the answer and what is wrong with it, once."""
        if self._repair is None or self._asked or self._open or not _is_judged(self._held.coming):
            return None
        text = _text_of(self._held.coming)
        reading = read_json(text, self._wanted.fits)
        if reading.fits:
            return None
        self._asked = True
        self._held.turn()
        return self._repair(text[:_LONGEST_ECHO], self._wanted.problems(reading))

    def instead(self, error: ApiError) -> BackendCall | None:
        """The question in words, where the backend's own JSON mode gave up; once."""
        if self._in_words is None or self._asked_in_words or error.code != INVALID_OUTPUT:
            return None
        self._asked_in_words = True
        return self._in_words()

    def rest(self) -> Iterable[Delta]:
        """The answer as JSON alone, or the error that it is none."""
        if self._open:
            return ()
        standing = self._held.standing
        if not _is_judged(standing):
            return standing
        text = _text_of(standing)
        reading = read_json(text, self._wanted.fits)
        if reading.found is None or not self._wanted.keeps_promise(reading):
            return (Failed(_not_met(self._wanted.problems(reading), was_asked=self._asked)),)
        if reading.found.text == text:
            return standing
        # The log probabilities were those of another text.
        return (Text(0, reading.found.text), *(each for each in standing if not isinstance(each, Text)))


def _is_judged(answer: Sequence[Delta]) -> bool:
    """Whether an answer came to its own end."""
    return any(isinstance(delta, Finish) and delta.reason == "stop" for delta in answer)


def _text_of(answer: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in answer if isinstance(delta, Text))


def _not_met(problems: str, *, was_asked: bool) -> ApiError:
    did_not = "was asked again and still did not give" if was_asked else "did not give"
    return ApiError(
        502,
        f"The model {did_not} the JSON of 'response_format': {problems}. "
        "Ask again, make the schema simpler, or ask another model.",
        type=SERVER_ERROR,
        code=INVALID_OUTPUT,
    )
