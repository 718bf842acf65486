{{/*
A list whose entries have a key, such as env: of two with the same key the later one counts, so that yours replace the
chart's. Two would be refused by server-side apply. Arguments: key, chart (YAML), own (a list of the values).
*/}}
{{- define "scim-operator.list" -}}
{{- $key := .key -}}
{{- $seen := dict -}}
{{- $kept := list -}}
{{- range reverse (concat (fromYamlArray .chart) (.own | default list)) -}}
{{- $name := get . $key | toString -}}
{{- if eq $key "mountPath" -}}
{{- $name = clean $name -}}
{{- end -}}
{{- if not (hasKey $seen $name) -}}
{{- $_ := set $seen $name true -}}
{{- $kept = prepend $kept . -}}
{{- end -}}
{{- end -}}
{{- toYaml $kept -}}
{{- end -}}

{{/* Labels or annotations from several places, each a map or YAML: a later one's entry replaces an earlier one's. */}}
{{- define "scim-operator.map" -}}
{{- $all := dict -}}
{{- range . -}}
{{- $part := . -}}
{{- if kindIs "string" $part -}}
{{- $part = fromYaml $part -}}
{{- end -}}
{{- range $key, $value := $part -}}
{{- $_ := set $all $key $value -}}
{{- end -}}
{{- end -}}
{{- with $all -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}
