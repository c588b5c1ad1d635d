"""The measurements of `make bench`: a module for each question, answered by ratios of one run on one machine."""
