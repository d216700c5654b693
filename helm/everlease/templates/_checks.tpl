{{/* What values may not be together. Each refusal begins with the key that must change. */}}
{{- define "everlease.checks" -}}
{{- $relay := include "everlease.relay" . -}}
{{- with .Values.etcd -}}
{{- if and .internal.enabled .endpoints }}{{ fail "etcd.endpoints: not together with etcd.internal.enabled" }}{{ end -}}
{{- if not (or .internal.enabled .endpoints) }}{{ fail "etcd.endpoints: name every member of your etcd, or set etcd.internal.enabled for a trial" }}{{ end -}}
{{- if .tls.enabled -}}
{{- if .internal.enabled }}{{ fail "etcd.tls.enabled: the internal members have no TLS" }}{{ end -}}
{{- if not .tls.existingSecret }}{{ fail "etcd.tls.existingSecret: etcd.tls.enabled needs the name of a secret" }}{{ end -}}
{{- range .endpoints }}{{ if not (hasPrefix "https://" .) }}{{ fail (printf "etcd.endpoints: %s must begin with https://, for etcd.tls.enabled is set" .) }}{{ end }}{{ end -}}
{{- else -}}
{{- if .tls.existingSecret }}{{ fail "etcd.tls.existingSecret: not without etcd.tls.enabled" }}{{ end -}}
{{- end -}}
{{- end -}}
{{- with .Values.admin -}}
{{- if and .tls.certManager.enabled .tls.existingSecret }}{{ fail "admin.tls.existingSecret: not together with admin.tls.certManager.enabled" }}{{ end -}}
{{- $tls := or .tls.existingSecret .tls.certManager.enabled -}}
{{- if and .insecure .roles.existingSecret }}{{ fail "admin.roles.existingSecret: not together with admin.insecure" }}{{ end -}}
{{- if and .insecure $tls }}{{ fail "admin.insecure: not together with admin.tls" }}{{ end -}}
{{- if not (or .insecure $tls) }}{{ fail "admin.tls.existingSecret: name a secret, set admin.tls.certManager.enabled, or say admin.insecure" }}{{ end -}}
{{- if and .tls.certManager.enabled (not .tls.certManager.issuerRef.name) }}{{ fail "admin.tls.certManager.issuerRef.name: who issues the certificate?" }}{{ end -}}
{{- end -}}
{{- if and .Values.configuration.document .Values.configuration.existingConfigMap.name }}{{ fail "configuration.existingConfigMap.name: not together with configuration.document" }}{{ end -}}
{{- if eq (int .Values.admin.port) (int .Values.metrics.port) }}{{ fail "metrics.port: the same as admin.port" }}{{ end -}}
{{- if and .Values.monitoring.serviceMonitor.enabled .Values.monitoring.podMonitor.enabled }}{{ fail "monitoring.podMonitor.enabled: with monitoring.serviceMonitor.enabled each node would be scraped twice" }}{{ end -}}
{{- if $relay -}}
{{- if .Values.broadcast.groups }}{{ fail "broadcast.groups: only with mode: broadcast" }}{{ end -}}
{{- with .Values.relay -}}
{{- if not .addresses }}{{ fail "relay.addresses: name the load balancer's address of each replica" }}{{ end -}}
{{- if and .shared.enabled (ne (len .addresses) 1) }}{{ fail "relay.addresses: relay.shared.enabled has one address in all" }}{{ end -}}
{{- if and .multus.port (not .multus.networks) }}{{ fail "relay.multus.networks: relay.multus.port is served on these networks; name them" }}{{ end -}}
{{- end -}}
{{- else -}}
{{- if not .Values.broadcast.groups }}{{ fail "broadcast.groups: say which nodes serve which links" }}{{ end -}}
{{- if .Values.relay.addresses }}{{ fail "relay.addresses: only with mode: relay" }}{{ end -}}
{{- if .Values.relay.shared.enabled }}{{ fail "relay.shared.enabled: only with mode: relay" }}{{ end -}}
{{- if .Values.relay.multus.networks }}{{ fail "relay.multus.networks: only with mode: relay" }}{{ end -}}
{{- if .Values.networkPolicy.enabled }}{{ fail "networkPolicy.enabled: only with mode: relay; pods on the host network have no policy" }}{{ end -}}
{{- $seen := dict -}}
{{- range .Values.broadcast.groups -}}
{{- if hasKey $seen .name }}{{ fail (printf "broadcast.groups: two are named %s" .name) }}{{ end -}}
{{- $_ := set $seen .name true -}}
{{- end -}}
{{- end -}}
{{- end -}}
