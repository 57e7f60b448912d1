"""What is asked, in words: the one home of the questions that claims answer and that the page shows."""

from pipeline.claims import Question

ASKED_OF_ALL = (
    Question("finds_translations", "Does attention find translations?", "attention finds translations"),
    Question("grows_with_depth", "Does it grow with depth?", "this grows with depth"),
    Question("is_a_plan", "Is it a plan, rather than similarity?", "attention is a plan rather than similarity"),
    Question("translator_uses_it", "Does the translator use it?", "the translator uses it"),
    Question("embeddings_match", "Do embeddings match?", "embeddings match"),
    Question("construction", "Why could it? What the construction does", "the construction does what is stated"),
    Question("training", "Can it be learned? What training finds", "training finds the construction"),
)
