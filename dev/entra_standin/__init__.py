"""Microsoft Entra ID's side of SCIM provisioning, built from its documentation: a strict client.

``directory`` holds the people, ``mapping`` turns a person into SCIM, ``dialects`` writes both of Entra's
PATCH dialects, ``checks`` judges answers, ``client`` sends requests, ``cycle`` plays a provisioning cycle,
``groups`` does the same for groups, ``discovery`` reads /Schemas and
``quarantine`` tells what Entra makes of failures. ``python -m entra_standin`` plays a cycle against a URL.
"""
