"""The trail: one event model, append-only, chained."""
