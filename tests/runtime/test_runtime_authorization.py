"""Sources of rules out of the configuration: made once, kept and swapped over reloads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from zope.interface import implementer

from mqttd.authz.authorization import ClientAuthorization
from mqttd.config.errors import ConfigurationErrors
from mqttd.config.load import Loaded, load_text
from mqttd.interfaces import IAuthorizer
from mqttd.plugins import UnknownPlugin
from mqttd.runtime.sources import named_files
from mqttd.runtime.trust import Trust
from mqttd.testing import MemoryBroker


@implementer(IAuthorizer)
class Source:
    """Allows what it is configured to; knows whether it runs."""

    def __init__(self, allows: list[str]) -> None:
        self.allows = allows
        self.running = self.reloads = self.refreshes = 0
        self.changed: Callable[[], object] | None = None

    def authorize(self, request: Any) -> bool | None:
        return True if request.topic in self.allows else None

    def on_change(self, changed: Callable[[], object]) -> None:
        self.changed = changed

    def start(self) -> None:
        self.running += 1

    def stop(self) -> None:
        self.running -= 1

    def reload(self) -> None:
        self.reloads += 1

    def refresh(self) -> None:
        self.refreshes += 1


@implementer(IAuthorizer)
class Plain:
    """The least a source can be."""

    def authorize(self, request: Any) -> bool | None:
        return request.topic == "plain" or None


@attrs.define
class Plugin:
    name: str

    def make(self, options: Any, context: Any) -> Any:
        if self.name == "plain":
            return Plain()
        if "problem" in options:
            raise ValueError(options["problem"])
        return Source(options.get("allows", []))


class World:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, reactor: Any) -> None:
        self.folder = folder
        monkeypatch.setattr("mqttd.runtime.parts.authorizer", self.find)
        self.broker = MemoryBroker(clock=reactor)
        self.authorization = ClientAuthorization(reactor)
        self.authorization.attach(self.broker.core)
        reactor.running = False
        self.trust = Trust(
            self.load(""), reactor, lambda _: None, authorization=self.authorization
        )

    def find(self, name: str) -> Plugin:
        if name not in ("own", "plain"):
            raise UnknownPlugin("authorizer", name, ["own", "plain"])
        return Plugin(name)

    def load(self, text: str) -> Loaded:
        return load_text("listeners.tcp.a.bind = 0\n" + text, base_dir=self.folder)

    def adopt(self, text: str) -> Any:
        loaded = self.load(text)
        credentials = self.trust.prepare(loaded, self.trust.parts(loaded))
        self.trust.adopt(credentials)
        return credentials.parts.authorizers

    def settle(self) -> None:
        self.broker.clock.advance(0)
        self.broker.turn()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reactor: Any) -> World:
    return World(monkeypatch, tmp_path, reactor)


def sources(*sources: str, more: str = "") -> str:
    return f"authorization {{ sources = [{', '.join(sources)}], {more} }}"


def own(*allows: str) -> str:
    return f"{{ type = own, allows = [{', '.join(allows)}] }}"


def subscribe(world: World, *filters: str) -> Any:
    client = world.broker.connected("c")
    client.subscribe(*filters)
    return client


def filters(client: Any) -> set[str]:
    return set(client.connection.session.state.subscriptions)


def test_sources_are_asked_in_the_order_of_the_file(world: World) -> None:
    world.adopt(sources(own("a"), own("b"), "{ type = plain }"))
    client = subscribe(world, "a", "b", "c", "plain")
    assert filters(client) == {"a", "b", "plain"}
    names = [link.name for link in world.authorization.rules.chain.links]
    assert names == [
        "authorization.sources[0] (own)",
        "authorization.sources[1] (own)",
        "authorization.sources[2] (plain)",
    ]


def test_a_source_that_is_switched_off_is_not_made(world: World) -> None:
    assert world.adopt(sources("{ type = own, enable = false }")) == []
    assert world.authorization.rules.open


def test_cache_and_deny_action_are_those_of_the_file(world: World) -> None:
    world.adopt("authorization { cache { max_size = 7, ttl = 5s }, deny_action = disconnect }")
    rules = world.authorization.rules
    assert (rules.remembered, rules.remembered_for, rules.disconnects) == (7, 5.0, True)
    world.adopt("authorization.cache { enable = false, max_size = 7 }")
    assert world.authorization.rules.remembered == 0


def test_a_reload_keeps_what_has_the_same_options(world: World) -> None:
    (first,) = world.adopt(sources(own("a")))
    world.trust.start({})
    assert first.running == 1
    client = subscribe(world, "a")
    (again,) = world.adopt(sources(own("a")) + "\nmqtt.max_inflight = 5")
    assert again is first
    assert first.reloads == 1
    assert (first.running, world.authorization.reviews.busy) == (1, False)
    (other,) = world.adopt(sources(own("b")))
    assert (first.running, other.running) == (0, 1)
    world.settle()
    assert filters(client) == set()
    world.adopt("")
    assert other.running == 0
    assert client.subscribe("anything").reason_codes == [0]
    world.trust.stop()


def test_a_source_that_changed_reaches_live_sessions(world: World) -> None:
    (source,) = world.adopt(sources(own("a", "b")))
    world.trust.start({})
    client = subscribe(world, "a", "b")
    source.allows = ["b"]
    source.changed()
    world.settle()
    assert filters(client) == {"b"}


def test_an_operators_reload_asks_again(world: World) -> None:
    (source,) = world.adopt(sources(own("a", "b")))
    world.trust.refresh()
    world.trust.start({})
    client = subscribe(world, "a", "b")
    source.allows = ["b"]
    world.trust.refresh()
    world.settle()
    assert filters(client) == {"b"}
    assert source.refreshes == 2


def test_what_cannot_be_made_changes_nothing(world: World) -> None:
    world.adopt(sources(own("a")))
    before = world.authorization.rules
    with pytest.raises(ConfigurationErrors) as caught:
        world.adopt(sources("{ type = own, problem = nonsense }", "{ type = gone }"))
    assert "nonsense" in caught.value.errors[0].message
    assert world.authorization.rules is before
    with pytest.raises(ConfigurationErrors) as caught:
        world.adopt(sources("{ type = gone }"))
    assert caught.value.errors[0].path == "authorization.sources.type"


def test_files_of_sources_are_watched(world: World) -> None:
    text = sources(
        "{ type = file, path = a.conf }", "{ type = mosquitto, path = b, enable = off }"
    )
    files = named_files(world.load(text))
    assert files[world.folder / "a.conf"] == "authorization.sources[0].path"
    assert world.folder / "b" not in files


def test_before_rules_are_known_everything_is_denied(reactor: Any) -> None:
    broker = MemoryBroker(clock=reactor)
    ClientAuthorization(reactor).attach(broker.core)
    assert broker.connected("c").subscribe("a").reason_codes == [0x87]


def test_listeners_without_authentication_have_rules_all_the_same(
    world: World, reactor: Any
) -> None:
    from mqttd.auth.admission import ListenerAdmission
    from mqttd.testing import peer_info

    admission = world.broker.core.admission = ListenerAdmission()
    loaded = world.load(
        "listeners.tcp.a.enable_authn = false\n"
        "authentication { mechanism = psk }\nauthorization { no_match = deny }"
    )
    parts = world.trust.parts(loaded)
    admission.use(parts.doors)
    world.authorization.use(parts.rules)
    client = world.broker.connected("c", peer=peer_info(listener="tcp:a"))
    assert client.subscribe("a").reason_codes == [0x87]
