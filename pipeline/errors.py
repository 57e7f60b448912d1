"""The one error class of the pipeline."""


class PipelineError(ValueError):
    """A problem that the user can mend: says which argument, the rule, what arrived and what to do."""
