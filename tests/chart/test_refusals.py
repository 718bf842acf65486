"""Values that can't work are refused before anything is installed, with a sentence that says what to write."""

from typing import Any

import pytest

from support.chart import HOST, Helm

POSTGRESQL = {"type": "postgresql", "existingSecret": {"name": "scim-database"}}
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no host": ({}, "host is not set: write the name"),
    "no host for an HTTPRoute": (
        {"ingress": {"enabled": False}, "httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}]}},
        "such as `host: scim.example.com`",
    ),
    "no address at all": ({"ingress": {"enabled": False}}, "`endpointUrl: https://scim.example.com/scim/v2`"),
    "an address for a host": ({"host": "https://scim.example.com"}, "write the bare name in lower case"),
    "an endpoint with another path": (
        {**HOST, "endpointUrl": "https://scim.example.com/"},
        "write an absolute address that ends in /scim/v2",
    ),
    "an HTTPRoute without a Gateway": (
        {**HOST, "httpRoute": {"enabled": True}},
        "`parentRefs: [{name: public, namespace: gateways}]`",
    ),
    "negative replicas of the operator": (
        {**HOST, "operator": {"replicas": -1}},
        "operator.replicas is -1: write 0 or more",
    ),
    "negative replicas of the API": (
        {**HOST, "api": {"replicas": -2}},
        "api.replicas is -2: write 0 or more",
    ),
    "two pods on SQLite": (
        {**HOST, "api": {"replicas": 2}},
        "write `api.replicas: 1`, or `api.database.type: postgresql`",
    ),
    "an autoscaler on SQLite": (
        {**HOST, "api": {"autoscaling": {"enabled": True}}},
        "write `api.autoscaling.enabled: false`, or `api.database.type: postgresql`",
    ),
    "PostgreSQL's address on SQLite": (
        {**HOST, "api": {"database": {"url": "postgresql://db/scim"}}},
        "write `api.database.type: postgresql`, or leave both out",
    ),
    "PostgreSQL without an address": (
        {**HOST, "api": {"database": {"type": "postgresql"}}},
        "write `api.database.existingSecret.name`",
    ),
    "PostgreSQL with two addresses": (
        {**HOST, "api": {"database": {**POSTGRESQL, "url": "postgresql://db/scim"}}},
        "are set: leave one out",
    ),
    "another database's address": (
        {**HOST, "api": {"database": {"type": "postgresql", "url": "mysql://db/scim"}}},
        "write `postgresql://user:password@host/database`",
    ),
    "more pods at least than at most": (
        {**HOST, "api": {"database": POSTGRESQL, "autoscaling": {"enabled": True, "minReplicas": 9}}},
        "minReplicas (9) is above maxReplicas (6): swap them",
    ),
    "negative replicas of what delivers webhooks": (
        {**HOST, "webhooks": {"replicas": -1}},
        "webhooks.replicas is -1: write 0 or more",
    ),
    "two pods that deliver on SQLite": (
        {**HOST, "webhooks": {"enabled": True, "replicas": 2}},
        "webhooks.replicas is 2, but with SQLite the API's one pod delivers: leave it out, or write `api.database.type: postgresql`",
    ),
    "clear text to nowhere": (
        {**HOST, "webhooks": {"enabled": True, "allowHttp": True}},
        "write the networks of the receivers, such as `allowedNetworks: [10.0.0.0/8]`, or `allowHttp: false`",
    ),
    "a network that is an address": (
        {**HOST, "webhooks": {"allowedNetworks": ["10.0.0.1"]}},
        "at '/webhooks/allowedNetworks/0': '10.0.0.1' does not match pattern",
    ),
    "no port of receivers": (
        {**HOST, "networkPolicy": {"receiverPorts": []}},
        "at '/networkPolicy/receiverPorts': minItems: got 0, want 1",
    ),
    "any receiver": (
        {**HOST, "networkPolicy": {"receivers": [{}]}},
        "at '/networkPolicy/receivers/0'",
    ),
    "a label by which what delivers is found": (
        {**HOST, "webhooks": {"podLabels": {"app.kubernetes.io/component": "api"}}},
        "webhooks.podLabels holds app.kubernetes.io/component",
    ),
    "two authorities": ({**HOST, "trustedCa": {"configMap": "a", "secret": "b"}}, "are set: leave one out"),
    "a ScimToken that nobody watches": (
        {**HOST, "watchNamespaces": ["team-a"], "scimTokens": [{"name": "entra", "namespace": "team-b"}]},
        "add it to watchNamespaces",
    ),
    "a test that nobody watches": (
        {**HOST, "watchNamespaces": ["team-a"], "tests": {"namespace": "team-b"}},
        "add it to watchNamespaces",
    ),
    "nobody who may ask": (
        {"host": "scim.example.com"},
        "networkPolicy.ingressFrom is not set: write from where the public port may be asked, your Ingress controller or Gateway, such as `ingressFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}}]`; or `ingressFrom: [{}]` for anybody; or",
    ),
    "a name with capitals": (
        {**HOST, "nameOverride": "My.App"},
        'nameOverride is "My.App", but names of Services are made of it: write lower case letters, digits and dashes, such as `nameOverride: my-app`',
    ),
    "a full name with an underscore": (
        {**HOST, "fullnameOverride": "_"},
        "such as `fullnameOverride: scim`",
    ),
    "a Secret's name that none can have": (
        {**HOST, "api": {"database": {"type": "postgresql", "existingSecret": {"name": "db_url"}}}},
        'api.database.existingSecret.name is "db_url", and no object of Kubernetes has such a name',
    ),
    "a label that objects are found by": (
        {**HOST, "commonLabels": {"app.kubernetes.io/instance": "mine"}},
        "commonLabels holds app.kubernetes.io/instance, by which this chart's objects find each other: leave it out",
    ),
    "a label that pods are found by": (
        {**HOST, "api": {"podLabels": {"app.kubernetes.io/component": "web"}}},
        "api.podLabels holds app.kubernetes.io/component",
    ),
    "an environment variable without a name": (
        {**HOST, "operator": {"extraEnv": [{"value": "1"}]}},
        "at '/operator/extraEnv/0': missing property 'name'",
    ),
    "an unknown key": (
        {**HOST, "replicas": 2},
        "'left out, for there is no such value; here are host, endpointUrl,",
    ),
    "an unknown key below": (
        {**HOST, "api": {"replicaCount": 2}},
        "at '/api/replicaCount': value must be 'left out, for there is no such value; here are replicas, image,",
    ),
    "an unknown key of a ScimToken": (
        {**HOST, "scimTokens": [{"name": "entra", "lifetime": "90d"}]},
        "here are name, namespace, labels, annotations, spec",
    ),
    "a word for a number": (
        {**HOST, "api": {"replicas": "two"}},
        "at '/api/replicas': got string, want integer",
    ),
    "an unknown log level": (
        {**HOST, "api": {"logLevel": "loud"}},
        "at '/api/logLevel': value must be one of 'debug', 'info', 'warning', 'error'",
    ),
    "an unknown database": (
        {**HOST, "api": {"database": {"type": "mysql"}}},
        "value must be one of 'sqlite', 'postgresql'",
    ),
    "no worker": ({**HOST, "operator": {"workers": 0}}, "at '/operator/workers': minimum: got 0, want 1"),
}


@pytest.mark.parametrize(("values", "sentence"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_refused_with_what_to_write(helm: Helm, values: dict[str, Any], sentence: str) -> None:
    said = " ".join(helm.refusal(values).split())
    assert sentence in said
