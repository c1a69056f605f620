"""OpenAI's list of models."""

import msgspec
from openai.types import Model as OpenAIModel

from translators.clients.models import Model, write_list, write_model

SMALL = Model("@cf/meta/small", 1, "meta")
LARGE = Model("large", 2, "penstock", context_length=8192, capabilities=("tools",))


def test_a_model_is_what_openais_client_reads() -> None:
    model = OpenAIModel.model_validate_json(write_model(SMALL), strict=True)
    assert (model.id, model.object, model.created, model.owned_by) == ("@cf/meta/small", "model", 1, "meta")


def test_facts_that_openai_has_no_field_for_are_there_where_they_are_known() -> None:
    assert "context_length" not in msgspec.json.decode(write_model(SMALL))
    large = msgspec.json.decode(write_model(LARGE))
    assert (large["context_length"], large["capabilities"]) == (8192, ["tools"])


def test_a_list_keeps_its_order() -> None:
    listed = msgspec.json.decode(write_list([LARGE, SMALL]))
    assert listed["object"] == "list"
    assert [each["id"] for each in listed["data"]] == ["large", "@cf/meta/small"]
