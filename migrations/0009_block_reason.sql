-- Why nothing is requested before `until`, where the API did not say that the quota has ended.
ALTER TABLE blocked ADD COLUMN reason TEXT;
