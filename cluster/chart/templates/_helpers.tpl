{{- define "platform.labels" -}}
app.kubernetes.io/name: platform
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: notebook-hpc
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Both namespaces, as a JSON list: of sessions and of jobs. */}}
{{- define "platform.namespaces" -}}
{{ list .Release.Namespace .Values.jobsNamespace | toJson }}
{{- end }}
