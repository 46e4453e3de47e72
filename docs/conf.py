"""Sphinx configuration."""

from mqttd import __name__ as project_name
from mqttd._version import __version__

project = project_name
author = "the mqttd developers"
project_copyright = "2026, the mqttd developers"
version = release = __version__

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "An MQTT broker on Twisted", "fixed_sidebar": True}
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "description"
# Standard library and attrs names are not looked up anywhere: the build needs no network.
nitpick_ignore_regex = [
    ("py:.*", r"(collections|types|typing|pathlib|attrs?|bytes|str|int)\b.*"),
    ("py:class", r"<InterfaceClass .*"),  # written so by autodoc, and documented
]
