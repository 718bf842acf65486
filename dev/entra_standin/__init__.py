"""Microsoft Entra ID's side of SCIM provisioning, built from its documentation: a strict client.

``directory`` holds the people, ``mapping`` turns a person into SCIM, ``dialects`` writes both of Entra's
PATCH dialects, ``checks`` judges answers, ``client`` sends requests, ``cycle`` plays a provisioning cycle,
``groups`` does the same for groups, ``discovery`` reads /Schemas and
``quarantine`` tells what Entra makes of failures. ``sign_in`` holds the Secret Token or caches access tokens,
``token_endpoint`` asks for them, with ``assertions`` signed by ``signing_keys``, which ``key_server`` publishes;
``validator`` plays Microsoft's own validator. ``python -m entra_standin`` plays a cycle against a URL.
The package ``graph`` is the other side: Microsoft's login and Graph, whose jobs run these cycles.
"""
