-- Keys of requests stand for studies too.

ALTER TABLE submission RENAME COLUMN job TO made;             -- the id of what was made:
ALTER TABLE submission ADD COLUMN what TEXT NOT NULL DEFAULT 'job'; -- or 'study'
