"""Helpers of the configuration tests: load a text, or name what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mqttd.config.errors import ConfigurationErrors, Finding
from mqttd.config.load import Loaded, load_text

Load = Callable[..., Loaded]
Errors = Callable[..., dict[str, Finding]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a configuration text that has no errors."""

    def run(text: str, environ: Mapping[str, str] | None = None) -> Loaded:
        return load_text(text, environ, base_dir=tmp_path, name="mqttd.conf")

    return run


@pytest.fixture
def errors(tmp_path: Path) -> Errors:
    """The errors of a text, by path; the test fails when it has none."""

    def run(text: str, environ: Mapping[str, str] | None = None) -> dict[str, Finding]:
        with pytest.raises(ConfigurationErrors) as caught:
            load_text(text, environ, base_dir=tmp_path, name="mqttd.conf")
        return {finding.path: finding for finding in caught.value.errors}

    return run
