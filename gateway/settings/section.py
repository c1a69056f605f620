"""What every mapping of the configuration has in common."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


def _expanded(path: Path) -> Path:
    """A path with the user's folder for its `~`, as a shell would have it."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise PydanticCustomError("home", "begins with '~' of a user without a folder") from None


Seconds = Annotated[float, Field(gt=0)]
UserPath = Annotated[Path, AfterValidator(_expanded)]


class Section(BaseModel):
    """A mapping of the configuration: unknown keys are mistakes, and a key without a value is not set."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}
