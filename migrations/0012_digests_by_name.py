"""Profiles and statements get digests made of column and value, so that a further column changes none of them."""

from pipeline.store.migration_steps import DigestByName

STEPS = (DigestByName("profiles"), DigestByName("statements"))
