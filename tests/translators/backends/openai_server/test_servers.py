"""The rows of the products."""

import pytest

from translators.backends.openai_server.servers import SERVERS, Served, Server

each = pytest.mark.parametrize("server", SERVERS.values(), ids=lambda server: server.name)


def test_the_products_are_those_that_settings_can_name_and_cloudflares_own_endpoint() -> None:
    assert set(SERVERS) == {
        "vllm", "sglang", "llama_cpp", "ollama", "tgi", "lmdeploy", "tensorrt_llm", "openai", "generic",
        "workers_ai",
    }  # fmt: skip


@each
def test_a_row_is_found_under_its_own_name(server: Server) -> None:
    assert SERVERS[server.name] is server
    assert Served(server).family == server.name


@each
def test_paths_begin_with_a_slash(server: Server) -> None:
    assert all(path.startswith("/") for path in (server.health, server.ready, server.metrics) if path)


@each
def test_who_has_no_metrics_names_none(server: Server) -> None:
    named = (server.running_metric, server.queue_metric, server.saturation_metric)
    assert server.metrics is not None or named == (None, None, None)


@each
def test_chat_templates_are_for_the_operator_to_allow(server: Server) -> None:
    assert not {"chat_template", "chat_template_kwargs", "mm_processor_kwargs"} & server.takes


@pytest.mark.parametrize("name", ["vllm", "sglang"])
def test_a_connection_is_left_before_uvicorn_closes_it(name: str) -> None:
    assert SERVERS[name].keep_alive < 5


def test_sglang_is_not_asked_for_its_health_where_that_costs_a_token() -> None:
    assert SERVERS["sglang"].ready == "/ready"


def test_tensorrt_llm_has_its_metrics_elsewhere() -> None:
    assert SERVERS["tensorrt_llm"].metrics == "/prometheus/metrics"
