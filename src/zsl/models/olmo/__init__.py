"""OLMo: the models that are trained here, and checkpoints that OLMo's trainer wrote."""
