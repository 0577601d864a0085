"""What an experiment will cost before anything runs: jobs, FLOPs, GPU-hours, storage."""
