"""Where a backend's credential is read from, as people write it."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from gateway.settings.section import Section

Word = Annotated[str, Field(min_length=1)]


class CredentialSource(Section):
    """One of a backend's credentials: in a variable, in a file, or what a command prints."""

    env: Word | None = Field(default=None, description="Name of the environment variable that holds it.")
    file: Path | None = Field(
        default=None, description="File that holds it and nothing else; it is read again when it changes."
    )
    exec: tuple[Word, ...] | None = Field(
        default=None,
        min_length=1,
        description="Command with its arguments, run without a shell, that prints it and nothing else.",
    )
    refresh: Annotated[float, Field(ge=1)] = Field(
        default=300.0, description="Seconds after which the command is run again."
    )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(source is not None for source in (self.env, self.file, self.exec)) != 1:
            raise PydanticCustomError("credential_source", "should have one of 'env', 'file' and 'exec'")
        return self
