"""From checkpoints to per-token measurements in HDF5."""
