"""The open questions, each a study."""
