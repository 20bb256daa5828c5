-- How many jobs are in each state, those in the trash left out: counted at every change.

CREATE INDEX job_in_view ON job (state) WHERE trashed_at IS NULL;
