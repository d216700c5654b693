"""A laboratory on one machine: processes, network namespaces, etcd clusters; all of it cleans up after itself.

`everlease quickstart` and the project's tests are built on it. Nothing here touches an interface of the machine itself.
"""
