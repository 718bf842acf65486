{{/* What the schema can't refuse, or can't say in a sentence. Included once, by the operator's Deployment. */}}
{{- define "scim-operator.checks" -}}
{{- $api := .Values.api -}}
{{- $database := $api.database -}}
{{- if and (or .Values.ingress.enabled .Values.httpRoute.enabled) (not .Values.host) -}}
{{- fail "host is not set: write the name under which Entra reaches the endpoint, such as `host: scim.example.com`. If something else than an Ingress or HTTPRoute of this chart leads to it, write `ingress.enabled: false` and `endpointUrl: https://scim.example.com/scim/v2`" -}}
{{- end -}}
{{- if not (or .Values.host .Values.endpointUrl) -}}
{{- fail "neither host nor endpointUrl is set: write the address that Entra is given, such as `endpointUrl: https://scim.example.com/scim/v2`" -}}
{{- end -}}
{{- if and .Values.host (not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" .Values.host)) -}}
{{- fail (printf "host is %q: write the bare name in lower case, without https:// and path, such as `host: scim.example.com`" .Values.host) -}}
{{- end -}}
{{- if and .Values.endpointUrl (not (regexMatch "^https?://[^/?#@ ]+/scim/v2/?$" .Values.endpointUrl)) -}}
{{- fail (printf "endpointUrl is %q: write an absolute address that ends in /scim/v2, such as `endpointUrl: https://scim.example.com/scim/v2`" .Values.endpointUrl) -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled is true, but httpRoute.parentRefs is empty: name the Gateway, such as `parentRefs: [{name: public, namespace: gateways}]`" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.ingressFrom) -}}
{{- fail "networkPolicy.ingressFrom is not set: write from where the public port may be asked, your Ingress controller or Gateway, such as `ingressFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}}]`; or `ingressFrom: [{}]` for anybody; or `networkPolicy.enabled: false` where no policy is wanted" -}}
{{- end -}}
{{- range $place, $name := dict "nameOverride" .Values.nameOverride "fullnameOverride" .Values.fullnameOverride -}}
{{- if and $name (not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" $name)) -}}
{{- fail (printf "%s is %q, but names of Services are made of it: write lower case letters, digits and dashes, such as `%s: %s`" $place $name $place (regexReplaceAll "[^a-z0-9]+" (lower $name) "-" | trimAll "-" | default "scim")) -}}
{{- end -}}
{{- end -}}
{{- $names := dict "operator.serviceAccount.name" .Values.operator.serviceAccount.name "api.serviceAccount.name" $api.serviceAccount.name "webhooks.serviceAccount.name" .Values.webhooks.serviceAccount.name "api.database.existingSecret.name" $database.existingSecret.name "api.database.persistence.existingClaim" $database.persistence.existingClaim "api.database.persistence.storageClass" $database.persistence.storageClass "trustedCa.configMap" .Values.trustedCa.configMap "trustedCa.secret" .Values.trustedCa.secret "ingress.className" .Values.ingress.className "ingress.tls.secretName" .Values.ingress.tls.secretName "tests.namespace" .Values.tests.namespace -}}
{{- range $place, $name := $names -}}
{{- if and $name (or (gt (len $name) 253) (not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" $name))) -}}
{{- fail (printf "%s is %q, and no object of Kubernetes has such a name: write lower case letters, digits, dashes and dots" $place $name) -}}
{{- end -}}
{{- end -}}
{{- range $part, $values := dict "operator" .Values.operator "api" $api "webhooks" .Values.webhooks -}}
{{- if lt (int $values.replicas) 0 -}}
{{- fail (printf "%s.replicas is %d: write 0 or more" $part (int $values.replicas)) -}}
{{- end -}}
{{- end -}}
{{- range $place, $labels := dict "commonLabels" .Values.commonLabels "operator.podLabels" .Values.operator.podLabels "api.podLabels" $api.podLabels "webhooks.podLabels" .Values.webhooks.podLabels -}}
{{- range $label := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" -}}
{{- if hasKey ($labels | default dict) $label -}}
{{- fail (printf "%s holds %s, by which this chart's objects find each other: leave it out" $place $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq $database.type "sqlite" -}}
{{- if gt (int $api.replicas) 1 -}}
{{- fail (printf "api.replicas is %d, but SQLite serves one pod: write `api.replicas: 1`, or `api.database.type: postgresql` with `api.database.existingSecret.name`" (int $api.replicas)) -}}
{{- end -}}
{{- if $api.autoscaling.enabled -}}
{{- fail "api.autoscaling.enabled is true, but SQLite serves one pod: write `api.autoscaling.enabled: false`, or `api.database.type: postgresql` with `api.database.existingSecret.name`" -}}
{{- end -}}
{{- if and .Values.webhooks.enabled (gt (int .Values.webhooks.replicas) 1) -}}
{{- fail (printf "webhooks.replicas is %d, but with SQLite the API's one pod delivers: leave it out, or write `api.database.type: postgresql` with `api.database.existingSecret.name`" (int .Values.webhooks.replicas)) -}}
{{- end -}}
{{- if or $database.url $database.existingSecret.name -}}
{{- fail "api.database.url or api.database.existingSecret.name is set, but api.database.type is sqlite: write `api.database.type: postgresql`, or leave both out" -}}
{{- end -}}
{{- else -}}
{{- if and $database.url $database.existingSecret.name -}}
{{- fail "both api.database.url and api.database.existingSecret.name are set: leave one out; the Secret is better, for a URL in values is kept in the release, too" -}}
{{- end -}}
{{- if not (or $database.url $database.existingSecret.name) -}}
{{- fail "api.database.type is postgresql, but nothing says where it is: write `api.database.existingSecret.name` with the name of a Secret that holds postgresql://user:password@host/database under the key `url`" -}}
{{- end -}}
{{- if and $database.url (not (regexMatch "^postgres(ql)?://" $database.url)) -}}
{{- fail "api.database.url is no address of PostgreSQL: write `postgresql://user:password@host/database`" -}}
{{- end -}}
{{- if and $api.autoscaling.enabled (gt (int $api.autoscaling.minReplicas) (int $api.autoscaling.maxReplicas)) -}}
{{- fail (printf "api.autoscaling.minReplicas (%d) is above maxReplicas (%d): swap them" (int $api.autoscaling.minReplicas) (int $api.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.webhooks.allowHttp (not .Values.webhooks.allowedNetworks) -}}
{{- fail "webhooks.allowHttp is true, but webhooks.allowedNetworks is empty, and on the internet nothing is sent in clear text: write the networks of the receivers, such as `allowedNetworks: [10.0.0.0/8]`, or `allowHttp: false`" -}}
{{- end -}}
{{- if and .Values.trustedCa.configMap .Values.trustedCa.secret -}}
{{- fail "both trustedCa.configMap and trustedCa.secret are set: leave one out" -}}
{{- end -}}
{{- if .Values.watchNamespaces -}}
{{- range .Values.scimTokens -}}
{{- $namespace := default $.Release.Namespace .namespace -}}
{{- if not (has $namespace $.Values.watchNamespaces) -}}
{{- fail (printf "the ScimToken %s of scimTokens is in namespace %s, which nobody watches: add it to watchNamespaces, or write another `namespace`" .name $namespace) -}}
{{- end -}}
{{- end -}}
{{- with .Values.tests.namespace -}}
{{- if not (has . $.Values.watchNamespaces) -}}
{{- fail (printf "tests.namespace is %s, which nobody watches: add it to watchNamespaces, or leave it out" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
