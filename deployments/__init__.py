"""What `deskloop deploy` registers on a Prefect server: deployments, their schedule, a work pool, and automations."""
