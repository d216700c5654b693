"""The gRPC admin API: thin translations between messages and the node's rooms."""
