"""Sphinx configuration."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mqttd import __name__ as project_name
from mqttd._version import __version__

project = project_name
author = "the mqttd developers"
project_copyright = "2026, the mqttd developers"
version = release = __version__

extensions = ["sphinx.ext.autodoc", "_interfaces"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "An MQTT broker on Twisted", "fixed_sidebar": True}
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "description"
# Standard library and attrs names are not looked up anywhere: the build needs no network.
nitpick_ignore_regex = [
    ("py:.*", r"(collections|types|typing|pathlib|attrs?|bytes|str|int)\b.*"),
    ("py:class", r"<InterfaceClass .*"),  # written so by autodoc, and documented
    ("py:class", r"(cryptography|datetime|twisted|mqttd\.packets)\..*"),
    # Named by mqttd.testing, which shows them by what can be done with them.
    ("py:class", r"IAuthenticator|IAuthorizer|IEventSink|Clock|Admission|EnhancedAuthenticator"),
    ("py:class", r"Authorization|MemoryOutlet|Connection|Packet|P|mqttd\.testing\.client\.P"),
    ("py:obj", r"mqttd\.testing\.client\.P"),
]
