"""The commands of batch jobs."""
