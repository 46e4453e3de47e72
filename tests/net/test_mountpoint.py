"""The prefix before the topics of a client, and that no client moves into another's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.config.errors import InvalidValue
from mqttd.config.mountpoint import parse_mountpoint
from mqttd.net.mountpoint import render_mountpoint


@pytest.mark.parametrize(
    ("template", "prefix"),
    [
        ("", ""),
        ("site", "site"),
        ("site/a/", "site/a/"),
        ("/site/", "/site/"),
        ("${clientid}/", "c1/"),
        ("dev/${clientid}/up/", "dev/c1/up/"),
        ("${username}/${clientid}/", "anna/c1/"),
        ("u-${username}-x/", "u-anna-x/"),
        ("a{b}/$c/", "a{b}/$c/"),
    ],
)
def test_rendered(template: str, prefix: str) -> None:
    assert parse_mountpoint(template) == template
    assert render_mountpoint(template, "anna", "c1") == prefix


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("${user}/", "not supported"),
        ("${}/", "not supported"),
        ("${ clientid }/", "not supported"),
        ("${zone}/", "not supported"),
        ("${client_attrs.tenant}/", "not supported"),
        ("${clientid", "not closed"),
        ("a/+/", "wildcards"),
        ("a/#", "wildcards"),
        ("a\0/", "wildcards"),
        ("$SYS/", "begin with"),
        ("$share/g/", "begin with"),
        ("$${clientid}/", "begin with"),
        ("dev/${clientid}", "no / follows"),
        ("dev/${clientid}-x", "no / follows"),
        ("${username}${clientid}/", "no / follows"),
        ("${username}-${clientid}/", "no / follows"),
    ],
)
def test_templates_refused_with_the_configuration(template: str, said: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_mountpoint(template)
    assert said in str(caught.value)


@pytest.mark.parametrize("value", ["a/b", "+", "#", "a/#", "a\0", "/", ""])
def test_values_that_would_move_the_prefix_refuse_the_client(value: str) -> None:
    with pytest.raises(ValueError, match="clientid"):
        render_mountpoint("dev/${clientid}/", "anna", value)
    with pytest.raises(ValueError, match="username"):
        render_mountpoint("dev/${username}/", value, "c1")


def test_missing_values_refuse_the_client() -> None:
    with pytest.raises(ValueError, match="username"):
        render_mountpoint("${username}/", None, "c1")


def test_a_value_cannot_lead_into_the_system_topics() -> None:
    with pytest.raises(ValueError, match="begins with"):
        render_mountpoint("${clientid}/", None, "$SYS")
    assert render_mountpoint("x/${clientid}/", None, "$SYS") == "x/$SYS/"


def test_length() -> None:
    assert len(render_mountpoint("${clientid}/", None, "é" * 32767)) == 32768
    with pytest.raises(ValueError, match="65535"):
        render_mountpoint("${clientid}/", None, "é" * 32768)


def test_errors_quote_no_value() -> None:
    with pytest.raises(ValueError, match="username") as caught:
        render_mountpoint("${username}/", "s3cret/", "c1")
    assert "s3cret" not in str(caught.value)


names = st.text("ab$-", min_size=1, max_size=4)


@given(names, names, names, names)
def test_no_prefix_lies_in_another(user1: str, id1: str, user2: str, id2: str) -> None:
    template = "p/x-${username}-x/${clientid}-/"
    first = render_mountpoint(template, user1, id1)
    second = render_mountpoint(template, user2, id2)
    assert first.startswith(second) == ((user1, id1) == (user2, id2))
