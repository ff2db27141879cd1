CREATE TABLE error_schema (version INTEGER NOT NULL);

INSERT INTO error_schema VALUES (1);

CREATE TABLE error_groups (
    id BIGSERIAL NOT NULL,
    fingerprint VARCHAR(40) NOT NULL,
    title VARCHAR(200) NOT NULL,
    culprit VARCHAR(200) NOT NULL,
    level VARCHAR(20) NOT NULL,
    count BIGINT NOT NULL,
    first_seen TIMESTAMP WITH TIME ZONE NOT NULL,
    last_seen TIMESTAMP WITH TIME ZONE NOT NULL,
    resolved_at FLOAT,
    muted_until FLOAT,
    muted_more INTEGER,
    alert_state TEXT,
    wake_at FLOAT,
    CONSTRAINT pk_error_groups PRIMARY KEY (id),
    CONSTRAINT uq_error_groups_fingerprint UNIQUE (fingerprint)
);

CREATE INDEX ix_error_groups_last_seen ON error_groups (last_seen);

CREATE INDEX ix_error_groups_wake_at ON error_groups (wake_at);

CREATE TABLE error_segments (
    name VARCHAR(80) NOT NULL,
    host VARCHAR(64) NOT NULL,
    position BIGINT NOT NULL,
    corrupt INTEGER NOT NULL,
    updated_at FLOAT NOT NULL,
    finished BOOLEAN DEFAULT false NOT NULL,
    CONSTRAINT pk_error_segments PRIMARY KEY (name)
);

CREATE TABLE error_alerts (
    group_id BIGINT NOT NULL,
    kind VARCHAR(20) NOT NULL,
    ordinal BIGINT NOT NULL,
    episode INTEGER NOT NULL,
    count BIGINT NOT NULL,
    since FLOAT NOT NULL,
    in_digest BOOLEAN NOT NULL,
    id BIGSERIAL NOT NULL,
    state VARCHAR(10) NOT NULL,
    created_at FLOAT NOT NULL,
    due_at FLOAT NOT NULL,
    tries INTEGER NOT NULL,
    leased_until FLOAT NOT NULL,
    sent_at FLOAT,
    error VARCHAR(500) NOT NULL,
    CONSTRAINT pk_error_alerts PRIMARY KEY (id),
    CONSTRAINT uq_error_alerts_group_id_kind_ordinal_episode UNIQUE (group_id, kind, ordinal, episode),
    CONSTRAINT fk_error_alerts_group_id_error_groups FOREIGN KEY(group_id) REFERENCES error_groups (id) ON DELETE CASCADE
);

CREATE INDEX ix_error_alerts_group_id ON error_alerts (group_id);

CREATE INDEX ix_error_alerts_sent_at ON error_alerts (sent_at);

CREATE INDEX ix_error_alerts_state_due_at ON error_alerts (state, due_at);

CREATE TABLE error_minutes (
    group_id BIGINT NOT NULL,
    minute INTEGER NOT NULL,
    host VARCHAR(64) NOT NULL,
    count BIGINT NOT NULL,
    CONSTRAINT pk_error_minutes PRIMARY KEY (group_id, minute, host),
    CONSTRAINT fk_error_minutes_group_id_error_groups FOREIGN KEY(group_id) REFERENCES error_groups (id) ON DELETE CASCADE
);

CREATE INDEX ix_error_minutes_minute ON error_minutes (minute);

CREATE TABLE error_samples (
    id BIGSERIAL NOT NULL,
    group_id BIGINT NOT NULL,
    report_id VARCHAR(64) NOT NULL,
    reference VARCHAR(64) NOT NULL,
    release VARCHAR(200) NOT NULL,
    host VARCHAR(64) NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    report TEXT NOT NULL,
    CONSTRAINT pk_error_samples PRIMARY KEY (id),
    CONSTRAINT fk_error_samples_group_id_error_groups FOREIGN KEY(group_id) REFERENCES error_groups (id) ON DELETE CASCADE,
    CONSTRAINT uq_error_samples_report_id UNIQUE (report_id)
);

CREATE INDEX ix_error_samples_group_id ON error_samples (group_id);

CREATE INDEX ix_error_samples_reference ON error_samples (reference);
