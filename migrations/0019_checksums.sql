-- Of each snapshot, so that a bit that flipped on the disk is found. NULL: stored before checksums were.
ALTER TABLE snapshots ADD COLUMN checksum INTEGER;
