-- What a run leaves. Written by its worker alone.

CREATE TABLE run (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL,
    spec TEXT NOT NULL,        -- expanded, compact JSON
    spec_hash TEXT NOT NULL,
    version TEXT NOT NULL,     -- of the program
    build TEXT NOT NULL,       -- compiler and precision
    blas TEXT NOT NULL,
    blas_kernel TEXT NOT NULL, -- chosen for the processor: results are the same bits for one kernel and thread count
    threads INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    started_at TEXT NOT NULL,  -- RFC 3339, UTC
    ended_at TEXT,
    steps INTEGER,             -- planned
    steps_per_epoch INTEGER,
    epochs INTEGER,
    probed_steps INTEGER,
    parameters INTEGER
) STRICT;

CREATE TABLE sites (
    site INTEGER PRIMARY KEY, -- from 0, in depth order
    name TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    part TEXT,
    variant TEXT,
    parameters INTEGER NOT NULL,
    input TEXT NOT NULL,      -- shape of one sample, JSON array
    output TEXT NOT NULL
) STRICT;

-- A value that is not finite is NULL, its word in nonfinite.
CREATE TABLE scalars (
    step INTEGER NOT NULL,
    key TEXT NOT NULL,
    value REAL,
    nonfinite TEXT CHECK (nonfinite IN ('NaN', 'Infinity', '-Infinity')),
    PRIMARY KEY (key, step)
) STRICT, WITHOUT ROWID;

-- One row a sample that was measured. An undefined ratio is NULL.
CREATE TABLE divergence (
    site INTEGER NOT NULL,
    step INTEGER NOT NULL,
    sample INTEGER NOT NULL, -- index in the training set, from 0
    ideal_norm REAL,
    effective_norm REAL,
    scale REAL,
    cosine REAL,
    divergence REAL,
    self_factor REAL,
    scale_within REAL,
    scale_across REAL,
    interference REAL,
    interference_within REAL,
    interference_across REAL,
    input_norm REAL,
    network_scale REAL,
    network_cosine REAL,
    network_divergence REAL,
    PRIMARY KEY (site, step, sample)
) STRICT, WITHOUT ROWID;

CREATE VIEW divergence_by_name AS
SELECT sites.name AS site, step, sample, ideal_norm, effective_norm, scale, cosine, divergence, self_factor,
    scale_within, scale_across, interference, interference_within, interference_across, input_norm, network_scale,
    network_cosine, network_divergence
FROM divergence JOIN sites ON sites.site = divergence.site;

-- Of the batch's rows of one step and site; a column that the site does not have is left out.
CREATE TABLE divergence_summary (
    site INTEGER NOT NULL,
    step INTEGER NOT NULL,
    "column" TEXT NOT NULL,
    count INTEGER NOT NULL,       -- finite values; the other figures are of these
    undefined INTEGER NOT NULL,
    nonpositive INTEGER NOT NULL,
    mean REAL,
    sd REAL,                      -- divisor n - 1
    minimum REAL,
    maximum REAL,
    q01 REAL,
    q05 REAL,
    q25 REAL,
    q50 REAL,
    q75 REAL,
    q95 REAL,
    q99 REAL,
    histogram BLOB NOT NULL,      -- records of 16-bit bin, 32-bit count, little-endian
    PRIMARY KEY (site, "column", step)
) STRICT, WITHOUT ROWID;

CREATE TABLE divergence_batch (
    site INTEGER NOT NULL,
    step INTEGER NOT NULL,
    batch_scale REAL,
    batch_cosine REAL,
    predicted_decrease REAL,
    own_share REAL,
    rows INTEGER NOT NULL,       -- of the batch that were measured
    batch_size INTEGER NOT NULL,
    PRIMARY KEY (site, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE density (
    site INTEGER NOT NULL,
    step INTEGER NOT NULL,
    pair TEXT NOT NULL,   -- the two columns: 'self_factor,scale'
    counts BLOB NOT NULL, -- records of 16-bit x bin, 16-bit y bin, 32-bit count, little-endian
    PRIMARY KEY (site, pair, step)
) STRICT, WITHOUT ROWID;

-- What is the same for all sites of a step.
CREATE TABLE sample_steps (
    step INTEGER NOT NULL,
    sample INTEGER NOT NULL,
    loss REAL,
    label INTEGER NOT NULL,
    predicted INTEGER NOT NULL,
    in_batch INTEGER NOT NULL, -- 0: watched, and not in this step's batch
    PRIMARY KEY (step, sample)
) STRICT, WITHOUT ROWID;

CREATE TABLE log (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    level TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;

-- The newest only.
CREATE TABLE checkpoints (
    step INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    state BLOB NOT NULL
) STRICT;

-- The final weights, as the bytes of a safetensors file.
CREATE TABLE weights (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at TEXT NOT NULL,
    safetensors BLOB NOT NULL
) STRICT;
