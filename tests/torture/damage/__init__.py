"""Damaged files: records with everything in them, ways to damage one, and all that can be asked of what is left."""
