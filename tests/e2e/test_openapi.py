"""The API's description under two tools: it is valid, and requests made from it end as it says.

Both are kept apart from the lock: schemathesis wants an older validator than the gateway runs with.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import settings

from tests import tools
from tests.gateway.served import MASTER, MODEL

VALIDATOR = "openapi-spec-validator==0.9.0"
SCHEMATHESIS = "schemathesis==4.32.5"
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance", "unsupported_method",
    "ignored_auth",
)  # fmt: skip
SECONDS = 900
FULL = settings().max_examples > 100


def _run(place: Path, requirement: str, *arguments: str) -> str:
    """What a tool prints, where it finds nothing to complain of."""
    try:
        tool = tools.installed(requirement)
    except tools.UnavailableError as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        env=tools.environment(tool),
        cwd=place,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def document(base_url: str) -> Any:
    return httpx.get(base_url.removesuffix("/v1") + "/openapi.json", trust_env=False).json()


def test_the_document_is_valid(document: Any, tmp_path: Path) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    assert "OK" in _run(tmp_path, VALIDATOR, "openapi_spec_validator", "--schema", "3.1", str(file))


def test_requests_made_from_the_document_end_as_it_says(
    base_url: str, document: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("ChatRequest", "CompletionRequest"):  # most other names are no model's
        document["components"]["schemas"][name]["properties"]["model"]["enum"] = [MODEL, "small", "exact"]
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    count = settings().max_examples // 5
    options = ["--max-examples", str(count), "--seed", "1", "--checks", ",".join(CHECKS), "--no-color"]
    options += ["--mode", "all", "--request-timeout", "20", "--suppress-health-check", "filter_too_much"]
    key = ["--header", f"Authorization: Bearer {MASTER}", "--url", base_url.removesuffix("/v1")]
    phases = ["--phases", "coverage,fuzzing" if FULL else "fuzzing"]
    said = _run(tmp_path, SCHEMATHESIS, "schemathesis.cli", "run", str(file), *options, *key, *phases)
    statuses = Counter(json.loads(line)["status"] for line in capfd.readouterr().out.splitlines())
    assert "10 selected" in said
    assert statuses[200] > count
    assert statuses[400] > count
