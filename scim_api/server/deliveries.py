"""A dispatcher of webhooks by the settings."""

from datetime import timedelta

from scim_api.contract.sealing import SealError
from scim_api.delivery.dispatcher import Dispatcher
from scim_api.delivery.key_file import KeyFile
from scim_api.delivery.metrics import DeliveryMetrics
from scim_api.delivery.sender import ReceiverRules, Sender
from scim_api.outbound.addresses import AllowedNetworks
from scim_api.server.settings import ApiSettings, SettingsError
from scim_api.store.protocol import Store


def new_dispatcher(
    settings: ApiSettings, store: Store, base_url: str, metrics: DeliveryMetrics
) -> Dispatcher:
    """What delivers webhooks.

    Args:
        settings: of ``scim-api``.
        store: the database.
        base_url: of the SCIM service, for what is sent with Full.
        metrics: what is told.

    Raises:
        SettingsError: there is no key that can be used.
    """
    if settings.webhook_key_file is None:
        raise SettingsError(
            "webhook-key-file: delivering webhooks needs the dispatcher's key; `scim-api webhook key` makes one "
            "(SCIM_API_WEBHOOK_KEY_FILE)"
        )
    try:
        keys = KeyFile(settings.webhook_key_file)
    except SealError as error:
        raise SettingsError(f"webhook-key-file: {error}") from None
    networks = AllowedNetworks.read(settings.webhook_allowed_networks)
    rules = ReceiverRules(networks, allows_http=settings.webhook_allow_http)
    return Dispatcher(
        store,
        lambda: Sender(store, keys, rules, base_url),
        metrics,
        keep=timedelta(days=settings.change_retention_days),
    )
