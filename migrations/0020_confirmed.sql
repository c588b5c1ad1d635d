-- Up to when slots of this start of the machine are dated by a clock that the API's server confirmed. NULL: by none.
ALTER TABLE clock ADD COLUMN confirmed_at TEXT;
