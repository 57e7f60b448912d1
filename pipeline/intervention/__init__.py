"""Does the translator use its alignment? Heads are put out or made to look elsewhere, and the loss is read."""
