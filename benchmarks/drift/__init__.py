"""How fast and how robust drift is, as ratios measured in one run."""
