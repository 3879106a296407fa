"""Durable and volatile state on disk: paths, documents, records, locks, id ranges, leases, the journal."""
