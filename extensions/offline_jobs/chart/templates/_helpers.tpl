{{- define "offline-jobs.labels" -}}
app.kubernetes.io/name: offline-jobs
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "offline-jobs.all-labels" -}}
{{ include "offline-jobs.labels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: notebook-hpc
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "offline-jobs.image" -}}
{{- $registry := .Values.custom.catalogue.registry | default "" -}}
{{- if $registry }}{{ $registry }}/{{ end }}{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ end }}
{{- end }}

{{- define "offline-jobs.claim" -}}
{{ .Values.storage.existingClaim | default "offline-jobs" }}
{{- end }}

{{/* Whether anything is kept on a disk: not where the records are on a server and the rest in a bucket. */}}
{{- define "offline-jobs.has-disk" -}}
{{- if not (and .Values.database.existingSecret .Values.objects.bucket) }}yes{{ end }}
{{- end }}

{{- define "offline-jobs.secret" -}}
{{ .Values.existingSecret | default "offline-jobs" }}
{{- end }}

{{/* Slugs of a list of the catalogue, as a CEL list of texts. */}}
{{- define "offline-jobs.slugs" -}}
[{{ range $index, $each := . }}{{ if $index }}, {{ end }}{{ $each.slug | squote }}{{ end }}]
{{- end }}
