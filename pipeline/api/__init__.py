"""The API: one HTTP request to Alpha Vantage and what its answer means. Imports model and the root modules."""
