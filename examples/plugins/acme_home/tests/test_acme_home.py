"""Tests of acme-home, without a socket."""

from __future__ import annotations

from pathlib import Path

import pytest
from acme_home import AcmeHome

from mqttd.plugins import authorizer
from mqttd.testing import access_request, assert_authorizer, plugin_context


def test_who_may_do_what() -> None:
    assert_authorizer(
        AcmeHome("home"),
        allows=[
            access_request("publish", "home/ann/lamp", username="ann"),
            access_request("subscribe", "home/ann/#", username="ann"),
        ],
        leaves=[
            access_request("publish", "home/bob/lamp", username="ann"),
            access_request("subscribe", "home/+/lamp", username="+"),
            access_request("publish", "home/None/lamp"),
        ],
    )


def test_it_is_declared(tmp_path: Path) -> None:
    plugin = authorizer("acme-home")
    context = plugin_context(tmp_path)
    assert_authorizer(plugin.make({"prefix": "home"}, context))
    with pytest.raises(ValueError, match="prefix is needed"):
        plugin.make({}, context)
    with pytest.raises(ValueError, match="unknown option: user"):
        plugin.make({"user": "ann"}, context)
