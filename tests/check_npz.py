"""Holds an exported NPZ against the run files it was made of, read by NumPy and by Python's own SQLite.

Usage: check_npz.py NPZ divergence|metrics|summary|batch JOB:RUN.db...   (one run alone, without the column job: :RUN.db)
"""

import sqlite3
import sys

import numpy

WORDS = {"NaN": numpy.nan, "Infinity": numpy.inf, "-Infinity": -numpy.inf}
ORDERS = {
    "divergence": "SELECT s.name AS site, d.step, d.sample, t.in_batch, t.loss, t.label, t.predicted, d.* FROM divergence d"
    " JOIN sites s USING (site) JOIN sample_steps t ON t.step = d.step AND t.sample = d.sample"
    " ORDER BY d.site, d.step, d.sample",
    "metrics": "SELECT * FROM scalars ORDER BY key, step",
    "summary": 'SELECT s.name AS site, x.* FROM divergence_summary x JOIN sites s USING (site) ORDER BY x.site, x."column", step',
    "batch": "SELECT s.name AS site, x.* FROM divergence_batch x JOIN sites s USING (site) ORDER BY x.site, step",
}


def expected_rows(what, runs):
    for run in runs:
        job, path = run.split(":", 1)
        db = sqlite3.connect(path)
        cursor = db.execute(ORDERS[what])
        names = [column[0] for column in cursor.description]
        for values in cursor:
            row = {}
            for name, value in zip(names, values):
                row.setdefault(name, value)  # the site's name comes before its number
            if row.get("nonfinite"):
                row["value"] = WORDS[row["nonfinite"]]
            row["job"] = int(job) if job else None
            yield row
        db.close()


def main():
    arrays = numpy.load(sys.argv[1], allow_pickle=False)
    what, runs = sys.argv[2], sys.argv[3:]
    rows = list(expected_rows(what, runs))
    names = set(arrays.files)
    known = set(rows[0]) - {"nonfinite", "histogram"} - (set() if rows[0]["job"] is not None else {"job"})
    assert names == known, (names, known)
    kinds = {"i": 0, "f": 0, "U": 0}
    for name in arrays.files:
        array = arrays[name]
        assert array.shape == (len(rows),), (name, array.shape, len(rows))
        kinds[array.dtype.kind] += 1
        for found, row in zip(array.tolist(), rows):
            value = row[name]
            if value is None:
                assert found == -1 or found != found, (name, found, row)
            else:
                assert found == value or (found != found and value != value), (name, found, value)
    assert kinds["i"] and kinds["f"], kinds
    print(f"{len(rows)} rows, {len(arrays.files)} columns")


main()
