"""The stores of `fixtures`, for the tests here."""

from tests.store.fixtures import *  # noqa: F403 - pytest looks for fixtures by their names here
