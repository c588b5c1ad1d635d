"""The fleet: machines that share quota, fire times and a log of answers in PostgreSQL. Imports collect and below."""
