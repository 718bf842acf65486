"""Without a key that can be used nothing is delivered, and one line says what to do."""

from pathlib import Path
from typing import cast

import pytest

from scim_api.delivery.key_file import write_key
from scim_api.delivery.metrics import DeliveryMetrics
from scim_api.server.deliveries import new_dispatcher
from scim_api.server.settings import ApiSettings, SettingsError, load
from scim_api.store.protocol import Store


def dispatcher(settings: ApiSettings) -> object:
    return new_dispatcher(settings, cast("Store", None), "https://scim.test/scim/v2", DeliveryMetrics())


def test_a_dispatcher_needs_its_key(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="`scim-api webhook key` makes one"):
        dispatcher(load())
    with pytest.raises(SettingsError, match=r"webhook-key-file: .* can't be read"):
        dispatcher(load(webhook_key_file=tmp_path / "none"))
    write_key(tmp_path / "webhook.key")
    assert dispatcher(load(webhook_key_file=tmp_path / "webhook.key"))


def test_networks_that_are_none_are_refused_at_start() -> None:
    with pytest.raises(SettingsError, match="webhook_allowed_networks: 'inside' is no network"):
        load(webhook_allowed_networks="10.0.0.0/8,inside")
