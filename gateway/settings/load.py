"""From a file and the environment to Settings, or to all their mistakes at once."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.settings.backends import KINDS
from gateway.settings.credentials import FORMS
from gateway.settings.document import BrokenError, Document, Loc, Position, Values, parse
from gateway.settings.environment import Origins, add_environment
from gateway.settings.mistakes import Mistake, SettingsError, broken_excerpt, dotted, excerpt
from gateway.settings.schema import Shape
from gateway.settings.shape import MIB, Settings
from translators.backends.workers_ai.request import is_model_id

DEFAULT_FILE = Path("penstock.yaml")
NO_BACKENDS = (
    "no backend is set: add one under `backends`, or set CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN"
)
# Our words for pydantic's error types; what is not here keeps pydantic's sentence.
WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not a setting",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "int_parsing_size": "should be a smaller number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "finite_number": "should be a finite number",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "string_type": "should be text",
    "string_too_short": "should not be empty",
    "path_type": "should be a path",
    "dict_type": "should be a mapping of names",
    "model_type": "should be a mapping of settings",
    "tuple_type": "should be a list",
    "too_short": "should hold at least one entry",
    "string_pattern_mismatch": "has a character that does not belong there: use letters, digits, '_' and '-'",
}


def locate(path: Path | None) -> Path | None:
    """The file that `load` reads: the one that is named, else penstock.yaml here if there is one."""
    if path is not None:
        return path
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings, or raise SettingsError with every mistake."""
    found = locate(path)
    return _load(_read(found, environ), environ) if found else load_environment(environ)


def load_environment(environ: Mapping[str, str]) -> Settings:
    """Read the settings from the environment alone, whatever files there are."""
    return _load(Document("", ""), environ)


def _load(document: Document, environ: Mapping[str, str]) -> Settings:
    values = document.values
    origins = add_environment(values, environ)
    report = _Report(document, origins)
    settings = _validate(values, report, environ)
    if settings is None or report.mistakes:
        raise SettingsError(report.mistakes)
    return settings


def _read(path: Path, environ: Mapping[str, str]) -> Document:
    name = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MIB + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError([Mistake(name, "", f"cannot be read: {reason}")]) from None
    if len(raw) > MIB:
        raise SettingsError([Mistake(name, "", "is over 1 MiB: this is no configuration file")])
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        *lines, before = error.object[: error.start].decode().split("\n")  # which has lost its mark
        position = Position(len(lines) + 1, len(before) + 1)
        raise SettingsError([Mistake(name, "", "is not UTF-8 text", position)]) from None
    try:
        return parse(name, text, environ)
    except BrokenError as error:
        flaw = error.flaw
        shown = broken_excerpt(text, flaw.position, Shape())
        raise SettingsError([Mistake(name, "", flaw.message, flaw.position, shown)]) from None


def _validate(values: Values, report: "_Report", environ: Mapping[str, str]) -> Settings | None:
    for loc, message in _wrong_targets(values):
        report.add(loc, message)
    for loc, message in _wrong_fallbacks(values):
        report.add(loc, message)
    for loc, message in _unset_variables(values, environ):
        report.add(loc, message)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            report.add_detail(detail)
    return None


class _Report:
    """Collects mistakes and gives each its place; what the file's own flaws explain is not said again."""

    def __init__(self, document: Document, origins: Origins) -> None:
        self.document = document
        self.origins = origins
        self.shape = Shape()
        self.mistakes: list[Mistake] = []
        self.flawed = {flaw.loc for flaw in document.flaws}
        for flaw in document.flaws:
            self._add_at(flaw.position, flaw.loc, flaw.message)

    def add_detail(self, detail: ErrorDetails) -> None:
        kind = detail["type"]
        loc = tuple(part for part in detail["loc"] if part not in FORMS | KINDS)
        if kind == "too_short" and detail["input"]:
            return  # it has entries, whose own mistakes are told
        is_key = loc[-1:] == ("[key]",)
        if is_key:  # it is the name that is wrong
            loc = loc[:-1]
        if loc == ("backends",) and kind in {"missing", "too_short"}:
            self.add(loc, NO_BACKENDS)
            return
        message = WORDS.get(kind) or self._sentence(loc, detail)
        at_key = is_key or kind in {"extra_forbidden", "missing"}
        self.add(loc, message + self._hint(loc, detail), at_key=at_key)

    def add(self, loc: Loc, message: str, *, at_key: bool = False) -> None:
        if any(loc[:length] in self.flawed for length in range(len(loc) + 1)):
            return
        variable = self._variable(loc)
        if variable is not None:
            self.mistakes.append(Mistake(f"environment: {variable}", dotted(loc, self.shape), message))
            return
        position = self._position(loc, at_key=at_key)
        if position is None:
            self.mistakes.append(
                Mistake(self.document.name or "environment", dotted(loc, self.shape), message)
            )
        else:
            self._add_at(position, loc, message)

    def _variable(self, loc: Loc) -> str | None:
        """The variable that has set it, or something in it or beside it of which the file knows nothing."""
        if loc in self.origins:
            return self.origins[loc]
        while loc and loc not in self.document.starts:
            inside = (name for place, name in self.origins.items() if place[: len(loc)] == loc)
            if (name := next(inside, None)) is not None:
                return name
            loc = loc[:-1]
        return None

    def _sentence(self, loc: Loc, detail: ErrorDetails) -> str:
        """Pydantic's own, but for a choice: of several forms of a section it sees only one."""
        if detail["type"] != "literal_error":
            return detail["msg"].removeprefix("Input ")
        *others, last = map(repr, dict.fromkeys(self.shape.choices(loc)))
        return f"should be {', '.join(others)} or {last}" if others else f"should be {last}"

    def _hint(self, loc: Loc, detail: ErrorDetails) -> str:
        kind = detail["type"]
        if kind == "extra_forbidden":
            return suggestion(str(loc[-1]), self.shape.names(loc[:-1]))
        if kind == "literal_error":
            choices = self.shape.choices(loc)
            return suggestion(str(detail["input"]), choices) if len(choices) > 1 else ""
        return ""

    def _position(self, loc: Loc, *, at_key: bool) -> Position | None:
        """The place of the value, or of the key; for what is missing, of the nearest thing around it."""
        keys, starts = self.document.keys, self.document.starts
        if loc in starts:
            return keys.get(loc, starts[loc]) if at_key else starts[loc]
        around = loc[:-1]
        while around and around not in starts:
            around = around[:-1]
        return keys.get(around, starts.get(around))

    def _add_at(self, position: Position, loc: Loc, message: str) -> None:
        shown = excerpt(self.document, position, self.shape)
        self.mistakes.append(Mistake(self.document.name, dotted(loc, self.shape), message, position, shown))


def suggestion(word: str, choices: list[str]) -> str:
    """The choice that is nearest to a word, as a question behind a mistake; nothing where none is near."""
    close = get_close_matches(word, choices, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _wrong_targets(values: Values) -> Iterator[tuple[Loc, str]]:
    """Targets that cannot be reached; on raw values, so that it shows beside all other mistakes."""
    backends = _mapping(values.get("backends"))
    if not backends:
        return
    for model, route in _mapping(values.get("models")).items():
        targets = _mapping(route).get("targets")
        for index, target in enumerate(targets if isinstance(targets, list) else []):
            for key, message in _wrong_target(_mapping(target), backends):
                yield ("models", model, "targets", index, key), message
        for key, message in _wrong_target(_mapping(_mapping(route).get("shadow")), backends):
            yield ("models", model, "shadow", key), message


def _wrong_target(target: Values, backends: Values) -> Iterator[tuple[str, str]]:
    name, model = target.get("backend"), target.get("model")
    if not isinstance(name, str) or not name:
        return  # which is told as it is
    if name not in backends:
        yield "backend", f"there is no backend of this name{suggestion(name, list(backends))}"
        return
    if not isinstance(model, str) or not model:
        return
    if _mapping(backends[name]).get("kind") == "workers_ai" and not is_model_id(model):
        yield "model", "is no model id of Workers AI: it should be like '@cf/author/model'"


def _wrong_fallbacks(values: Values) -> Iterator[tuple[Loc, str]]:
    """Models that no request could fall back to. What servers list is known only when they are asked."""
    models = _mapping(values.get("models"))
    backends = [_mapping(each) for each in _mapping(values.get("backends")).values()]
    opened = [each.get("kind") for each in backends if each.get("catalogue") != "listed"]
    if not backends or any(kind != "workers_ai" for kind in opened):
        return
    for model, route in models.items():
        named = _mapping(route).get("fallbacks")
        for index, name in enumerate(named if isinstance(named, list) else []):
            if not isinstance(name, str) or not name:
                continue  # which is told as it is
            if name not in models and not (opened and is_model_id(name)):
                words = f"there is no model of this name{suggestion(name, list(models))}"
                yield ("models", model, "fallbacks", index), words


def _unset_variables(values: Values, environ: Mapping[str, str]) -> Iterator[tuple[Loc, str]]:
    """Credentials in variables that are not there."""
    for name, backend in _mapping(values.get("backends")).items():
        for field in ("api_token", "api_key"):
            for loc, source in _one_by_one(("backends", name, field), _mapping(backend).get(field)):
                variable = _mapping(source).get("env")
                if isinstance(variable, str) and variable and not environ.get(variable):
                    yield (*loc, "env"), f"the environment variable {variable} is not set"


def _one_by_one(loc: Loc, given: Any) -> Iterator[tuple[Loc, Any]]:
    """What may stand alone or in a list, each with its place."""
    if isinstance(given, list):
        yield from (((*loc, index), each) for index, each in enumerate(given))
    else:
        yield loc, given


def _mapping(value: Any) -> Values:
    return value if isinstance(value, dict) else {}
