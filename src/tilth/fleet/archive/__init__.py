"""The archive: what has left the journal, sealed by day and never changed again."""
