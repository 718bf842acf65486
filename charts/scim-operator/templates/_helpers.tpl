{{- define "scim-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/*
A Service's name is at most 63 letters, digits and dashes and begins with a letter; names end in up to 15 characters
more. A release's name may have dots, and begin with a digit.
*/}}
{{- define "scim-operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) -}}
{{- $full = $full | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $full -}}
{{- $full = printf "scim-%s" $full -}}
{{- end -}}
{{- $full | trunc 47 | trimAll "-" -}}
{{- end -}}

{{/* Names of what belongs to no namespace: two releases of one name, in two namespaces, don't meet. */}}
{{- define "scim-operator.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "scim-operator.fullname" .) -}}
{{- end -}}

{{- define "scim-operator.labels" -}}
{{- $chart := dict "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- include "scim-operator.map" (list $chart (include "scim-operator.podLabels" .) .Values.commonLabels) -}}
{{- end -}}

{{/* Without the chart's version: a new chart alone starts no pod anew. */}}
{{- define "scim-operator.podLabels" -}}
{{- $told := dict "app.kubernetes.io/version" .Chart.AppVersion "app.kubernetes.io/managed-by" .Release.Service "app.kubernetes.io/part-of" "scim-operator" -}}
{{- include "scim-operator.map" (list (include "scim-operator.selector" .) $told .Values.commonLabels) -}}
{{- end -}}

{{- define "scim-operator.selector" -}}
app.kubernetes.io/name: {{ include "scim-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Arguments: root, image (operator.image or api.image). */}}
{{- define "scim-operator.image" -}}
{{- $common := .root.Values.image -}}
{{- $name := .image.repository -}}
{{- if $common.registry -}}
{{- $name = printf "%s/%s" (trimSuffix "/" $common.registry) $name -}}
{{- end -}}
{{- $tag := coalesce .image.tag $common.tag .root.Chart.AppVersion -}}
{{- if .image.digest -}}
{{- printf "%s:%s@%s" $name $tag .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name $tag -}}
{{- end -}}
{{- end -}}

{{- define "scim-operator.endpoint" -}}
{{- .Values.endpointUrl | default (printf "https://%s/scim/v2" .Values.host) | trimSuffix "/" -}}
{{- end -}}

{{- define "scim-operator.scimServiceUrl" -}}
{{- printf "http://%s-api.%s.svc:8080/scim/v2" (include "scim-operator.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* Where the operator tries a new token out. */}}
{{- define "scim-operator.scimUrl" -}}
{{- if .Values.operatorTLS.enabled -}}
{{- printf "%s/scim/v2" (include "scim-operator.adminUrl" .) -}}
{{- else -}}
{{- include "scim-operator.scimServiceUrl" . -}}
{{- end -}}
{{- end -}}

{{- define "scim-operator.adminUrl" -}}
{{- if .Values.operatorTLS.enabled -}}
{{- printf "https://%s-api-internal.%s.svc:8443" (include "scim-operator.fullname" .) .Release.Namespace -}}
{{- else -}}
{{- printf "http://%s-api-internal.%s.svc:8081" (include "scim-operator.fullname" .) .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{- define "scim-operator.operatorAccount" -}}
{{- default (include "scim-operator.fullname" .) .Values.operator.serviceAccount.name -}}
{{- end -}}

{{- define "scim-operator.apiAccount" -}}
{{- default (printf "%s-api" (include "scim-operator.fullname" .)) .Values.api.serviceAccount.name -}}
{{- end -}}

{{- define "scim-operator.deliverAccount" -}}
{{- default (printf "%s-deliver" (include "scim-operator.fullname" .)) .Values.webhooks.serviceAccount.name -}}
{{- end -}}

{{/* "true" where webhooks are delivered by pods of their own: on PostgreSQL. On SQLite the API's one pod does it. */}}
{{- define "scim-operator.deliversApart" -}}
{{- if and .Values.webhooks.enabled (ne .Values.api.database.type "sqlite") -}}
true
{{- end -}}
{{- end -}}

{{- define "scim-operator.testNamespace" -}}
{{- if .Values.tests.namespace -}}
{{- .Values.tests.namespace -}}
{{- else if and .Values.watchNamespaces (not (has .Release.Namespace .Values.watchNamespaces)) -}}
{{- first .Values.watchNamespaces -}}
{{- else -}}
{{- .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{/* What every pod has. Kubernetes' variables for Services are off: SCIM_API_PORT=tcp://… would be taken for a setting. */}}
{{- define "scim-operator.pod" -}}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- end -}}

{{/* Argument: operator, api or webhooks of the values. */}}
{{- define "scim-operator.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* What the container of a Job has beside its command; more volumeMounts may follow. */}}
{{- define "scim-operator.jobContainer" -}}
resources:
  {{- toYaml .Values.operator.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.containerSecurityContext | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* Arguments: root, values (operator, api or webhooks), component, keys (where to spread over). */}}
{{- define "scim-operator.spread" -}}
topologySpreadConstraints:
{{- if .values.topologySpreadConstraints }}
  {{- toYaml .values.topologySpreadConstraints | nindent 2 }}
{{- else }}
{{- range .keys }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "scim-operator.selector" $.root | nindent 8 }}
        app.kubernetes.io/component: {{ $.component }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where the endpoint's certificate is of a private authority. */}}
{{- define "scim-operator.caVolume" -}}
{{- with .Values.trustedCa }}
{{- if .configMap }}
- name: trusted-ca
  configMap: {name: {{ .configMap | quote }}, items: [{key: {{ .key | quote }}, path: ca.crt}]}
{{- else if .secret }}
- name: trusted-ca
  secret: {secretName: {{ .secret | quote }}, items: [{key: {{ .key | quote }}, path: ca.crt}]}
{{- end }}
{{- end }}
{{- end -}}

{{- define "scim-operator.caMount" -}}
{{- if or .Values.trustedCa.configMap .Values.trustedCa.secret }}
- {name: trusted-ca, mountPath: /etc/scim-operator/ca, readOnly: true}
{{- end }}
{{- end -}}

{{- define "scim-operator.caEnv" -}}
{{- if or .Values.trustedCa.configMap .Values.trustedCa.secret }}
- {name: SSL_CERT_FILE, value: /etc/scim-operator/ca/ca.crt}
{{- end }}
{{- end -}}

{{/* What `scim-operator run` and `scim-operator release` are configured by. */}}
{{- define "scim-operator.operatorEnv" -}}
- {name: SCIM_OPERATOR_ENDPOINT_URL, value: {{ include "scim-operator.endpoint" . | quote }}}
- {name: SCIM_OPERATOR_SCIM_URL, value: {{ include "scim-operator.scimUrl" . | quote }}}
- {name: SCIM_OPERATOR_ADMIN_URL, value: {{ include "scim-operator.adminUrl" . | quote }}}
- name: SCIM_OPERATOR_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- {name: SCIM_OPERATOR_LEASE_NAME, value: scim-operator}
{{- with .Values.watchNamespaces }}
- {name: SCIM_OPERATOR_WATCH_NAMESPACES, value: {{ join "," . | quote }}}
{{- end }}
- {name: SCIM_OPERATOR_LOG_LEVEL, value: {{ .Values.operator.logLevel }}}
{{- end -}}

{{/*
The database, for serving and for migrating. PostgreSQL's address is a file of its Secret, not a variable: what it says
of user and password is read with each new connection, so a password changes without a restart. Nothing is mounted
where extraEnv brings the address.
*/}}
{{- define "scim-operator.databaseEnv" -}}
{{- if eq .Values.api.database.type "sqlite" }}
- {name: SCIM_API_DATABASE_URL, value: "sqlite:////var/lib/scim-api/scim.db"}
{{- else }}
- {name: SCIM_API_DATABASE_URL, value: "file:///etc/scim-api/database/url"}
{{- end }}
{{- end -}}

{{- define "scim-operator.databaseSecret" -}}
{{- $own := false -}}
{{- range .Values.api.extraEnv -}}
{{- if eq .name "SCIM_API_DATABASE_URL" -}}{{- $own = true -}}{{- end -}}
{{- end -}}
{{- if and (eq .Values.api.database.type "postgresql") (not $own) -}}
{{- .Values.api.database.existingSecret.name | default (printf "%s-database" (include "scim-operator.fullname" .)) -}}
{{- end -}}
{{- end -}}

{{- define "scim-operator.databaseMount" -}}
- {name: tmp, mountPath: /tmp}
{{- if include "scim-operator.databaseSecret" . }}
- {name: database, mountPath: /etc/scim-api/database, readOnly: true}
{{- end }}
{{- end -}}

{{- define "scim-operator.databaseVolume" -}}
{{- with include "scim-operator.databaseSecret" . }}
- name: database
  secret:
    secretName: {{ . | quote }}
    items: [{key: {{ ternary $.Values.api.database.existingSecret.key "url" (ne $.Values.api.database.existingSecret.name "") | quote }}, path: url}]
{{- end }}
{{- end -}}

{{/* Another password starts new pods. Of a slow function, for whoever sees pods could try passwords on a fast one. */}}
{{- define "scim-operator.databaseChecksum" -}}
{{- with .Values.api.database.url }}
checksum/database: {{ derivePassword 1 "maximum" . $.Release.Name $.Release.Namespace | sha256sum | trunc 16 | quote }}
{{- end }}
{{- end -}}

{{/*
What delivers webhooks has the dispatcher's key. The operator makes it; until then the pod waits. A group may read it,
the pod's fsGroup, and nobody else, or the program would refuse it.
*/}}
{{- define "scim-operator.webhookEnv" -}}
- {name: SCIM_API_WEBHOOK_KEY_FILE, value: /etc/scim-api/webhook-key/private-key.pem}
{{- with .Values.webhooks.allowedNetworks }}
- {name: SCIM_API_WEBHOOK_ALLOWED_NETWORKS, value: {{ join "," . | quote }}}
{{- end }}
{{- if .Values.webhooks.allowHttp }}
- {name: SCIM_API_WEBHOOK_ALLOW_HTTP, value: "true"}
{{- end }}
{{- end -}}

{{- define "scim-operator.webhookVolume" -}}
- name: webhook-key
  secret:
    secretName: scim-operator-webhook-key
    optional: false
    defaultMode: 0440
    items: [{key: private-key.pem, path: private-key.pem}]
{{- end -}}

{{- define "scim-operator.webhookMount" -}}
- {name: webhook-key, mountPath: /etc/scim-api/webhook-key, readOnly: true}
{{- end -}}

{{/*
Ports at which the API reaches PostgreSQL, as a list in JSON: those of the URL, where it is in the values, and
databasePort. A Service may lead from the one to the other, and whether a policy sees the port of the Service or of
the pod depends on the network.
*/}}
{{- define "scim-operator.databasePorts" -}}
{{- $ports := list -}}
{{- with .Values.api.database.url -}}
{{- $elsewhere := regexFindAll "[0-9]+" (regexFind "[?&]port=[0-9,]+" .) -1 -}}
{{- $authority := regexFind "^[^/?#]*" (trimPrefix "postgres://" . | trimPrefix "postgresql://") -}}
{{- range splitList "," (splitList "@" $authority | last) -}}
{{- $port := trimPrefix ":" (regexFind ":[0-9]+$" .) -}}
{{- $ports = concat $ports (ternary (list $port) ($elsewhere | default (list "5432")) (ne $port "")) -}}
{{- end -}}
{{- end -}}
{{- if .Values.networkPolicy.databasePort -}}
{{- $ports = append $ports (int .Values.networkPolicy.databasePort | toString) -}}
{{- end -}}
{{- $ports | default (list "5432") | uniq | toJson -}}
{{- end -}}
