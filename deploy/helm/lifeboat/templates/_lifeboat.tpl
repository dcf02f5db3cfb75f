{{/*
For a chart that has this one as a dependency named lifeboat:

  labels:           {{- include "lifeboat.podLabels" (dict "Values" .Values.lifeboat) | nindent 8 }}
  initContainers:   {{- include "lifeboat.initContainers" (dict "Values" .Values.lifeboat) | nindent 8 }}
  volumes:          {{- include "lifeboat.volumes" (dict "Values" .Values.lifeboat) | nindent 8 }}

The pod needs an fsGroup, or a volume that belongs to its uid, and terminationGracePeriodSeconds: 120.
*/}}

{{- define "lifeboat.podLabels" -}}
lifeboat: enabled
{{- end }}

{{/* The restore, and then the sidecar as a native one: in the list of init containers. */}}
{{- define "lifeboat.initContainers" -}}
{{ include "lifeboat.restore" . }}
{{ include "lifeboat.ship" . }}
  restartPolicy: Always
{{- end }}

{{/* The sidecar in the list of containers, beside the server. `lifeboat.restore` goes to the init containers. */}}
{{- define "lifeboat.plainContainer" -}}
{{ include "lifeboat.ship" . }}
{{- end }}

{{- define "lifeboat.restore" -}}
- name: lifeboat-restore
  image: {{ include "lifeboat.image" . }}
  args:
    - restore
    - --data=/data
    - --if-empty
    - --if-backup-exists
    {{- range .Values.restore.args }}
    - {{ . | quote }}
    {{- end }}
  env:
    {{- include "lifeboat.podName" . | nindent 4 }}
    - name: LIFEBOAT_REPO
      value: $(LIFEBOAT_REPO_BASE)/$(POD_NAME)
    - name: LIFEBOAT_RESTORE_REQUEST
      value: {{ .Values.restore.request | quote }}
    {{- include "lifeboat.keyVariables" . | nindent 4 }}
  {{- include "lifeboat.common" . | nindent 2 }}
  volumeMounts:
    {{- include "lifeboat.data" . | nindent 4 }}
    {{- include "lifeboat.keyMounts" . | nindent 4 }}
{{- end }}

{{- define "lifeboat.ship" -}}
- name: lifeboat-ship
  image: {{ include "lifeboat.image" . }}
  args:
    - ship
    - --data=/data
    - --source=$(POD_NAMESPACE)/$(POD_NAME)
    {{- range .Values.ship.args }}
    - {{ . | quote }}
    {{- end }}
    - --listen=:9847
    - --shutdown-timeout={{ .Values.ship.shutdownTimeout }}
    - --log-format=json
  env:
    - name: POD_NAMESPACE
      valueFrom:
        fieldRef:
          fieldPath: metadata.namespace
    {{- include "lifeboat.podName" . | nindent 4 }}
    - name: POD_UID
      valueFrom:
        fieldRef:
          fieldPath: metadata.uid
    - name: LIFEBOAT_REPO
      value: $(LIFEBOAT_REPO_BASE)/$(POD_NAME)
    {{- if .Values.ship.appendOnly }}
    - name: LIFEBOAT_NO_PRUNE
      value: "true"
    {{- end }}
    {{- include "lifeboat.keyVariables" . | nindent 4 }}
  {{- include "lifeboat.common" . | nindent 2 }}
  ports:
    - name: lifeboat
      containerPort: 9847
  {{- include "lifeboat.probes" . | nindent 2 }}
  volumeMounts:
    {{- include "lifeboat.data" . | nindent 4 }}
      readOnly: true
    {{- include "lifeboat.keyMounts" . | nindent 4 }}
{{- end }}

{{/* They do not depend on the store. */}}
{{- define "lifeboat.probes" -}}
startupProbe:
  httpGet:
    path: /startupz
    port: lifeboat
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet:
    path: /livez
    port: lifeboat
  periodSeconds: 30
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}

{{- define "lifeboat.volumes" -}}
{{- with .Values.encryption.existingSecret }}
- name: lifeboat-key
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- with .Values.googleKey.existingSecret }}
- name: lifeboat-gcs-key
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{- define "lifeboat.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag }}{{ end }}
{{- end }}

{{- define "lifeboat.podName" -}}
- name: POD_NAME
  {{- if .Values.name }}
  value: {{ .Values.name }}
  {{- else }}
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
  {{- end }}
{{- end }}

{{- define "lifeboat.data" -}}
- name: {{ .Values.data.volume }}
  mountPath: /data
  {{- with .Values.data.subPath }}
  subPath: {{ . }}
  {{- end }}
{{- end }}

{{- define "lifeboat.keyVariables" -}}
{{- if .Values.encryption.existingSecret }}
- name: LIFEBOAT_ENCRYPTION_KEY_FILE
  value: /var/run/secrets/lifeboat-key/{{ .Values.encryption.key }}
{{- end }}
{{- if .Values.googleKey.existingSecret }}
- name: GOOGLE_APPLICATION_CREDENTIALS
  value: /var/run/secrets/lifeboat/key.json
{{- end }}
{{- end }}

{{- define "lifeboat.keyMounts" -}}
{{- if .Values.encryption.existingSecret }}
- name: lifeboat-key
  mountPath: /var/run/secrets/lifeboat-key
  readOnly: true
{{- end }}
{{- if .Values.googleKey.existingSecret }}
- name: lifeboat-gcs-key
  mountPath: /var/run/secrets/lifeboat
  readOnly: true
{{- end }}
{{- end }}

{{- define "lifeboat.envFrom" -}}
- configMapRef:
    name: {{ .Values.configName }}
{{- with .Values.existingSecret }}
- secretRef:
    name: {{ . }}
    optional: true
{{- end }}
{{- end }}

{{- define "lifeboat.least" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end }}

{{- define "lifeboat.common" -}}
envFrom:
  {{- include "lifeboat.envFrom" . | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  {{- include "lifeboat.least" . | nindent 2 }}
  seccompProfile:
    type: RuntimeDefault
  {{- if kindIs "invalid" .Values.runAsUser | not }}
  runAsUser: {{ .Values.runAsUser }}
  {{- end }}
  {{- if kindIs "invalid" .Values.runAsGroup | not }}
  runAsGroup: {{ .Values.runAsGroup }}
  {{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- end }}

{{/* Of a pod without the server's volume. */}}
{{- define "lifeboat.podSecurity" -}}
runAsNonRoot: true
runAsUser: 999
runAsGroup: 999
fsGroup: 999
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* The pod of a Job: it has no volume of the server. */}}
{{- define "lifeboat.jobPod" -}}
restartPolicy: Never
automountServiceAccountToken: false
securityContext:
  {{- include "lifeboat.podSecurity" . | nindent 2 }}
{{- end }}
