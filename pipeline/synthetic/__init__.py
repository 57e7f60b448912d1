"""Transport on points: the certificate of the theory, and training on synthetic problems."""
