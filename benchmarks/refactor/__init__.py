"""What the conversion of notebooks is worth, measured on a set of notebooks."""
