"""The verbs: they apply plans to the host. The only room that starts zone processes."""
