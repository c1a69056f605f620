"""Who may call, and the key that the gateway makes for its operator."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.keys import KeptKeyError, Keys, MasterKey, NoPepperError, master_key, pepper
from gateway.settings import Settings
from tests.gateway.scripted import Backend
from tests.gateway.served import MASTER, Served, asks, backend_settings
from translators.errors import ApiError


def _settings(data_dir: Path, **keys: str) -> Settings:
    return Settings.model_validate(
        {"data_dir": data_dir, "keys": keys, "backends": {"b": backend_settings("http://127.0.0.1:1")}}
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {MASTER}"},
        {"authorization": f"bearer  {MASTER}"},
        {"x-api-key": MASTER},
        {"api-key": MASTER},
        {"authorization": "Basic eDp5", "x-api-key": MASTER},
    ],
)
async def test_a_key_is_taken_in_three_headers(
    served: Served, backend: Backend, headers: dict[str, str]
) -> None:
    backend.reply = lambda call: call.result("Hi")
    served.client.headers.pop("authorization")
    answer = await served.client.post("/v1/chat/completions", json=asks(), headers=headers)
    assert answer.status_code == 200


WRONG = [
    {"authorization": "Bearer wrong"},
    {"authorization": f"Bearer {MASTER[:-1]}"},
    {"authorization": f"Bearer {MASTER}x"},
    {"authorization": f"Bearer {MASTER.upper()}"},
    {"x-api-key": "wrong"},
    {"api-key": "é" * 500},
]
NONE: list[dict[str, str]] = [
    {},
    {"authorization": ""},
    {"authorization": "Bearer"},
    {"authorization": MASTER},
    {"authorization": f"Basic {MASTER}"},
    {"x-api-key": ""},
]


async def _refusals(served: Served, many: list[dict[str, str]]) -> list[tuple[int, bytes, str]]:
    served.client.headers.pop("authorization", None)
    answers = [
        await served.client.post(
            "/v1/chat/completions",
            content=b"{never read",
            headers={name.encode(): text.encode() for name, text in headers.items()},
        )
        for headers in many
    ]
    return [(each.status_code, each.content, each.headers["www-authenticate"]) for each in answers]


@pytest.mark.parametrize("many", [WRONG, NONE], ids=["wrong", "none"])
async def test_a_refusal_is_always_the_same(
    served: Served, backend: Backend, many: list[dict[str, str]]
) -> None:
    refusals = set(await _refusals(served, many))
    assert len(refusals) == 1
    [(status, body, challenge)] = refusals
    assert (status, challenge) == (401, "Bearer")
    assert b'"code":"invalid_api_key"' in body
    assert not backend.calls
    served.client.headers["authorization"] = f"Bearer {MASTER}"
    assert await served.metric("penstock_auth_failures_total") == len(many)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_operations_need_no_key(served: Served, path: str) -> None:
    served.client.headers.pop("authorization")
    assert (await served.client.get(path)).status_code == 200


def test_the_key_of_the_settings_is_kept_nowhere(tmp_path: Path) -> None:
    assert master_key(_settings(tmp_path, master=MASTER)) == MasterKey(MASTER)
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_an_earlier_version_has_kept_is_taken_and_none_is_made(tmp_path: Path) -> None:
    assert master_key(_settings(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []
    path = tmp_path / "master.key"
    path.write_text(f"{MASTER}\n")
    assert master_key(_settings(tmp_path)) == MasterKey(MASTER, path)


def test_a_kept_key_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.mkdir()
    with pytest.raises(KeptKeyError) as raised:
        master_key(_settings(tmp_path))
    assert str(raised.value) == f"cannot read {path}: Is a directory; set keys.master or data_dir"


def test_the_pepper_of_the_settings_is_kept_nowhere(tmp_path: Path) -> None:
    assert pepper(_settings(tmp_path, pepper="0123456789abcdef")) == b"0123456789abcdef"
    assert list(tmp_path.iterdir()) == []


def test_a_shared_store_needs_a_pepper_of_the_settings(tmp_path: Path) -> None:
    settings = _settings(tmp_path).model_copy(update={"redis_url": SecretStr("redis://store")})
    with pytest.raises(NoPepperError, match=r"set keys\.pepper \(or PENSTOCK_PEPPER\)"):
        pepper(settings)
    assert list(tmp_path.iterdir()) == []


def test_a_pepper_is_made_once_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made = pepper(_settings(folder))
    assert len(made) == 64
    [kept] = folder.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o077 == 0
    assert pepper(_settings(folder)) == made


def test_of_two_processes_that_start_at_once_one_makes_the_pepper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = b""
    read_bytes = Path.read_bytes

    def starts_another_first(path: Path) -> bytes:
        nonlocal first
        monkeypatch.undo()
        try:
            return read_bytes(path)
        finally:
            first = pepper(_settings(tmp_path))

    monkeypatch.setattr(Path, "read_bytes", starts_another_first)
    assert pepper(_settings(tmp_path)) == first != b""
    assert len(list(tmp_path.iterdir())) == 1


def test_a_crash_while_a_pepper_is_made_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.link", fails)
    with pytest.raises(KeptKeyError) as raised:
        pepper(_settings(tmp_path))
    assert str(raised.value) == (
        f"cannot keep a key in {tmp_path}: No space left on device; set data_dir, or redis_url and "
        "keys.pepper"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kept", "flaw"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"short", "is too short, with fewer than 16 characters"),
        (b"sk-ps-0123456789 0123456789", "holds more than one word of visible ASCII"),
        ("sk-ps-0123456789-é".encode(), "holds more than one word of visible ASCII"),
        (b"\xff\xfe" * 20, "holds more than one word of visible ASCII"),
    ],
)
def test_a_kept_key_that_is_none_is_refused_in_words(tmp_path: Path, kept: bytes, flaw: str) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(kept)
    with pytest.raises(KeptKeyError) as raised:
        master_key(_settings(tmp_path))
    assert str(raised.value) == f"the key kept in {path} {flaw}: delete the file, or set keys.master"
    assert path.read_bytes() == kept
    path = path.rename(tmp_path / "pepper")
    with pytest.raises(KeptKeyError) as raised:
        pepper(_settings(tmp_path))
    assert str(raised.value) == (
        f"the key kept in {path} {flaw}: put the right one back, or delete the file and issue all keys anew"
    )
    assert path.read_bytes() == kept


def test_a_key_shows_in_no_repr(tmp_path: Path) -> None:
    key = master_key(_settings(tmp_path, master=MASTER))
    assert MASTER not in repr(key)
    assert MASTER not in f"{Keys(MASTER)!r} {vars(Keys(MASTER))}"


def test_headers_that_are_no_text_are_a_wrong_key() -> None:
    with pytest.raises(ApiError) as raised:
        Keys(MASTER).known({b"authorization": b"Bearer \xff\x00"})
    assert raised.value.status == 401


def test_a_key_is_compared_whole(capsys: pytest.CaptureFixture[str]) -> None:
    check: Callable[[dict[bytes, bytes]], object] = Keys(MASTER).known
    check({b"x-api-key": MASTER.encode()})
    assert capsys.readouterr() == ("", "")
