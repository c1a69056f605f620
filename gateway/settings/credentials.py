"""A backend's credential as people write it: the text itself, where it is read from, or several of these."""

import re
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from gateway.settings.section import Section, UserPath

# What may stand in an HTTP header's value without quoting or folding (RFC 9110 section 5.5, less spaces).
VISIBLE_ASCII = re.compile(r"[!-~]+")

# What the places of mistakes name beside keys of the file: as which of its forms a credential was read.
_TEXT, _SOURCE, _SEVERAL = "<text>", "<source>", "<several>"
FORMS = frozenset({_TEXT, _SOURCE, _SEVERAL})


def _is_credential(secret: SecretStr) -> SecretStr:
    if not VISIBLE_ASCII.fullmatch(secret.get_secret_value()):
        raise PydanticCustomError("credential", "should be one word of visible ASCII characters")
    return secret


Word = Annotated[str, Field(min_length=1)]
Argument = Annotated[SecretStr, Field(min_length=1)]
Credential = Annotated[
    SecretStr,
    AfterValidator(_is_credential),
    WithJsonSchema({"type": "string", "format": "password", "writeOnly": True, "pattern": "^[!-~]+$"}),
]


class CredentialSource(Section):
    """Where a credential is read from: a variable, a file, or what a command prints."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["env"]}, {"required": ["file"]}, {"required": ["exec"]}],
            "dependentRequired": {"refresh": ["exec"]},
        }
    )

    env: Word | None = Field(default=None, description="Name of the environment variable that holds it.")
    file: UserPath | None = Field(
        default=None, description="File that holds it and nothing else; it is read again when it changes."
    )
    exec: tuple[Argument, ...] | None = Field(
        default=None,
        min_length=1,
        description="Command with its arguments, run without a shell, that prints it and nothing else.",
    )
    refresh: Annotated[float, Field(ge=1)] = Field(
        default=300.0, description="Seconds after which the command is run again."
    )

    @property
    def command(self) -> tuple[str, ...] | None:
        """The command with its arguments, which may be secret."""
        return None if self.exec is None else tuple(each.get_secret_value() for each in self.exec)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(source is not None for source in (self.env, self.file, self.exec)) != 1:
            raise PydanticCustomError("credential_source", "should have one of 'env', 'file' and 'exec'")
        if self.exec is None and "refresh" in self.model_fields_set:
            raise PydanticCustomError("credential_refresh", "has a 'refresh', which goes with 'exec' alone")
        return self


def _form(value: Any) -> str:
    if isinstance(value, list | tuple):
        return _SEVERAL
    return _SOURCE if isinstance(value, dict | CredentialSource) else _TEXT


_Text = Annotated[Credential, Tag(_TEXT)]
_Source = Annotated[CredentialSource, Tag(_SOURCE)]
_One = Annotated[
    _Text | _Source,
    Discriminator(
        _form,
        custom_error_type="credential_form",
        custom_error_message="should be one of several credentials, and no list",
    ),
]
_Several = Annotated[tuple[_One, ...], Field(min_length=1), Tag(_SEVERAL)]

CredentialForm = Annotated[_Text | _Source | _Several, Discriminator(_form)]


def entries(
    given: SecretStr | CredentialSource | tuple[SecretStr | CredentialSource, ...],
) -> list[str | CredentialSource]:
    """Each of them: the text itself, or where it is read from."""
    several = given if isinstance(given, tuple) else (given,)
    return [each.get_secret_value() if isinstance(each, SecretStr) else each for each in several]
