"""The rooms of the house: each a feature, usable alone."""
