{{- define "hub.labels" -}}
component: {{ .component }}
app.kubernetes.io/component: {{ .component }}
app: jupyterhub
release: {{ .root.Release.Name }}
chart: jupyterhub-{{ .root.Chart.Version }}
heritage: {{ .root.Release.Service }}
app.kubernetes.io/name: jupyterhub
app.kubernetes.io/instance: {{ .root.Release.Name }}
helm.sh/chart: jupyterhub-{{ .root.Chart.Version }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{- define "hub.selector" -}}
app: jupyterhub
release: {{ .Release.Name }}
{{- end }}

{{/* The random texts that were there, so that sessions go on; else new ones. */}}
{{- define "hub.random" -}}
{{- $there := (lookup "v1" "Secret" .namespace "hub") | default dict }}
{{- $data := $there.data | default dict }}
{{- get $data .key | default (randAlphaNum 64 | sha256sum | b64enc) }}
{{- end }}

{{- define "hub.core" -}}
tolerations:
  {{- range list "hub.jupyter.org/dedicated" "hub.jupyter.org_dedicated" }}
  - {key: {{ . }}, operator: Equal, value: core, effect: NoSchedule}
  {{- end }}
affinity:
  nodeAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        preference:
          matchExpressions:
            - {key: hub.jupyter.org/node-purpose, operator: In, values: [core]}
{{- end }}

{{- define "hub.private" -}}
- ipBlock: {cidr: 10.0.0.0/8}
- ipBlock: {cidr: 172.16.0.0/12}
- ipBlock: {cidr: 192.168.0.0/16}
{{- end }}

{{/* Where hub and proxy may go besides one another and sessions. */}}
{{- define "hub.egress" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  to:
    - ipBlock: {cidr: 169.254.169.254/32}
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
    {{- include "hub.private" . | nindent 4 }}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.169.254/32]
- to:
    {{- include "hub.private" . | nindent 4 }}
{{- if .cloudMetadataServer }}
- to:
    - ipBlock: {cidr: 169.254.169.254/32}
{{- end }}
{{- end }}

{{- define "hub.token" -}}
valueFrom:
  secretKeyRef:
    name: {{ .Values.hub.existingSecret | default "hub" }}
    key: hub.config.ConfigurableHTTPProxy.auth_token
{{- end }}
