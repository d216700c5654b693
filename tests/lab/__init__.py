"""The test laboratory: real etcd members, real DHCP clients, real networks; all of it cleans up after itself.

Nothing here is a mock, and nothing here touches an interface of the machine itself.
"""
