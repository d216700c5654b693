"""The shared truth: keys, records and transactions in etcd, and the view that every node keeps of them."""
