"""The common error and its words."""

import pytest

from translators.errors import ApiError, bad_answer, invalid, json_type, wrong_type


def test_an_error_says_what_it_is_where_programmers_look() -> None:
    error = ApiError(400, "No.", code="c", param="p")
    assert str(error) == "No."
    assert repr(error) == "ApiError(400, 'No.', code='c', param='p')"


def test_what_is_wrong_with_a_request_names_the_parameter() -> None:
    error = invalid("'n' is bad.", "n", "invalid_value")
    assert (error.status, error.type, error.param) == (400, "invalid_request_error", "n")


def test_a_backends_nonsense_is_a_bad_gateway() -> None:
    error = bad_answer("Nonsense.")
    assert (error.status, error.type, error.code) == (502, "server_error", "bad_backend_answer")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "a boolean"),
        (1, "a number"),
        (1.5, "a number"),
        ("", "a string"),
        ([], "an array"),
        ({}, "an object"),
    ],
)
def test_a_wrong_type_is_named_as_json_names_it(value: object, name: str) -> None:
    assert json_type(value) == name
    assert wrong_type("n", "a date", value).message == f"'n' must be a date, but it is {name}."
