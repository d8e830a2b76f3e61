"""What is published: wheel and sdist, installed where nothing of the checkout can be seen."""
