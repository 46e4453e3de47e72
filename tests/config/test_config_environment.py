"""Environment variables that override the file."""

from __future__ import annotations

from collections.abc import Callable

from mqttd.config.errors import Finding
from mqttd.config.load import Loaded
from mqttd.config.types import Bind

Load = Callable[..., Loaded]
Errors = Callable[..., dict[str, Finding]]


def test_an_override(load: Load) -> None:
    loaded = load(
        "listeners.ssl.default { bind = 8883, max_connections = 5 }",
        {
            "MQTTD_LISTENERS__SSL__DEFAULT__BIND": "127.0.0.1:18883",
            "MQTTD_LISTENERS__SSL__DEFAULT__SSL_OPTIONS__VERSIONS": '["tlsv1.3"]',
            "MQTTD_MQTT__MAX_INFLIGHT": "7",
            "MQTTD_MQTT__RETAIN_AVAILABLE": "off",
            "MQTTD_LISTENERS__TCP__NEW__BIND": "[::1]:1",
            "MQTTD_MQTT__RESPONSE_INFORMATION": "",
            "HOME": "/root",
        },
    )
    listener = loaded.configuration.listeners.ssl["default"]
    assert listener.bind == Bind("127.0.0.1", 18883)
    assert listener.max_connections == 5
    assert listener.ssl_options is not None
    assert listener.ssl_options.versions == ["tlsv1.3"]
    assert loaded.configuration.mqtt.max_inflight == 7
    assert not loaded.configuration.mqtt.retain_available
    assert loaded.configuration.listeners.tcp["new"].bind == Bind("::1", 1)


def test_names_are_found_as_the_file_spells_them(load: Load) -> None:
    loaded = load("listeners.tcp.My-Port.bind = 1", {"MQTTD_LISTENERS__TCP__MY_PORT__BIND": "2"})
    assert {name: str(item.bind) for name, item in loaded.configuration.listeners.tcp.items()} == {
        "My-Port": "0.0.0.0:2"
    }


def test_a_section_can_be_given_whole(load: Load) -> None:
    loaded = load("", {"MQTTD_LISTENERS__TCP__A": "{ bind = 5, proxy_protocol = on }"})
    assert loaded.configuration.listeners.tcp["a"].proxy_protocol


def test_variables_without_two_underscores_are_not_overrides(load: Load) -> None:
    load("listeners.tcp.a {}", {"MQTTD_SEEDS": "x", "MQTTD_CONFIG": "y", "MQTTDX__Y": "z"})


def test_errors_name_the_variable(errors: Errors) -> None:
    found = errors(
        "listeners.ssl.default.bind = 8883",
        {
            "MQTTD_LISTENERS__SSL__DEFAULT__BIN": "3",
            "MQTTD_LISTENERS__SSL__DEFAULT__ACCESS_RULES": "nobody",
            "MQTTD_NO__SUCH": "3",
            "MQTTD___X": "3",
        },
    )
    bin_path = "listeners.ssl.default.bin"
    assert found[bin_path].cure == "did you mean listeners.ssl.default.bind?"
    assert found[bin_path].origin == "environment variable MQTTD_LISTENERS__SSL__DEFAULT__BIN"
    rules = found["listeners.ssl.default.access_rules"]
    assert rules.origin == "environment variable MQTTD_LISTENERS__SSL__DEFAULT__ACCESS_RULES"
    assert found["no"].origin == "environment variable MQTTD_NO__SUCH"
    assert found[""].origin == "environment variable MQTTD___X"


def test_a_secret_with_marks_of_hocon_stays_text(load: Load) -> None:
    for text in ("p{]=,", "${x", "a,b c", '"'):
        loaded = load(
            "listeners.ssl.a {}", {"MQTTD_LISTENERS__SSL__A__SSL_OPTIONS__PASSWORD": text}
        )
        options = loaded.configuration.listeners.ssl["a"].ssl_options
        assert options is not None
        assert options.password is not None
        assert options.password.reveal() == text
