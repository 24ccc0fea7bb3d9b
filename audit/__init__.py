"""The trail: one event model, append-only, chained; and the words in which every layer refuses."""
