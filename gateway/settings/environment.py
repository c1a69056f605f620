"""What the environment adds to the file: credentials where it names none, and single settings on top of it.

`PENSTOCK__SERVER__PORT=9000` sets server.port. The order is: such a variable, the file, the plain variables
(`CLOUDFLARE_ACCOUNT_ID`, `PENSTOCK_MASTER_KEY`, ...), the default.
"""

from collections.abc import Mapping

from gateway.settings.document import Loc, Values
from gateway.settings.shape import default_data_dir

PREFIX = "PENSTOCK__"
BACKEND = "cloudflare"
TOKEN_VARIABLES = ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_AUTH_TOKEN")

Origins = dict[Loc, str]


def add_environment(values: Values, environ: Mapping[str, str]) -> Origins:
    """Fill `values` from the environment, and say which variable each addition came from."""
    origins: Origins = {}
    if not values.get("backends"):
        _add_credentials(values, environ, origins)
    _add(values, ("keys", "master"), "PENSTOCK_MASTER_KEY", environ, origins)
    _add(values, ("keys", "pepper"), "PENSTOCK_PEPPER", environ, origins)
    if values.get("data_dir") is None:
        values["data_dir"] = str(default_data_dir(environ))
        origins["data_dir",] = "PENSTOCK_DATA_DIR"
    for variable in sorted(environ):
        if variable.startswith(PREFIX):
            _override(values, variable, environ, origins)
    return origins


def _add_credentials(values: Values, environ: Mapping[str, str], origins: Origins) -> None:
    token = next((name for name in TOKEN_VARIABLES if environ.get(name)), TOKEN_VARIABLES[0])
    if not environ.get("CLOUDFLARE_ACCOUNT_ID") and not environ.get(token):
        return
    values["backends"] = {BACKEND: {"kind": "workers_ai"}}
    for key, variable in (
        ("account_id", "CLOUDFLARE_ACCOUNT_ID"),
        ("api_token", token),
        ("base_url", "CLOUDFLARE_BASE_URL"),
    ):
        _add(values, ("backends", BACKEND, key), variable, environ, origins)


def _add(
    values: Values, loc: tuple[str, ...], variable: str, environ: Mapping[str, str], origins: Origins
) -> None:
    """Set what nobody set yet; the variable is noted even where it is missing, to name it in a mistake."""
    *parents, last = loc
    section = values
    for parent in parents:
        if section.get(parent) is None:
            section[parent] = {}
        section = section[parent]
        if not isinstance(section, dict):
            return
    if section.get(last) is None:
        origins[loc] = variable
        if environ.get(variable):
            section[last] = environ[variable]


def _override(values: Values, variable: str, environ: Mapping[str, str], origins: Origins) -> None:
    *parents, last = loc = tuple(variable.removeprefix(PREFIX).lower().split("__"))
    section = values
    for parent in parents:
        if not isinstance(section.get(parent), dict):
            section[parent] = {}
        section = section[parent]
    section[last] = environ[variable] or None
    origins[loc] = variable
