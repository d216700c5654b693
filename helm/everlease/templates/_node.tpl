{{/* The pod of a node, for both modes: (dict "root" $ "group" GROUP), without group in relay mode. */}}
{{- define "everlease.pod" -}}
{{- $root := .root -}}
{{- $relay := include "everlease.relay" $root -}}
{{- $values := $root.Values -}}
metadata:
  labels:
    {{- include "everlease.podLabels" (dict "root" $root "component" "node") | nindent 4 }}
    {{- with .group }}
    everlease/group: {{ .name }}
    {{- end }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or $values.podAnnotations (and $relay $values.relay.multus.networks) }}
  annotations:
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- if $relay }}
    {{- with $values.relay.multus.networks }}
    k8s.v1.cni.cncf.io/networks: {{ . | quote }}
    {{- end }}
    {{- end }}
  {{- end }}
spec:
  serviceAccountName: {{ include "everlease.fullname" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- if $relay }}
  terminationGracePeriodSeconds: {{ add $values.relay.drainSeconds 15 }}
  securityContext:
    {{- include "everlease.unprivilegedPod" $root | nindent 4 }}
    {{- if $values.relay.multus.port }}
    sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: {{ $values.relay.multus.port | quote }}}]
    {{- end }}
  {{- else }}
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  terminationGracePeriodSeconds: 15
  securityContext:
    seccompProfile: {type: RuntimeDefault}
  {{- end }}
  {{- with include "everlease.pullSecrets" $root }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with merge (dict) (default (dict) (.group).nodeSelector) $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with concat $values.tolerations (default (list) (.group).tolerations) }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $relay }}
  topologySpreadConstraints:
    {{- range $key, $rule := dict "kubernetes.io/hostname" "DoNotSchedule" "topology.kubernetes.io/zone" "ScheduleAnyway" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: {{ $rule }}
      labelSelector:
        matchLabels:
          {{- include "everlease.selector" (dict "root" $root "component" "node") | nindent 10 }}
    {{- end }}
  {{- end }}
  containers:
    - name: everlease
      image: {{ include "everlease.image" $root }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      command: [everlease, node]
      args:
        {{- if $relay }}
        - --name=$(POD_NAME)
        - --listen=$(POD_IP):{{ $values.relay.port }}
        {{- if $values.relay.multus.port }}
        - --listen=0.0.0.0:{{ $values.relay.multus.port }}
        {{- end }}
        - --reply-to=source
        - --answer={{ ternary "all" "owner" $values.relay.shared.enabled }}
        - --server-identifier={{ include "everlease.identifiers" $root }}
        {{- else }}
        - --name=$(NODE_NAME)
        {{- range $label, $interface := .group.links }}
        - --interface={{ $label }}={{ $interface }}
        {{- end }}
        {{- end }}
        {{- include "everlease.flags" $root | nindent 8 }}
      env:
        {{- if $relay }}
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        {{- else }}
        - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
        {{- end }}
        - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        {{- include "everlease.clientEnvironment" $root | nindent 8 }}
      ports:
        {{- if $relay }}
        - {name: dhcp, containerPort: {{ $values.relay.port }}, protocol: UDP}
        {{- else }}
        - {name: dhcp, containerPort: 67, hostPort: 67, protocol: UDP}
        {{- end }}
        {{- range $name, $port := dict "admin" $values.admin.port "metrics" $values.metrics.port }}
        - {name: {{ $name }}, containerPort: {{ $port }}, {{ if not $relay }}hostPort: {{ $port }}, {{ end }}protocol: TCP}
        {{- end }}
      livenessProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: metrics}
        periodSeconds: 2
        timeoutSeconds: 1
        failureThreshold: 1
      {{- if and $relay $values.relay.drainSeconds }}
      # SIGTERM drains the node. Before it, load balancers must turn away, and until they have it still answers.
      lifecycle: {preStop: {exec: {command: [sleep, {{ $values.relay.drainSeconds | quote }}]}}}
      {{- end }}
      securityContext:
        {{- if $relay }}
        {{- include "everlease.unprivileged" $root | nindent 8 }}
        {{- else }}
        runAsUser: 0
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL], add: [NET_RAW, NET_BIND_SERVICE]}
        {{- end }}
      {{- with $values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- range list "adminMount" "configurationMount" }}
        {{- with include (printf "everlease.%s" .) $root }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- end }}
        {{- if $values.admin.roles.existingSecret }}
        - {name: roles, mountPath: /etc/everlease/roles, readOnly: true}
        {{- end }}
        {{- if $values.etcd.tls.enabled }}
        - {name: etcd, mountPath: /etc/everlease/etcd, readOnly: true}
        {{- end }}
  volumes:
    - {name: tmp, emptyDir: {medium: Memory, sizeLimit: 64Mi}}
    {{- range list "adminVolume" "configurationVolume" }}
    {{- with include (printf "everlease.%s" .) $root }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- end }}
    {{- with $values.admin.roles.existingSecret }}
    - name: roles
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    {{- if $values.etcd.tls.enabled }}
    - name: etcd
      secret: {secretName: {{ $values.etcd.tls.existingSecret }}, defaultMode: 0440}
    {{- end }}
{{- end -}}

{{/* Each replica's load balancer, by the node's name; one command line for all of them. */}}
{{- define "everlease.identifiers" -}}
{{- if .Values.relay.shared.enabled -}}
{{- first .Values.relay.addresses -}}
{{- else -}}
{{- range $i, $address := .Values.relay.addresses }}{{ if $i }},{{ end }}{{ include "everlease.fullname" $ }}-{{ $i }}={{ $address }}{{ end -}}
{{- end -}}
{{- end -}}
