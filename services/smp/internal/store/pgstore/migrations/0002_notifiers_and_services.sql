-- Services that clients connect as (smp.md 4.5), known by the fingerprint of their identity certificate.
CREATE TABLE services (
    service_id   bytea PRIMARY KEY,
    role         "char" NOT NULL,        -- M, N or P
    fingerprint  bytea NOT NULL UNIQUE,  -- SHA-256
    chain        bytea[] NOT NULL,       -- DER, leaf first
    created_day  integer NOT NULL        -- days since the Unix epoch
);

-- Credentials for notifications (smp.md 9.8), at most one per queue.
CREATE TABLE notifiers (
    notifier_id   bytea PRIMARY KEY,
    queue_id      bigint NOT NULL UNIQUE REFERENCES queues (id) ON DELETE CASCADE,
    notifier_key  bytea NOT NULL,        -- DER
    dh_secret     bytea NOT NULL,
    service_id    bytea                  -- of the service that subscribed to it; null: none
);
CREATE INDEX notifiers_by_service ON notifiers (service_id) WHERE service_id IS NOT NULL;

-- The messaging service that created the queue; null: none.
ALTER TABLE queues ADD service_id bytea;

-- Notifications that wait for somebody to listen (smp.md 10.4), saved once in a while: most are delivered before.
CREATE TABLE notifications (
    notifier_id  bytea NOT NULL REFERENCES notifiers ON DELETE CASCADE,
    msg_id       bytea NOT NULL,
    time         bigint NOT NULL,        -- nanoseconds since the Unix epoch
    PRIMARY KEY (notifier_id, msg_id)
);
CREATE INDEX notifications_by_time ON notifications (time);
