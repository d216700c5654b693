"""The fault lab: whatever breaks, clients are answered in time and nobody is lied to."""
