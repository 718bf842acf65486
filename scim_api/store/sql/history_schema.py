"""What looking at a tenant's history takes, for ``schema``: indexes of the log, and when a credential was inspected.

By resource the index holds every change, so it is what each write pays for. By member and by externalId it holds the
few changes that are looked for so: memberships, and deletions (a living person is found by a SCIM filter).

In SQLite an index by random ids would have each write change a page of its own, which costs 12 us of CPU, some 4 %.
There the log is cut into buckets of ``BUCKET`` numbers, and ids are in order within each: new entries share a few pages,
and who looks for one asks bucket by bucket.
"""

from typing import Final

DELETION: Final = "type IN ('user.deleted', 'group.deleted')"
"""As the index by externalId has it: a query has to say it in the same words."""

BUCKET: Final = 1_024
"""Numbers of a bucket of SQLite's index by resource."""

HISTORY: Final = f"""
CREATE INDEX change_of_resource ON change (tenant, {{change_resource}});
CREATE INDEX change_of_member ON change (tenant, member{{change_order}}) WHERE member IS NOT NULL;
CREATE INDEX change_of_external ON change (tenant, external_id{{change_order}})
    WHERE external_id IS NOT NULL AND {DELETION};

-- The last GET of a person with the plugin or the console, which is no use of the credential.
ALTER TABLE credential ADD COLUMN inspected_at {{text}};
"""
"""With ``schema``'s names for what the databases spell differently."""
