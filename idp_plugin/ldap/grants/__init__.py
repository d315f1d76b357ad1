"""The service account and its rights, as texts with places to fill in."""
