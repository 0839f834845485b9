"""From rows to a published dataset: plan, tasks, publish, verify."""
