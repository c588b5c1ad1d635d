"""The model: what a company document is and how two differ. Pure values; imports the root modules only."""
