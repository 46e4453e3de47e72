"""Entries of the list of bans: shapes, look-ups, ends, and the file."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from mqttd.abuse import banned
from mqttd.abuse.ban_file import load_bans, save_bans
from mqttd.abuse.banned import Ban, BanList, parse_ban
from mqttd.config.errors import ConfigurationErrors

NOW = 1_700_000_000.0


def entry(kind: str, who: str, **more: Any) -> Ban:
    return parse_ban({"as": kind, "who": who, **more}, NOW)


def test_the_shape_is_that_of_emqx() -> None:
    row = {
        "as": "clientid",
        "who": "pump",
        "by": "me",
        "reason": "broken",
        "at": "2023-11-14T22:13:20Z",
        "until": "2023-11-14T23:13:20+00:00",
    }
    ban = parse_ban(row, NOW)
    assert ban.until == NOW + 3600
    assert ban.row() == {**row, "until": "2023-11-14T23:13:20Z"}
    assert entry("clientid", "x").row()["until"] == "infinity"
    assert entry("clientid", "x", until=NOW + 1).until == NOW + 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, "as must be one of"),
        ({"as": "clientid"}, "who must be text"),
        ({"as": "clientid", "who": ""}, "who must be text"),
        ({"as": "clientid", "who": "x" * 1025}, "who must be text"),
        ({"as": "clientid", "who": "\ud800"}, "who must be text"),
        ({"as": "clientid", "who": 7}, "who must be text"),
        ({"as": "clientid_re", "who": "^a+$"}, "clientid_pattern"),
        ({"as": "peerhost", "who": "host.example"}, "IP address"),
        ({"as": "peerhost_net", "who": "192.0.2.0/99"}, "network"),
        ({"as": "clientid", "who": "x", "until": "soon"}, "until must be a time"),
        ({"as": "clientid", "who": "x", "until": True}, "until must be a time"),
        ({"as": "clientid", "who": "x", "until": math.nan}, "until must be a time"),
        ({"as": "clientid", "who": "x", "reason": ["y"]}, "reason must be text"),
    ],
)
def test_what_makes_no_sense_is_refused(row: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_ban(row, NOW)


def test_addresses_have_one_spelling() -> None:
    assert entry("peerhost", "::ffff:192.0.2.7").who == "192.0.2.7"
    assert entry("peerhost", "2001:DB8:0::1").who == "2001:db8::1"
    assert entry("peerhost_net", "192.0.2.99/24").who == "192.0.2.0/24"


def test_who_is_found() -> None:
    bans = BanList(10)
    for each in (
        entry("peerhost", "192.0.2.7"),
        entry("peerhost_net", "2001:db8::/32"),
        entry("clientid", "pump"),
        entry("username", "bob"),
        entry("clientid_pattern", "test-*"),
        entry("username_pattern", "guest?"),
    ):
        bans.add(each, NOW)
    assert bans.by_address("192.0.2.7", NOW) is not None
    assert bans.by_address("::ffff:192.0.2.7", NOW) is not None
    assert bans.by_address("2001:db8:ffff::1", NOW) is not None
    assert bans.by_address("192.0.2.8", NOW) is None
    found = {
        (client_id, username)
        for client_id in ("pump", "test-1", "other")
        for username in ("bob", "guest1", "guest22", None)
        if bans.by_name(client_id, username, NOW)
    }
    assert found == {
        *(
            (name, who)
            for name in ("pump", "test-1")
            for who in ("bob", "guest1", "guest22", None)
        ),
        ("other", "bob"),
        ("other", "guest1"),
    }


def test_entries_end() -> None:
    bans = BanList(10)
    bans.add(entry("clientid", "a", until=NOW + 10), NOW)
    bans.add(entry("clientid", "b", until=NOW + 20), NOW)
    bans.add(entry("peerhost_net", "192.0.2.0/24", until=NOW + 10), NOW)
    assert bans.by_name("a", None, NOW + 9) is not None
    assert bans.by_name("a", None, NOW + 10) is None
    assert bans.by_address("192.0.2.1", NOW + 10) is None
    assert [ban.who for ban in bans.rows(NOW + 10)] == ["b"]
    assert bans.rows(NOW + 20) == []


def test_a_second_entry_about_the_same_takes_the_place_of_the_first() -> None:
    bans = BanList(1)
    bans.add(entry("clientid", "a", until=NOW + 10), NOW)
    bans.add(entry("clientid", "a"), NOW)
    assert bans.rows(NOW + 11)[0].until == math.inf
    assert bans.remove("clientid", "a")
    assert not bans.remove("clientid", "a")
    assert not bans.remove("peerhost", "nonsense")


def test_a_full_list_drops_what_it_made_itself_and_nothing_else() -> None:
    bans = BanList(2)
    bans.add(entry("clientid", "mine"), NOW)
    bans.add(entry("clientid", "flapper", by="flapping detector", until=NOW + 9), NOW)
    bans.add(entry("clientid", "other"), NOW)
    assert [ban.who for ban in bans.rows(NOW)] == ["mine", "other"]
    with pytest.raises(ValueError, match="full"):
        bans.add(entry("clientid", "third"), NOW)


def test_patterns_and_texts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banned, "MOST_PATTERNS", 1)
    bans = BanList(10)
    bans.add(entry("clientid_pattern", "a*"), NOW)
    with pytest.raises(ValueError, match="patterns"):
        bans.add(entry("clientid_pattern", "b*"), NOW)
    monkeypatch.setattr(banned, "MOST_BYTES", 20)
    with pytest.raises(ValueError, match="full"):
        bans.add(entry("clientid", "x" * 30), NOW)
    assert bans.clear() == 1
    bans.add(entry("clientid", "x" * 20), NOW)


def test_the_file_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "data" / "banned.json"
    kept = [entry("clientid", 'qu"ote\n', until=NOW + 60), entry("peerhost", "192.0.2.7")]
    assert load_bans(path, NOW) == []
    save_bans(path, kept)
    assert load_bans(path, NOW) == kept
    assert load_bans(path, NOW + 60) == kept[1:]
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["banned.json"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("[]", "it is not"),
        ('{"version": 2, "banned": []}', "it is not"),
        ('{"version": 1, "banned": [7]}', "entry 1 is no object"),
        ('{"version": 1, "banned": [{"as": "clientid"}]}', "entry 1: who"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_a_broken_file_is_loud(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "banned.json"
    path.write_text(text)
    with pytest.raises(ConfigurationErrors) as caught:
        load_bans(path, NOW)
    finding = caught.value.errors[0].text
    assert said in finding
    assert str(path) in finding
    assert "move it away" in finding


def test_a_file_that_cannot_be_read_is_loud(tmp_path: Path) -> None:
    (tmp_path / "banned.json").mkdir()
    with pytest.raises(ConfigurationErrors):
        load_bans(tmp_path / "banned.json", NOW)


def test_the_file_is_json_for_others_too(tmp_path: Path) -> None:
    path = tmp_path / "banned.json"
    save_bans(path, [entry("username", "bøb")])
    content = json.loads(path.read_text())
    assert content["banned"][0]["who"] == "bøb"
