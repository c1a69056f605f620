"""Whatever is done to keys and teams, in any order: who is let in, what is listed, and what the log says."""

from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from gateway.keys import Actor, ConflictError, Register, UnknownRecordError
from gateway.store import Store

ROOT = Actor("master")
SOME = 3

STEPS = st.lists(
    st.tuples(
        st.sampled_from([
            "create", "rotate", "rotate at once", "disable", "enable", "revoke", "move", "leave", "found",
            "team off", "team on", "end team",
        ]),
        st.integers(0, SOME - 1),
        st.integers(0, SOME - 1),
    ),
    max_size=40,
)  # fmt: skip


@dataclass
class Expected:
    """A key as it should be. The good secrets are the latest ones."""

    id: str
    team: str | None
    secrets: list[str]
    good: int = 1
    is_disabled: bool = False
    is_revoked: bool = False


@dataclass
class World:
    """What should be there: keys and teams by the number that the steps give them."""

    register: Register
    keys: dict[int, Expected] = field(default_factory=dict)
    teams: dict[int, str] = field(default_factory=dict)
    off: set[str] = field(default_factory=set)
    ended: list[Expected] = field(default_factory=list)
    log: list[tuple[str, str]] = field(default_factory=list)

    async def step(self, what: str, number: int, other: int) -> None:
        if what == "found":
            await self._found(number)
        elif what in {"team off", "team on", "end team"}:
            await self._change_team(what, number)
        elif what == "create":
            await self._create(number, other)
        elif number in self.keys:
            await self._change(what, self.keys[number], other, number)

    async def _found(self, number: int) -> None:
        if number not in self.teams:
            team = await self.register.create_team({"name": "t"}, ROOT)
            self.teams[number] = team.id
            self.log.append(("team.create", team.id))

    async def _change_team(self, what: str, number: int) -> None:
        team = self.teams.get(number)
        if team is None:
            return
        if what == "end team":
            has_keys = any(key.team == team for key in self.keys.values())
            try:
                await self.register.delete_team(team, ROOT)
            except ConflictError:
                assert has_keys
                return
            assert not has_keys
            del self.teams[number]
            self.off.discard(team)
            self.log.append(("team.delete", team))
        elif what == "team off":
            await self.register.disable_team(team, ROOT)
            if team not in self.off:
                self.log.append(("team.disable", team))
            self.off.add(team)
        else:
            await self.register.enable_team(team, ROOT)
            if team in self.off:
                self.log.append(("team.enable", team))
            self.off.discard(team)

    async def _create(self, number: int, other: int) -> None:
        if number in self.keys:
            return
        team = self.teams.get(other)
        key, secret = await self.register.create_key({"name": "k", "team": team}, ROOT)
        self.keys[number] = Expected(key.id, team, [secret])
        self.log.append(("key.create", key.id))

    async def _change(self, what: str, key: Expected, other: int, number: int) -> None:
        match what:
            case "rotate" | "rotate at once":
                grace = 3600 if what == "rotate" else 0
                _key, secret = await self.register.rotate_key(key.id, grace, ROOT)
                key.secrets.append(secret)
                key.good = 2 if grace else 1
                self.log.append(("key.rotate", key.id))
            case "disable":
                await self.register.disable_key(key.id, ROOT)
                if not key.is_disabled:
                    self.log.append(("key.disable", key.id))
                key.is_disabled = True
            case "enable":
                await self.register.enable_key(key.id, ROOT)
                if key.is_disabled:
                    self.log.append(("key.enable", key.id))
                key.is_disabled = False
            case "revoke":
                await self.register.revoke_key(key.id, ROOT)
                key.is_revoked, key.good, key.team = True, 0, None
                self.ended.append(self.keys.pop(number))
                self.log.append(("key.revoke", key.id))
            case _:
                team = self.teams.get(other) if what == "move" else None
                await self.register.update_key(key.id, {"team": team}, ROOT)
                if team != key.team:
                    self.log.append(("key.update", key.id))
                key.team = team

    async def check(self) -> None:
        for key in (*self.keys.values(), *self.ended):
            await self._check_secrets(key)
        listed = (await self.register.list_keys()).items
        assert {key.id for key in listed} == {key.id for key in self.keys.values()}
        for team in self.teams.values():
            of_it = (await self.register.list_keys(team=team)).items
            assert {key.id for key in of_it} == {key.id for key in self.keys.values() if key.team == team}
        entries = await self.register.audit(500)
        assert [(entry.action, entry.subject) for entry in reversed(entries)] == self.log
        versions = {record.id: record.version for record in listed}
        for record_id, version in versions.items():
            assert version == sum(subject == record_id for _action, subject in self.log)

    async def _check_secrets(self, key: Expected) -> None:
        for place, secret in enumerate(reversed(key.secrets)):
            verdict = await self.register.verify(secret)
            why: Any = None
            if place >= key.good:
                why = "unknown"
            elif key.is_disabled:
                why = "disabled"
            elif key.team in self.off:
                why = "team_disabled"
            assert verdict.why == why
            assert (verdict.key.id if verdict.key else None) == (key.id if place < key.good else None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(steps=STEPS)
async def test_any_order_of_changes(store: Store, steps: list[tuple[str, int, int]]) -> None:
    await store.command("FLUSHALL")
    world = World(Register(store, b"pepper"))
    for step in steps:
        await world.step(*step)
    await world.check()


async def test_a_revoked_key_takes_no_change(store: Store) -> None:
    register = Register(store, b"pepper")
    key, _secret = await register.create_key({"name": "k"}, ROOT)
    await register.revoke_key(key.id, ROOT)
    changes = [
        register.update_key(key.id, {"name": "x"}, ROOT),
        register.rotate_key(key.id, 5, ROOT),
        register.enable_key(key.id, ROOT),
    ]
    for change in changes:
        try:
            await change
        except (ConflictError, UnknownRecordError) as error:
            assert "revoked" in str(error)  # noqa: PT017 - each of several
        else:
            raise AssertionError
