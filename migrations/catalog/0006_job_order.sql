-- Pages of jobs, newest first: all of them, and those of one state.

CREATE INDEX job_by_creation ON job (created_at);
CREATE INDEX job_by_state_and_creation ON job (state, created_at);
