// The step of the catalog's migrations that makes the tables of watch/. Never changed: see migrations.cpp.
#pragma once

namespace holdfast {

inline constexpr const char* watch_tables = R"(
CREATE TABLE alerts (
    id TEXT PRIMARY KEY,
    rule TEXT NOT NULL,
    subject TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    state TEXT NOT NULL,
    summary TEXT NOT NULL,
    value TEXT,
    threshold TEXT,
    since BIGINT NOT NULL,
    evaluations BIGINT NOT NULL,
    evaluated BIGINT NOT NULL,
    fired BIGINT,
    acknowledged BIGINT,
    acknowledged_by TEXT,
    clear_since BIGINT,
    clear_evaluations BIGINT NOT NULL,
    resolved BIGINT,
    resolved_by TEXT,
    level BIGINT NOT NULL,
    next_level BIGINT
);
CREATE UNIQUE INDEX alerts_open ON alerts (rule, subject) WHERE state <> 'resolved';
CREATE INDEX alerts_by_state ON alerts (state, id);
CREATE TABLE alert_events (
    alert TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    time BIGINT NOT NULL,
    event TEXT NOT NULL,
    actor TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (alert, number)
);
CREATE TABLE silences (
    id TEXT PRIMARY KEY,
    rule TEXT NOT NULL,
    subject TEXT NOT NULL,
    owner TEXT NOT NULL,
    reason TEXT NOT NULL,
    begins BIGINT NOT NULL,
    ends BIGINT NOT NULL,
    ended_by TEXT
);
CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    alert TEXT NOT NULL,
    channel TEXT NOT NULL,
    event TEXT NOT NULL,
    notice TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    created BIGINT NOT NULL,
    run_after BIGINT NOT NULL,
    ended BIGINT,
    owner TEXT,
    lease_until BIGINT,
    error TEXT
);
CREATE INDEX notifications_to_do ON notifications (state, channel, run_after, id);
CREATE INDEX notifications_of_alert ON notifications (alert, channel, id);
CREATE TABLE channel_states (
    channel TEXT PRIMARY KEY,
    failed_in_a_row BIGINT NOT NULL,
    last_success BIGINT,
    last_failure BIGINT,
    last_error TEXT NOT NULL,
    sent BIGINT NOT NULL,
    failed BIGINT NOT NULL
);
CREATE TABLE measurements (
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    time BIGINT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (subject, name, time)
);
CREATE TABLE monitors (
    server TEXT PRIMARY KEY,
    last_round BIGINT NOT NULL,
    took BIGINT NOT NULL,
    every BIGINT NOT NULL,
    problem TEXT NOT NULL
);
)";

} // namespace holdfast
