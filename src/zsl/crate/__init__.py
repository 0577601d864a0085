"""Results of an experiment as a Workflow Run RO-Crate: one zip that other tools understand.

The profile is Provenance Run Crate 0.5 (https://w3id.org/ro/wfrun/provenance/0.5): the workflow,
one action for each job with what it read, wrote, was set to and used, and the files. All of it
comes from the lineage records; what these do not say is left out.
"""
