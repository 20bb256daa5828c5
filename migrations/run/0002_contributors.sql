-- Who moved a measured sample along its ideal step: the parts of its scale that the strongest other samples of the batch
-- have, and the sum of all the rest.
CREATE TABLE contributors (
    site INTEGER NOT NULL,
    step INTEGER NOT NULL,
    sample INTEGER NOT NULL, -- index in the training set, from 0
    other INTEGER NOT NULL,  -- likewise; -1: all other samples that are not named
    part REAL,               -- its share of the sample's scale; NULL where the sample has no gradient
    PRIMARY KEY (site, step, sample, other)
) STRICT, WITHOUT ROWID;
