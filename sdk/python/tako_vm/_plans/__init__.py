"""What the calls do, for the sync and the async client alike."""
