"""What `make bench` runs: one module a question, each answered by a ratio measured in one run on one machine."""
