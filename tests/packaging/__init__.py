"""What people install: units, images, charts' companions; each checked by its own tool, and run."""
