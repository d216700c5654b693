"""The cluster configuration: what the operator writes, validated, and compiled into `core.model`."""
