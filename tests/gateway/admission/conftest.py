"""Stores for the tests of admission."""

from tests.store.fixtures import *  # noqa: F403 - pytest looks for fixtures by their names here
