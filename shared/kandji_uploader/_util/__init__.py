"""Small things that know nothing of Kandji."""
