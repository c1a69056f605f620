import msgspec
import pytest
from openai.types import Model as OpenAIModel

from translators.clients.models import Model, write_list, write_model

SMALL = Model("@cf/meta/small", 1, "meta")
LARGE = Model(
    "large",
    2,
    "penstock",
    context_length=8192,
    capabilities=("tools", "vision"),
    efforts=("low", "high"),
    effort="high",
    price={"input": 0.0509, "output": 4.0, "cached_input": 0.0},
    neurons={"input": 4625},
    retires="2027-01-31",
)


def test_a_model_is_what_openais_client_reads() -> None:
    model = OpenAIModel.model_validate_json(write_model(SMALL), strict=True)
    assert (model.id, model.object, model.created, model.owned_by) == ("@cf/meta/small", "model", 1, "meta")


def test_what_is_not_known_is_left_out() -> None:
    assert msgspec.json.decode(write_model(SMALL)) == {
        "id": "@cf/meta/small",
        "object": "model",
        "created": 1,
        "owned_by": "meta",
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
    }


def test_facts_that_openai_has_no_field_for_have_the_names_that_clients_know() -> None:
    large = msgspec.json.decode(write_model(LARGE))
    assert large["context_length"] == large["max_model_len"] == 8192
    assert large["capabilities"] == ["tools", "vision"]
    assert large["architecture"]["input_modalities"] == ["text", "image"]
    assert (large["reasoning_efforts"], large["default_reasoning_effort"]) == (["low", "high"], "high")
    assert large["neurons_per_million_tokens"] == {"input": 4625}
    assert large["expiration_date"] == "2027-01-31"


def test_prices_are_dollars_per_token_in_plain_digits() -> None:
    pricing = msgspec.json.decode(write_model(LARGE))["pricing"]
    assert pricing == {"prompt": "0.0000000509", "completion": "0.000004", "input_cache_read": "0"}


@pytest.mark.parametrize("price", [0.0485, 0.293, 1.32, 10, 1234.5])
def test_a_price_loses_nothing(price: float) -> None:
    model = Model("m", 1, "o", price={"input": price})
    assert float(msgspec.json.decode(write_model(model))["pricing"]["prompt"]) * 1e6 == pytest.approx(price)


def test_a_list_keeps_its_order() -> None:
    listed = msgspec.json.decode(write_list([LARGE, SMALL]))
    assert listed["object"] == "list"
    assert [each["id"] for each in listed["data"]] == ["large", "@cf/meta/small"]
