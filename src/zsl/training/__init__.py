"""From tokens to checkpoints: a run is a chain of segments."""
