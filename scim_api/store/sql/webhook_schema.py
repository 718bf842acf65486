"""The tables of webhooks, for ``schema``."""

from typing import Final

WEBHOOKS: Final = """
-- Where a tenant's changes are sent, up to which position of the log they are queued, and who sends them until when.
CREATE TABLE webhook (
    pk                {serial_unique},
    namespace         {text} NOT NULL,
    name              {text} NOT NULL,
    tenant            {bigint} NOT NULL REFERENCES tenant (pk) ON DELETE CASCADE,
    url               {text} NOT NULL,
    types             {text} NOT NULL,
    content           {text} NOT NULL CHECK (content IN ('Thin', 'Full')),
    timeout_seconds   {integer} NOT NULL,
    suspended         {integer} NOT NULL,
    secrets           {text} NOT NULL,
    position          {text} NOT NULL,
    position_at       {text} NOT NULL,
    revision          {bigint} NOT NULL DEFAULT 1,
    lease_holder      {text},
    lease_until       {text},
    pause_level       {integer} NOT NULL DEFAULT 0,
    retry_at          {text},
    last_delivered_at {text},
    last_attempt_at   {text},
    failing_since     {text},
    failure           {text},
    stopped_at        {text},
    gap_at            {text},
    gap               {text},
    UNIQUE (namespace, name)
){table};
CREATE INDEX webhook_tenant ON webhook (tenant);

-- What a webhook's receiver has not taken yet. The change is its pk in the log; below 0 for what no change made.
CREATE TABLE webhook_delivery (
    webhook     {bigint} NOT NULL REFERENCES webhook (pk) ON DELETE CASCADE,
    change      {bigint} NOT NULL,
    message_id  {text} NOT NULL,
    type        {text} NOT NULL,
    at          {text} NOT NULL,
    resource_id {text} NOT NULL,
    data        {text} NOT NULL,
    attempts    {integer} NOT NULL,
    due_at      {text} NOT NULL,
    PRIMARY KEY (webhook, change)
){table_without_rowid};
CREATE INDEX webhook_delivery_resource ON webhook_delivery (webhook, resource_id, change);
"""
"""With ``schema``'s names for what the databases spell differently."""

WEBHOOK_OWNERS: Final = """
-- metadata.uid of the ScimWebhook that a webhook belongs to; NULL: made by hand. And what its owner has asked for and
-- was carried out: a ping, and a redelivery.
ALTER TABLE webhook ADD COLUMN owner_uid {text};
ALTER TABLE webhook ADD COLUMN ping_request {text};
ALTER TABLE webhook ADD COLUMN redelivery_request {text};
"""
