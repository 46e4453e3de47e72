"""The prefix before the topics of a client, and that no client moves into another's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.net.mountpoint import check_mountpoint, render_mountpoint


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
        ("${zone}/", "default/"),
        ("${client_attrs.tenant_1-a}/", "blue/"),
        ("a{b}/$c/", "a{b}/$c/"),
    ],
)
def test_rendered(template: str, prefix: str) -> None:
    assert check_mountpoint(template) is None
    attributes = {"tenant_1-a": "blue"}
    assert render_mountpoint(template, "anna", "c1", attributes=attributes) == prefix


def test_zone() -> None:
    assert render_mountpoint("${zone}/", None, "c1", zone="eu") == "eu/"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("${user}/", "unknown placeholder ${user}"),
        ("${}/", "unknown placeholder ${}"),
        ("${ clientid }/", "unknown placeholder"),
        ("${client_attrs.}/", "unknown placeholder"),
        ("${client_attrs.a.b}/", "unknown placeholder"),
        ("${client_attrs}/", "unknown placeholder"),
        ("${clientid", "} is missing"),
        ("a/+/", "cannot hold"),
        ("a/#", "cannot hold"),
        ("a\0/", "cannot hold"),
        ("$SYS/", "cannot begin with $"),
        ("$share/g/", "cannot begin with $"),
        ("$${clientid}/", "cannot begin with $"),
        ("dev/${clientid}", "put one at the end"),
        ("dev/${clientid}-x", "put one at the end"),
        ("${username}${clientid}/", "two placeholders"),
        ("${username}-${clientid}/", "two placeholders"),
    ],
)
def test_bad_templates(template: str, said: str) -> None:
    error = check_mountpoint(template)
    assert error is not None
    assert said in error
    with pytest.raises(ValueError, match=r"mountpoint|placeholder"):
        render_mountpoint(template, "anna", "c1")


@pytest.mark.parametrize("value", ["a/b", "+", "#", "a/#", "a\0", "/", ""])
def test_values_that_would_move_the_prefix_refuse_the_client(value: str) -> None:
    with pytest.raises(ValueError, match="clientid"):
        render_mountpoint("dev/${clientid}/", "anna", value)
    with pytest.raises(ValueError, match="username"):
        render_mountpoint("dev/${username}/", value, "c1")
    with pytest.raises(ValueError, match=r"client_attrs\.x"):
        render_mountpoint("dev/${client_attrs.x}/", "anna", "c1", attributes={"x": value})


def test_missing_values_refuse_the_client() -> None:
    with pytest.raises(ValueError, match="username"):
        render_mountpoint("${username}/", None, "c1")
    with pytest.raises(ValueError, match=r"client_attrs\.x"):
        render_mountpoint("${client_attrs.x}/", "anna", "c1")


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
