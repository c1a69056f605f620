"""Settings: what people write in penstock.yaml and the environment, checked as a whole before anything runs.

`load` tells the story; `shape` holds the models (with `section` and `limits`), `document` reads YAML with the
place of every value, and `mistakes` shows all mistakes at once without ever showing a secret.
"""

from gateway.settings.backends import Backend, Breaker, OpenAIBackend, Tls, WorkersAIBackend
from gateway.settings.credentials import VISIBLE_ASCII, CredentialSource
from gateway.settings.limits import Burst, Limits
from gateway.settings.load import load, load_environment, locate
from gateway.settings.mistakes import Mistake, SettingsError
from gateway.settings.routes import ModelRoute, Queue, Sampling, Shadow, Target
from gateway.settings.schema import json_schema
from gateway.settings.shape import (
    MASTER_KEY_LENGTH,
    Deadlines,
    Errors,
    Keys,
    Server,
    Settings,
    Store,
)

__all__ = [
    "MASTER_KEY_LENGTH",
    "VISIBLE_ASCII",
    "Backend",
    "Breaker",
    "Burst",
    "CredentialSource",
    "Deadlines",
    "Errors",
    "Keys",
    "Limits",
    "Mistake",
    "ModelRoute",
    "OpenAIBackend",
    "Queue",
    "Sampling",
    "Server",
    "Settings",
    "SettingsError",
    "Shadow",
    "Store",
    "Target",
    "Tls",
    "WorkersAIBackend",
    "json_schema",
    "load",
    "load_environment",
    "locate",
]
