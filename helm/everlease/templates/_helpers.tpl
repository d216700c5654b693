{{/* Names, labels and the pieces that several objects share. */}}

{{- define "everlease.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "everlease.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "everlease.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "everlease.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Of every object: (dict "root" $ "component" "node"). */}}
{{- define "everlease.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{ include "everlease.selector" . }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "everlease.selector" -}}
app.kubernetes.io/name: {{ include "everlease.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Of pods: without versions, which would replace pods that did not change. */}}
{{- define "everlease.podLabels" -}}
{{ include "everlease.selector" . }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The head of every object: (dict "root" $ "component" "node" "suffix" "-nodes"). */}}
{{- define "everlease.metadata" -}}
name: {{ include "everlease.fullname" .root }}{{ .suffix }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "everlease.labels" . | nindent 2 }}
{{- end -}}

{{- define "everlease.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "everlease.relay" -}}{{ if eq .Values.mode "relay" }}true{{ end }}{{- end -}}

{{- define "everlease.replicas" -}}
{{- if .Values.relay.shared.enabled }}{{ .Values.relay.shared.replicas }}{{ else }}{{ len .Values.relay.addresses }}{{ end -}}
{{- end -}}

{{- define "everlease.etcd" -}}
{{- if .Values.etcd.internal.enabled -}}
{{- $name := printf "%s-etcd" (include "everlease.fullname" .) -}}
{{- range $i := until 3 }}{{ if $i }},{{ end }}http://{{ $name }}-{{ $i }}.{{ $name }}.{{ $.Release.Namespace }}.svc:2379{{ end -}}
{{- else -}}
{{- join "," .Values.etcd.endpoints -}}
{{- end -}}
{{- end -}}

{{/* Where the admin API of any node is: a headless Service, so a client tries one pod after the other. */}}
{{- define "everlease.server" -}}
{{ include "everlease.fullname" . }}-nodes.{{ .Release.Namespace }}.svc:{{ .Values.admin.port }}
{{- end -}}

{{/* The secret with the admin API's certificate; empty without TLS. */}}
{{- define "everlease.adminSecret" -}}
{{- with .Values.admin.tls -}}
{{- if .certManager.enabled }}{{ include "everlease.fullname" $ }}-admin{{ else }}{{ .existingSecret }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "everlease.configMap" -}}
{{- with .Values.configuration -}}
{{- if .existingConfigMap.name }}{{ .existingConfigMap.name }}
{{- else if .document }}{{ include "everlease.fullname" $ }}-configuration{{ end -}}
{{- end -}}
{{- end -}}

{{- define "everlease.documentPath" -}}
/etc/everlease/configuration/{{ if .Values.configuration.existingConfigMap.name }}{{ .Values.configuration.existingConfigMap.key }}{{ else }}everlease.yaml{{ end }}
{{- end -}}

{{/* Flags of a node, but --interface and --listen, which differ by mode; every one after its name and an "=". */}}
{{- define "everlease.flags" -}}
- --etcd={{ include "everlease.etcd" . }}
- --prefix={{ .Values.etcd.prefix }}
- --admin=$(POD_IP):{{ .Values.admin.port }}
- --metrics=$(POD_IP):{{ .Values.metrics.port }}
- --log-level={{ .Values.node.logLevel }}
{{- if .Values.node.logLeases }}
- --log-leases
{{- end }}
{{- if .Values.etcd.tls.enabled }}
{{- with .Values.etcd.tls }}
- --etcd-ca=/etc/everlease/etcd/{{ .caKey }}
{{- if .certKey }}
- --etcd-cert=/etc/everlease/etcd/{{ .certKey }}
- --etcd-key=/etc/everlease/etcd/{{ .keyKey }}
{{- end }}
{{- end }}
{{- end }}
{{- if include "everlease.adminSecret" . }}
- --admin-ca=/etc/everlease/admin/ca.crt
- --admin-cert=/etc/everlease/admin/tls.crt
- --admin-key=/etc/everlease/admin/tls.key
{{- with .Values.admin.roles }}
{{- if .existingSecret }}
- --admin-roles=/etc/everlease/roles/{{ .key }}
{{- end }}
{{- end }}
{{- else }}
- --admin-insecure
{{- end }}
{{- if include "everlease.configMap" . }}
- --config-file={{ include "everlease.documentPath" . }}
{{- end }}
{{- range .Values.node.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}

{{/* What the command line needs to reach the nodes from any pod of the release. */}}
{{- define "everlease.clientEnvironment" -}}
- name: EVERLEASE_SERVER
  value: {{ include "everlease.server" . }}
{{- if include "everlease.adminSecret" . }}
- name: EVERLEASE_CA
  value: /etc/everlease/admin/ca.crt
- name: EVERLEASE_CERT
  value: /etc/everlease/admin/tls.crt
- name: EVERLEASE_KEY
  value: /etc/everlease/admin/tls.key
{{- end }}
{{- end -}}

{{- define "everlease.adminVolume" -}}
{{- with include "everlease.adminSecret" . -}}
- name: admin
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end -}}
{{- end -}}

{{- define "everlease.adminMount" -}}
{{- if include "everlease.adminSecret" . -}}
- {name: admin, mountPath: /etc/everlease/admin, readOnly: true}
{{- end -}}
{{- end -}}

{{- define "everlease.configurationVolume" -}}
{{- with include "everlease.configMap" . -}}
- name: configuration
  configMap: {name: {{ . }}}
{{- end -}}
{{- end -}}

{{- define "everlease.configurationMount" -}}
{{- if include "everlease.configMap" . -}}
- {name: configuration, mountPath: /etc/everlease/configuration, readOnly: true}
{{- end -}}
{{- end -}}

{{/* A pod that needs nothing: Pod Security level "restricted". 65532 is the image's own user. */}}
{{- define "everlease.unprivilegedPod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "everlease.unprivileged" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "everlease.pullSecrets" -}}
{{- with .Values.imagePullSecrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}
