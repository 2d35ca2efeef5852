{{/* What of the catalogue admission.yaml asks of a Job, as lists and maps of CEL. */}}

{{/* References of the images, as hub_config/platform/catalogue_parts.py builds them. */}}
{{- define "offline-jobs.images" -}}
{{- $catalogue := . }}
{{- $images := list }}
{{- range .images }}
{{- $images = append $images (include "offline-jobs.reference" (dict "catalogue" $catalogue "image" .)) }}
{{- end -}}
[{{ join ", " $images }}]
{{- end }}

{{/* One reference, quoted. */}}
{{- define "offline-jobs.reference" -}}
{{- $registry := .catalogue.registry | default "" | trimSuffix "/" }}
{{- $reference := printf "%s:%s" .image.repository .image.tag }}
{{- if .image.digest }}{{ $reference = printf "%s@%s" $reference .image.digest }}{{ end }}
{{- if $registry }}{{ $reference = printf "%s/%s" $registry $reference }}{{ end }}
{{- squote $reference }}
{{- end }}

{{/* Each group's account. */}}
{{- define "offline-jobs.accounts" -}}
{{- $accounts := list }}
{{- range .groups }}
{{- $accounts = append $accounts (printf "%s: %s" (squote .slug) (.service_account | default "default" | squote)) }}
{{- end -}}
{ {{- join ", " $accounts -}} }
{{- end }}

{{/* Each group's claims. */}}
{{- define "offline-jobs.claims" -}}
{{- $groups := list }}
{{- range .groups }}
{{- $claims := list "'homes'" }}
{{- if .shared_folder }}{{ $claims = append $claims "'shared'" }}{{ end }}
{{- range .buckets }}{{ $claims = append $claims (printf "data-%s" . | squote) }}{{ end }}
{{- $groups = append $groups (printf "%s: [%s]" (squote .slug) (join ", " $claims)) }}
{{- end -}}
{ {{- join ", " $groups -}} }
{{- end }}

{{/* Where classes let their jobs go: a selector and the tolerations that come with it, the pool's
unless the class has its own. */}}
{{- define "offline-jobs.placements" -}}
{{- $pools := dict }}
{{- range .node_pools }}{{ $_ := set $pools .slug . }}{{ end }}
{{- $placements := list }}
{{- range .classes }}
{{- $pool := get $pools .job.node_pool | default dict }}
{{- $labels := $pool.labels }}
{{- if hasKey .job "selector" }}{{ $labels = .job.selector }}{{ end }}
{{- $terms := list }}
{{- range $key, $value := $labels }}
{{- $terms = append $terms (printf "variables.selector[?%s].orValue('') == %s" (squote $key) (squote $value)) }}
{{- end }}
{{- $wanted := $pool.taints }}
{{- if hasKey .job "tolerations" }}{{ $wanted = .job.tolerations }}{{ end }}
{{- $tolerations := list }}
{{- range $wanted }}
{{- $operator := .operator | default "Equal" }}
{{- $value := eq $operator "Equal" | ternary .value "" | default "" }}
{{- $fields := list (squote .key) (squote $operator) (.effect | default "NoSchedule" | squote) (squote $value) }}
{{- $tolerations = append $tolerations (printf "[%s]" (join ", " $fields)) }}
{{- end }}
{{- $terms = append $terms (printf "variables.tolerations.all(each, each in [%s])" (join ", " $tolerations)) }}
{{- $placements = append $placements (printf "(%s)" (join " && " $terms)) }}
{{- end -}}
{{ join " || " (uniq $placements) | default "false" }}
{{- end }}
