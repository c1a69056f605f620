"""The facts of the Workers AI models: as shipped, and over them what `penstock models sync` has fetched.

What was fetched lies in `data_dir` in the words in which the list states it, not joined with ours: a newer
Penstock, whose own facts are better, joins it anew.
"""

import logging
import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from translators.backends import workers_ai
from translators.backends.workers_ai.catalogue import Catalogue, read_catalogue
from translators.backends.workers_ai.listing import Listed, refreshed

VERSION: Final = 1
_FILE: Final = "workers-ai-models.json"
_logger: Final = logging.getLogger("penstock")


class Fetched(msgspec.Struct, frozen=True):
    """What a search has stated of the models, and when.

    Attributes:
        at: The moment, in ISO 8601.
    """

    version: int
    at: str
    models: dict[str, Listed]


def shipped() -> Catalogue:
    """The facts that came with Penstock."""
    return read_catalogue(Path(workers_ai.__file__).with_name("catalogue.json").read_bytes())


def load(data_dir: Path) -> Catalogue:
    """The facts as shipped, refreshed by what has been fetched."""
    fetched = read(data_dir)
    return shipped() if fetched is None else refreshed(shipped(), fetched.models)


def read(data_dir: Path) -> Fetched | None:
    """What has been fetched, if anything; a file that cannot be read stops nobody, and is warned of."""
    path = data_dir / _FILE
    try:
        fetched = msgspec.json.decode(path.read_bytes(), type=Fetched)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = error.strerror
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        reason = str(error)
    else:
        if fetched.version == VERSION:
            return fetched
        reason = f"it has version {fetched.version}, and this Penstock reads version {VERSION}"
    _logger.warning(
        "Models are taken as shipped: %s cannot be used (%s). `penstock models sync` writes it anew.",
        path,
        reason,
    )
    return None


def keep(data_dir: Path, at: str, models: dict[str, Listed]) -> Path:
    """Keep what was fetched: whole or not at all, whatever happens meanwhile.

    Raises:
        OSError: It cannot be written.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    content = msgspec.json.format(msgspec.json.encode(Fetched(VERSION, at, models)), indent=1)
    with tempfile.NamedTemporaryFile(dir=data_dir, prefix=_FILE, delete=False) as file:
        unfinished = Path(file.name)
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            unfinished.replace(data_dir / _FILE)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
    return data_dir / _FILE
