{{/* What values.schema.json cannot say in words: without TLS, or with images that anybody may put in the
place of ours, it is a demonstration. All mistakes at once. */}}
{{- define "offline-jobs.check" -}}
{{- if not .Values.demonstration }}
{{- $mistakes := list }}
{{- if not (regexMatch "^https://.+/$" .Values.hub.publicUrl) }}
{{- $mistakes = append $mistakes (printf "hub.publicUrl is %q: write the hub's address as browsers see it, https://HOST/" .Values.hub.publicUrl) }}
{{- end }}
{{- if not .Values.image.digest }}
{{- $mistakes = append $mistakes "image.digest is empty: push the image and write its digest, sha256:..." }}
{{- end }}
{{- $catalogue := .Values.custom.catalogue }}
{{- range prepend $catalogue.images (merge (dict "slug" "folders_image") $catalogue.folders_image) }}
{{- if not .digest }}
{{- $mistakes = append $mistakes (printf "custom.catalogue: image %s has no digest: push it and write its digest, or take it out" .slug) }}
{{- end }}
{{- end }}
{{- if $mistakes }}
{{- fail (printf "\n- %s\n(demonstration: true installs it without, for a trial on one machine)" (join "\n- " $mistakes)) }}
{{- end }}
{{- end }}
{{- end }}
