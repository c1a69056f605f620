"""Judges of answers: whether a tool was called that had to be, whether JSON is what was asked for.

`tool_choice: "required"` is only advice to several models (qwq, qwen3, gemma-4; langchain-cloudflare), and
one takes none at all. So the text of an answer is held until a call comes. Where none comes, the model is
asked once more, told plainly and by the tool's name where one is meant; where that fails as well, what it
said stands: a call is never invented.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from translators.asking.asker import Asker
from translators.asking.structured import StructuredOutput, in_words, repairing
from translators.call import BackendCall
from translators.deltas import Call, Delta, Finish, Reasoning, Text
from translators.errors import ApiError
from translators.json_judge import JsonJudge
from translators.rounds import Held, Judge
from translators.tools import named_form

_LONGEST_ECHO: Final = 4000  # characters of an answer that the model is shown again


def json_judge(output: StructuredOutput, body: Mapping[str, Any], asker: Asker) -> JsonJudge | None:
    """The judge of JSON that is held against something; None where it is not."""
    if output.wanted is None:
        return None
    if not output.words:
        return JsonJudge(output.wanted)
    question = _JsonQuestion(output, body, asker)
    return JsonJudge(output.wanted, question.repair, question.in_words)


def together(judges: Sequence[Judge]) -> Judge | None:
    """One judge for several, of whom there are two at most; None for none."""
    return _InTurn(*judges) if len(judges) > 1 else next(iter(judges), None)


class _JsonQuestion:
    """A question for JSON, put once more."""

    def __init__(self, output: StructuredOutput, body: Mapping[str, Any], asker: Asker) -> None:
        self._output = output
        self._body = body
        self._asker = asker

    def repair(self, said: str, problems: str) -> BackendCall:
        """Show the model its answer and what is wrong with it."""
        return self._asker.again(self._body, repairing(self._output, said, problems))

    def in_words(self) -> BackendCall:
        """Ask in words, from now on."""
        grown = self._asker.prompt_bytes + len(self._output.words.encode())
        self._asker = msgspec.structs.replace(self._asker, prompt_bytes=grown)
        self._body = in_words(self._body, self._output)
        return self._asker.again(self._body, ())


class _InTurn:
    """Two judges, of which the second sees what the first lets through."""

    def __init__(self, first: Judge, second: Judge) -> None:
        self._first = first
        self._second = second
        self._is_first = True  # whether the first has not made up its mind
        self._out: list[Delta] = []  # let through by both, though not yet asked for

    def feed(self, delta: Delta) -> Iterable[Delta]:
        """What both let through."""
        passed = self._first.feed(delta) if self._is_first else (delta,)
        return [out for each in passed for out in self._second.feed(each)]

    def again(self) -> BackendCall | None:
        """What the first asks for, else what the second does."""
        call = self._first.again() if self._is_first else None
        if call is None:
            self._turn()
        return call or self._second.again()

    def instead(self, error: ApiError) -> BackendCall | None:
        """What either asks for in place of a failed call."""
        return self._first.instead(error) or self._second.instead(error)

    def rest(self) -> Iterable[Delta]:
        """What is held by both."""
        self._turn()
        return (*self._out, *self._second.rest())

    def _turn(self) -> None:
        """Give what the first holds to the second."""
        if self._is_first:
            self._is_first = False
            self._out += [out for each in self._first.rest() for out in self._second.feed(each)]


class ForcedTool:
    """Holds what an answer says until it calls a tool.

    Args:
        names: The tools of which one has to be called.
        body: What was asked.
        asker: Asks once more.
        takes_choice: Whether the model takes `tool_choice`.
    """

    def __init__(
        self, names: Sequence[str], body: Mapping[str, Any], asker: Asker, *, takes_choice: bool
    ) -> None:
        self._names = names
        self._takes_choice = takes_choice
        self._body = body
        self._asker = asker
        self._held = Held()
        self._called = False
        self._asked = False

    def feed(self, delta: Delta) -> Iterable[Delta]:
        """Pass on thinking, and everything once there is a call."""
        if self._called or isinstance(delta, Reasoning):
            return (delta,)
        self._held.add(delta)
        if not isinstance(delta, Call):
            return ()
        self._called = True
        return self._held.take()

    def again(self) -> BackendCall | None:
        """The same question, told that there has to be a call; once, and not where the answer was cut."""
        if self._called or self._asked or not self._ended_by_itself():
            return None
        self._asked = True
        said = "".join(delta.text for delta in self._held.coming if isinstance(delta, Text))
        self._held.turn()
        meant = self._meant(said)
        turns = [{"role": "assistant", "content": said[:_LONGEST_ECHO]}] if said.strip() else []
        turns.append({"role": "user", "content": _reminder(meant)})
        return self._asker.again(self._narrowed(meant), turns)

    def instead(self, error: ApiError) -> None:
        """Nothing: a call that failed would fail again."""

    def rest(self) -> Iterable[Delta]:
        """What was said in place of a call."""
        return () if self._called else self._held.standing

    def _ended_by_itself(self) -> bool:
        return any(isinstance(delta, Finish) and delta.reason == "stop" for delta in self._held.coming)

    def _meant(self, said: str) -> str | None:
        """The tool to ask for: the only one, or the only one that the answer mentions."""
        if len(self._names) == 1:
            return self._names[0]
        mentioned = [name for name in self._names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said)]
        return mentioned[0] if len(mentioned) == 1 else None

    def _narrowed(self, meant: str | None) -> dict[str, Any]:
        """The body that offers the tool that is meant, and asks for it by name."""
        if meant is None or "tools" not in self._body:
            return dict(self._body)
        tools = [tool for tool in self._body["tools"] if tool["function"]["name"] == meant]
        choice = {"tool_choice": named_form(meant)} if self._takes_choice else {}
        return {**self._body, "tools": tools, **choice}


def _reminder(meant: str | None) -> str:
    tool = "one of the tools" if meant is None else f"the tool `{meant}`"
    return f"You have called no tool. You must call {tool} now. Answer with the call alone."
